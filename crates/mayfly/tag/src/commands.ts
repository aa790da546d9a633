// The page's way to the tag: the function `mayfly`, its methods, and the calls queued before it
// came. Tags of several sites on one page share it.

import { guard } from "./guard";

/** One site's tag; `args` begin with the command's name. */
export type Tag = (args: ArrayLike<unknown>) => void;

interface Mayfly {
  (...args: unknown[]): void;
  /** Where the stub of the page queues its calls: a copy of the stub may still do so. */
  q: { push(args: ArrayLike<unknown>): void };
  /** What was queued before the first tag came; each later tag hears it, too. */
  early: ArrayLike<unknown>[];
  /** The tags, by site key. */
  sites: Record<string, Tag>;
  [method: string]: unknown;
}

type Global = { mayfly?: Partial<Mayfly> & { q?: unknown } };

const METHODS = ["event", "page", "segments", "privacy", "optOut", "optIn"];

function isQuestion(args: ArrayLike<unknown>): boolean {
  return args[0] === "segments" || args[0] === "privacy";
}

function newMayfly(queue: unknown): Mayfly {
  const call = (args: ArrayLike<unknown>) => {
    const tags = Object.values(mayfly.sites);
    // A question is answered once: by the first.
    for (const tag of isQuestion(args) ? tags.slice(0, 1) : tags) guard(tag)(args);
  };
  const mayfly = function () {
    call(arguments);
  } as unknown as Mayfly;
  for (const name of METHODS) mayfly[name] = (...args: unknown[]) => call([name, ...args]);
  mayfly.sites = {};
  mayfly.q = { push: call };
  mayfly.early = Array.isArray(queue) ? queue : [];
  return mayfly;
}

/** Whether a tag of this site runs already. */
export function isRunning(site: string): boolean {
  const { mayfly } = window as Global;
  return !!(mayfly && mayfly.sites && mayfly.sites[site]);
}

/** Takes this tag's calls from now on, those that were queued first. */
export function join(site: string, tag: Tag): void {
  const scope = window as Global;
  const before = scope.mayfly;
  const isFirst = !before || !before.sites;
  const mayfly = isFirst ? newMayfly(before && before.q) : (before as Mayfly);
  scope.mayfly = mayfly;
  mayfly.sites[site] = tag;
  for (const args of mayfly.early) if (isFirst || !isQuestion(args)) guard(tag)(args);
}
