// Every size and time of the tag, in one place. A name ends in its unit.

/** The server takes 16 KB. Room is left, and what does not fit is left out whole. */
export const BODY_BYTES = 16_000;
export const URL_BYTES = 2048;
export const TITLE_BYTES = 512;
/** Keywords, and categories, of a page: how many, and joined by commas. */
export const PAGE_WORDS = 64;
export const PAGE_WORDS_BYTES = 2048;
/** All JSON-LD of a page: parsing more could be felt. */
export const LINKED_DATA_CHARS = 100_000;

export const ATTRIBUTES = 32;
export const ATTRIBUTE_NAME_BYTES = 64;
export const ATTRIBUTE_VALUE_BYTES = 256;

/** Hits that wait, or that wait for a choice; of more, the oldest are given up. */
export const HITS_MAX = 50;

/** Without any consent API in sight after this time, hits go without a choice. */
export const LOOK_MS = 500;
/** The first pause between two looks; each one is half as long again. */
export const LOOK_PAUSE_MS = 50;
/** No consent platform comes later than two pauses after this one. */
export const LOOK_PAUSE_MS_MAX = 20_000;
/** How long hits wait for a choice, unless the page says otherwise. */
export const WAIT_MS = 30_000;

/** From a navigation to the reading of its title: the time a router needs to set it. */
export const SETTLE_MS = 200;
/** A visitor who does nothing for so long is not engaged. */
export const IDLE_MS = 30_000;
export const ENGAGED_MS_MIN = 1000;
export const ENGAGED_MS_MAX = 3_600_000;

export const ID_SECONDS = 90 * 86400;
/** The longest life that browsers give a cookie: 400 days. */
export const OPT_OUT_SECONDS = 400 * 86400;
