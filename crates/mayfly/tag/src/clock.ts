// Engaged time: the page is visible, and the visitor did something in the last half minute.

import { ENGAGED_MS_MAX, ENGAGED_MS_MIN, IDLE_MS } from "./limits";

const SIGNS = ["pointerdown", "pointermove", "keydown", "scroll", "wheel", "touchstart"];

/** Engaged, and not yet taken. */
let engaged = 0;
/** Up to when time has been counted. */
let mark = 0;
/** When the visitor counts as gone, unless he does something. */
let idleFrom = 0;
let visible = false;

/** Counts up to now. */
function count(): void {
  const now = performance.now();
  if (visible) engaged += Math.max(0, Math.min(now, idleFrom) - mark);
  mark = now;
}

function see(): void {
  count();
  visible = document.visibilityState === "visible";
}

/** A page begins here, and what is left of the one before is too little to tell. */
export function restartClock(): void {
  see();
  engaged = 0;
  idleFrom = mark + IDLE_MS;
}

export function startClock(): void {
  restartClock();
  const active = () => {
    count();
    idleFrom = mark + IDLE_MS;
  };
  for (const sign of SIGNS) addEventListener(sign, active, { capture: true, passive: true });
  document.addEventListener("visibilitychange", see, true);
}

/** Takes the time to send, whole milliseconds; 0 = too little yet, kept for the next message. */
export function takeEngaged(): number {
  count();
  if (engaged < ENGAGED_MS_MIN) return 0;
  const taken = Math.floor(Math.min(engaged, ENGAGED_MS_MAX));
  engaged -= taken;
  return taken;
}
