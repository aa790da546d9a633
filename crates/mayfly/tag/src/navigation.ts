// Tells of navigations within the document, as single-page sites make them.

/** `moved` is called after each change of history, also one that changes no URL. */
export function watchNavigation(moved: () => void): void {
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = function (this: History) {
      const result = original.apply(this, arguments as any);
      moved();
      return result;
    };
  }
  addEventListener("popstate", moved);
  // A router that kept the functions from before we came is heard here, where browsers have it.
  const { navigation } = window as { navigation?: EventTarget };
  if (navigation) navigation.addEventListener("currententrychange", moved);
}
