// The tag's two first-party cookies, on the page's own host: the visitor's id, which only ever
// comes from the server, and the opt-out.

import { ID_SECONDS, OPT_OUT_SECONDS } from "./limits";

const ID = "mf_fp";
const OPT_OUT = "mf_optout";

/** Opted out in this page's life: counts also where the cookie could not be kept. */
let out = false;
/** Set once the browser did not keep an id: asking for another with each hit helps nobody. */
let forgetful = false;

function read(name: string): string {
  try {
    const found = document.cookie.split("; ").find((pair) => pair.startsWith(name + "="));
    return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
  } catch {
    // A sandboxed frame may not even look at its cookies; a foreign value may not decode.
    return "";
  }
}

function write(name: string, value: string, seconds: number): void {
  try {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie =
      `${name}=${encodeURIComponent(value)}; path=/; max-age=${seconds}; SameSite=Lax${secure}`;
  } catch {
    // As above.
  }
}

/** The kept id; empty = none yet, but one could be kept; nothing = this browser keeps none. */
export function keptId(): string | undefined {
  return read(ID) || (forgetful || !navigator.cookieEnabled ? undefined : "");
}

export function keepId(id: string): void {
  write(ID, id, ID_SECONDS);
  forgetful = read(ID) !== id;
}

export function forgetId(): void {
  if (read(ID)) write(ID, "", 0);
}

export function isOptedOut(): boolean {
  return out || read(OPT_OUT) === "1";
}

export function rememberOptOut(isOut = true): void {
  out = isOut;
  forgetId();
  write(OPT_OUT, "1", isOut ? OPT_OUT_SECONDS : 0);
}
