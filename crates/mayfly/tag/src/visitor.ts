// What the visitor and the site ask of the server: segments, and the opt-out.

import { isOptedOut, keptId, rememberOptOut } from "./cookies";
import { guard } from "./guard";
import { idParameter } from "./parameters";
import { post } from "./post";

function answer(callback: unknown, value: unknown): void {
  if (typeof callback === "function") guard(callback as (value: unknown) => void)(value);
}

/** The names of the segments that the server tells this page; none when anything fails. */
export async function askSegments(base: string, site: string, callback: unknown): Promise<void> {
  let segments: unknown;
  if (!isOptedOut()) {
    try {
      const query = "?s=" + encodeURIComponent(site) + idParameter(keptId() || undefined);
      const url = base + "api/v1/me/segments" + query;
      ({ segments } = await (await fetch(url, { credentials: "include" })).json());
    } catch {
      // No segments, then.
    }
  }
  answer(callback, Array.isArray(segments) ? segments : []);
}

/** Opts out, here first: this browser sends nothing more even if the server cannot be reached. */
export async function optOut(base: string, callback: unknown): Promise<void> {
  rememberOptOut();
  let done = false;
  try {
    done = (await post(base + "optout", "json=1")).ok;
  } catch {
    // The callback hears of it.
  }
  answer(callback, done);
}
