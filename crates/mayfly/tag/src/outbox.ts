// The way of a hit to the server: it waits for the visitor's choice, goes alone, and takes part in
// the server's probe for a first-party id. When the page is hidden, all that waits leaves at once.

import { choice, consentPairs, isDecided, isOpen } from "./consent";
import { forgetId, isOptedOut, keepId, keptId, rememberOptOut } from "./cookies";
import { guard } from "./guard";
import { HITS_MAX } from "./limits";
import { encode, idParameter, type Pair } from "./parameters";
import { post } from "./post";

export interface Hit {
  /** What happened: these come before the consent strings, which may be long. */
  event: Pair[];
  /** On which page, and the attributes. */
  details: Pair[];
  /** Went a second time, after it had been refused for want of a choice. */
  again?: boolean;
}

interface Answer {
  outcome?: string | null;
  reason?: string | null;
  probe?: string;
  id?: string;
  out?: boolean;
  /** Partners are to be asked for their ids: the beginning of a query. */
  sync?: string;
}

const waiting: Hit[] = [];
/** Refused while the visitor had not chosen. */
let refused: Hit[] = [];
/** One hit at a time: two that ask for an id at once would make two visitors of one. */
let busy = false;
/** Nothing is sent singly: the page is being left. */
let leaving = false;
/** The choice that went with the last hit. */
let told: string | undefined;
let base = "";
let url = "";

export function openOutbox(server: string): void {
  base = server;
  url = server + "p.gif";
}

function bodyOf(hit: Hit): string {
  const body = encode([...hit.event, ...consentPairs(), ...hit.details]);
  told = choice();
  return body;
}

/** Sends a hit and hears what became of it. */
async function ask(hit: Hit, id: string | undefined): Promise<Answer> {
  if (isOptedOut()) return {};
  try {
    return (await (await post(url, bodyOf(hit) + "&j=1" + idParameter(id))).json()) || {};
  } catch {
    return {};
  }
}

/**
 * The visitor himself said no, so his id goes: he opted out, or a string that was sent and could be
 * read does not grant. Where nobody chose yet, or the string is broken, nothing is erased.
 */
function isNo({ outcome, reason }: Answer): boolean {
  return outcome === "opted_out" || reason === "refused" || reason === "not_disclosed";
}

/** Sends a hit, a second time with the nonce if the server asks whether an id would be kept. */
async function deliver(hit: Hit): Promise<void> {
  const chosen = isDecided();
  let answer = await ask(hit, keptId());
  if (answer.probe) answer = await ask(hit, answer.probe);
  if (answer.out) rememberOptOut();
  if (isOptedOut()) return;
  if (answer.id) keepId(answer.id);
  if (isNo(answer)) forgetId();
  // An image is led from one partner to the next.
  if (answer.sync) new Image().src = base + "sync?" + answer.sync + encode(consentPairs());
  if (answer.outcome === "no_consent" && !chosen && !hit.again) {
    refused = [...refused, hit].slice(-HITS_MAX);
    sendAgain();
  }
}

/** Once there is a choice, what was refused without one goes again. */
function sendAgain(): void {
  if (!isDecided()) return;
  for (const hit of refused) waiting.push(Object.assign({}, hit, { again: true }));
  refused = [];
}

function sendNext(): void {
  const hit = !busy && !leaving && isOpen() && waiting.shift();
  if (!hit) return;
  busy = true;
  const next = () => {
    busy = false;
    sendNext();
  };
  deliver(hit).then(next, next);
}

export function submit(hit: Hit): void {
  waiting.push(hit);
  if (waiting.length > HITS_MAX) waiting.shift();
  sendNext();
}

/** The consent platform spoke. Answers whether the server knows less than it should. */
export function choiceChanged(): boolean {
  sendAgain();
  sendNext();
  return isDecided() && told !== undefined && told !== choice() && !waiting.length;
}

/**
 * The page may never run again: sends all that waits and what `lastHits` submits, without hearing
 * the answers.
 */
export function flush(lastHits: () => void): void {
  leaving = true;
  guard(lastHits)();
  leaving = false;
  for (const hit of waiting.splice(0)) {
    if (isOptedOut()) return;
    const body = bodyOf(hit) + idParameter(keptId() || undefined);
    if (!navigator.sendBeacon || !navigator.sendBeacon(url, body)) {
      post(url, body).catch(() => {});
    }
  }
}
