// Keeps the tag's faults, and those of the callbacks it calls, away from the page.

/** The same function, but what it throws ends as a warning in the console. */
export function guard<A extends unknown[]>(work: (...args: A) => void): (...args: A) => void {
  return (...args) => {
    try {
      work(...args);
    } catch (error) {
      console.warn("mayfly:", error);
    }
  };
}
