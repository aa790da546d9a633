// The script tag of Mayfly. It reads its options from its own element and starts once per site.

import { isRunning, join, type Tag } from "./commands";
import { watchConsent } from "./consent";
import { isOptedOut } from "./cookies";
import { guard } from "./guard";
import { WAIT_MS } from "./limits";
import { openOutbox } from "./outbox";
import type { Page } from "./page";
import type { Pair } from "./parameters";
import { onConsentChange, sendEvent, sendPage, watchViews } from "./views";
import { askSegments, choose, showPrivacy } from "./visitor";

/** Runs the calls of one site. What is no command is ignored: a later tag may know it. */
function commandsOf(base: string, site: string, common: Pair[]): Tag {
  return ([command, first, second]: any) => {
    if (command === "event") sendEvent(first, second);
    else if (command === "page") sendPage(first as Page);
    else if (command === "segments") void askSegments(base, site, common.slice(1), first);
    else if (command === "privacy") void showPrivacy(base, site);
    else if (command === "optOut") void choose(base, true, first);
    else if (command === "optIn") void choose(base, false, first);
  };
}

function watch(base: string, common: Pair[], options: DOMStringMap): void {
  const wait = Number(options.wait || NaN);
  openOutbox(base);
  watchConsent(wait >= 0 ? wait : WAIT_MS, guard(onConsentChange));
  watchViews(common, options.auto !== "off");
}

function start(script: HTMLScriptElement): void {
  const { site, coppa } = script.dataset;
  if (!site) throw new Error("data-site is missing");
  const common: Pair[] = [["s", site], ["coppa", coppa === "1" ? 1 : ""]];
  const base = new URL(".", script.src).href;
  const run = () => {
    if (isRunning(site)) return;
    if (!isOptedOut()) guard(watch)(base, common, script.dataset);
    join(site, commandsOf(base, site, common));
  };
  // A page that is rendered ahead has no visitor yet, and perhaps never will.
  if (!(document as { prerendering?: boolean }).prerendering) return run();
  document.addEventListener("prerenderingchange", guard(run), { once: true });
}

guard(start)(document.currentScript as HTMLScriptElement);
