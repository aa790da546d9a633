// What the visitor chose, as the page's consent platform says it (IAB TCF, GPP, US Privacy), and
// whether a hit should wait for that choice.

import { guard } from "./guard";
import { LOOK_MS, LOOK_PAUSE_MS, LOOK_PAUSE_MS_MAX } from "./limits";
import type { Pair } from "./parameters";

/** How far one API has come. */
const enum Stage {
  /** Not there, or broken, which is the same. */
  Absent,
  /** There, but has not said a word: perhaps a stub with nothing behind it. */
  Silent,
  /** Its dialogue is before the visitor. */
  Asking,
  /** It has told a choice. It stands until another is told, also while a dialogue is open again. */
  Decided,
}

interface Source {
  stage: Stage;
  listening: boolean;
  pairs: Pair[];
}

type Answer = (data: any, ok?: boolean) => void;
type Platform = Record<string, ((...args: unknown[]) => unknown) | undefined>;

const tcf: Source = { stage: Stage.Absent, listening: false, pairs: [] };
const gpp: Source = { stage: Stage.Absent, listening: false, pairs: [] };
const sources = [tcf, gpp];

let usPrivacy: unknown;
/** It has been looked for long enough. */
let looked = false;
/** It has been waited for long enough. */
let expired = false;
let waitMs = 0;
let changed = () => {};

const platform = window as unknown as Platform;

function some(stage: Stage): boolean {
  return sources.some((source) => source.stage === stage);
}

/** There is a choice, and no dialogue that may still bring the first one of its API. */
export function isDecided(): boolean {
  return some(Stage.Decided) && !some(Stage.Asking);
}

/** Hits need not wait (any longer). */
export function isOpen(): boolean {
  return expired || (!some(Stage.Asking) && !some(Stage.Silent) && (looked || isDecided()));
}

/** The choice, comparable with an earlier one. */
export function choice(): string {
  return [tcf.pairs, gpp.pairs, usPrivacy].join();
}

/** The parameters that tell the server of the choice, as of now. */
export function consentPairs(): Pair[] {
  readUsPrivacy();
  const { globalPrivacyControl } = navigator as { globalPrivacyControl?: boolean };
  const isPending = !isDecided() && (some(Stage.Asking) || some(Stage.Silent));
  return [
    ...tcf.pairs,
    ...gpp.pairs,
    ["us_privacy", usPrivacy],
    ["gpc", globalPrivacyControl === true ? 1 : ""],
    ["pc", isPending ? 1 : ""],
  ];
}

function tell(source: Source, stage: Stage, pairs: Pair[]): void {
  if (stage < source.stage) return;
  source.stage = stage;
  source.pairs = pairs;
  changed();
}

/** The API is there and says that it cannot. */
function fail(source: Source): void {
  if (source.stage === Stage.Decided) return;
  source.stage = Stage.Absent;
  changed();
}

const hearTcf: Answer = (data, ok) => {
  if (!ok || !data) return fail(tcf);
  const { gdprApplies, eventStatus, tcString, addtlConsent } = data;
  const gdpr: Pair = ["gdpr", gdprApplies === undefined ? "" : +!!gdprApplies];
  if (/^(tcloaded|useractioncomplete)$/.test(eventStatus) || gdprApplies === false) {
    tell(tcf, Stage.Decided, [gdpr, ["gdpr_consent", tcString], ["addtl_consent", addtlConsent]]);
  } else {
    tell(tcf, eventStatus === "cmpuishown" ? Stage.Asking : Stage.Silent, [gdpr]);
  }
};

const hearGpp: Answer = (data, ok) => {
  const ping = data && data.pingData;
  if (ok === false || !ping) return fail(gpp);
  if (ping.signalStatus === "ready") {
    const ids = [].concat(ping.applicableSections || []).join();
    tell(gpp, Stage.Decided, [["gpp", ping.gppString], ["gpp_sid", ids]]);
  } else if (ping.cmpDisplayStatus === "visible") {
    tell(gpp, Stage.Asking, []);
  }
};

const hearUsPrivacy: Answer = (data, ok) => {
  if (ok && data) usPrivacy = data.uspString;
};

/** Asked anew with each hit: this API has no events. */
const readUsPrivacy = guard(() => {
  const api = platform.__uspapi;
  if (typeof api === "function") api("getUSPData", 1, guard(hearUsPrivacy));
});

function listen(source: Source, name: string, hear: Answer, ...version: number[]): void {
  const api = platform[name];
  if (source.listening || typeof api !== "function") return;
  // The first that comes in sight: from now on, so long.
  if (!tcf.listening && !gpp.listening) setTimeout(expire, waitMs);
  source.listening = true;
  source.stage = Stage.Silent;
  try {
    api("addEventListener", ...version, guard(hear));
  } catch {
    fail(source);
  }
}

function expire(): void {
  expired = true;
  changed();
}

function look(): void {
  listen(tcf, "__tcfapi", hearTcf, 2);
  listen(gpp, "__gpp", hearGpp);
}

function keepLooking(pause: number): void {
  look();
  if (pause > LOOK_PAUSE_MS_MAX || (tcf.listening && gpp.listening)) return;
  setTimeout(() => keepLooking(pause * 1.5), pause);
}

/** Watches for a choice; `onChange` is called whenever something above may answer otherwise. */
export function watchConsent(milliseconds: number, onChange: () => void): void {
  waitMs = milliseconds;
  changed = onChange;
  readUsPrivacy();
  keepLooking(LOOK_PAUSE_MS);
  setTimeout(() => {
    looked = true;
    look();
    changed();
  }, LOOK_MS);
}
