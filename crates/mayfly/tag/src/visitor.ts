// What the visitor and the site ask of the server: segments, what is held, the opt-out.

import { isOptedOut, keptId, rememberOptOut } from "./cookies";
import { guard } from "./guard";
import { consentPairs } from "./consent";
import { encode, idParameter, type Pair } from "./parameters";
import { post } from "./post";

function answer(callback: unknown, value: unknown): void {
  if (typeof callback === "function") guard(callback as (value: unknown) => void)(value);
}

/** What the server says to this page of its visitor; nothing when that fails. */
async function ask(
  base: string,
  site: string,
  what: string,
  said: Pair[] = [],
): Promise<Record<string, unknown>> {
  try {
    const query = "?" + encode([["s", site], ...said]) + idParameter(keptId() || undefined);
    const url = base + "api/v1/me/" + what + query;
    return (await (await fetch(url, { credentials: "include" })).json()) || {};
  } catch {
    return {};
  }
}

/**
 * The names of the segments that the server tells this page; none when anything fails. The server
 * hears what the visitor chose: a no counts here, too.
 */
export async function askSegments(
  base: string,
  site: string,
  common: Pair[],
  callback: unknown,
): Promise<void> {
  const said = [...common, ...consentPairs()];
  const { segments } = isOptedOut() ? {} : await ask(base, site, "segments", said);
  answer(callback, Array.isArray(segments) ? segments : []);
}

/**
 * Opens the server's page about what is held, as what this page knows its visitor as: browsers may
 * keep the server's cookie apart for each site, or only the one of the page's own host.
 */
export async function showPrivacy(base: string, site: string): Promise<void> {
  const { as } = await ask(base, site, "link");
  const url = base + "privacy" + (as ? `?s=${encodeURIComponent(site)}&as=${as}` : "");
  // A browser may refuse to open what is not clicked on.
  if (!open(url)) location.href = url;
}

/** Opts out or in, here first: it holds in this browser even if the server cannot be reached. */
export async function choose(base: string, isOut: boolean, callback: unknown): Promise<void> {
  rememberOptOut(isOut);
  let done = false;
  try {
    const answer = await post(base + "optout", "json=1&action=" + (isOut ? "out" : "in"));
    done = (await answer.json()).opted_out === isOut;
  } catch {
    // The callback hears of it.
  }
  answer(callback, done);
}
