// Page views, the engaged time of each, and the events in between.

import { restartClock, startClock, takeEngaged } from "./clock";
import { guard } from "./guard";
import { SETTLE_MS } from "./limits";
import { watchNavigation } from "./navigation";
import { choiceChanged, flush, submit } from "./outbox";
import { describePage, type Page } from "./page";
import { attributePairs, type Pair } from "./parameters";

/** `timer` of the first page, which settles with the document. */
const WITH_DOCUMENT = -1;
const EVENT_NAME = /^[a-z0-9_.-]{1,64}$/;

/** What goes with every hit of this tag. */
let common: Pair[] = [];
/** The page that the visitor sees, as it was when its view was counted. */
let page: Pair[] | undefined;
let pageUrl = "";
let referrer = document.referrer;
/** Path and query of the last automatic view. */
let place = "";
/** Set while a page view waits for its title. */
let timer = 0;
/** What was called meanwhile: it belongs to the page to come. */
let later: (() => void)[] = [];

function send(event: string, pairs: Pair[], attributes?: unknown): void {
  submit({
    event: [...common, ["e", event], ...pairs],
    details: [...(page || describePage({}, referrer)), ...attributePairs(attributes)],
  });
}

function sendEngaged(): void {
  const taken = page && takeEngaged();
  if (taken) send("engagement", [["d", taken]]);
}

function view(given: Page): void {
  page = describePage(given, referrer);
  pageUrl = String(page[0]![1]);
  send("page_view", [], given.attributes);
}

function leave(): void {
  sendEngaged();
  restartClock();
  referrer = pageUrl || referrer;
}

function settle(): void {
  clearTimeout(timer);
  timer = 0;
  guard(view)({});
  for (const call of later.splice(0)) guard(call)();
}

/** Runs it now, or right after the page view that is on its way. */
function onPage(call: () => void): void {
  if (timer) later.push(call);
  else call();
}

function moved(): void {
  const here = location.pathname + location.search;
  if (here === place) return;
  place = here;
  leave();
  clearTimeout(timer);
  timer = setTimeout(settle, SETTLE_MS) as unknown as number;
}

function hide(): void {
  flush(() => {
    if (timer) settle();
    sendEngaged();
  });
}

export function sendEvent(name: unknown, attributes?: unknown): void {
  if (!EVENT_NAME.test(String(name))) throw new Error("no event name: " + name);
  onPage(() => send(String(name), [], attributes));
}

/** A page view that the site itself tells of. */
export function sendPage(given?: Page): void {
  onPage(() => {
    leave();
    view(given || {});
  });
}

/** The choice changed: the server hears of it at once, also if it was a withdrawal. */
export function onConsentChange(): void {
  if (choiceChanged()) send("engagement", [["d", 0]]);
}

function watchAutomatically(): void {
  place = location.pathname + location.search;
  guard(watchNavigation)(guard(moved));
  addEventListener("pageshow", guard((event: PageTransitionEvent) => {
    if (!event.persisted) return;
    restartClock();
    view({});
  }));
  if (document.readyState === "loading") {
    timer = WITH_DOCUMENT;
    document.addEventListener("DOMContentLoaded", () => timer === WITH_DOCUMENT && settle());
  } else {
    settle();
  }
}

export function watchViews(withEach: Pair[], automatic: boolean): void {
  common = withEach;
  startClock();
  if (automatic) watchAutomatically();
  addEventListener("pagehide", guard(hide));
  document.addEventListener("visibilitychange", guard(() => {
    if (document.visibilityState === "hidden") hide();
  }));
}
