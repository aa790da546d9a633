// What a page says of itself: URL, title, keywords, publisher categories.

import { LINKED_DATA_CHARS, PAGE_WORDS, PAGE_WORDS_BYTES, TITLE_BYTES, URL_BYTES } from "./limits";
import { cut, type Pair } from "./parameters";

/** What a site may say of a page itself, instead of what stands in the document. */
export interface Page {
  title?: unknown;
  url?: unknown;
  keywords?: unknown;
  categories?: unknown;
  attributes?: unknown;
}

/** Adds the words in a value: a text with commas, a thing with a name, or a list of these. */
function addWords(value: unknown, words: Set<string>): void {
  if (words.size >= PAGE_WORDS) return;
  if (typeof value === "string") {
    for (const word of value.split(",", PAGE_WORDS)) if (word.trim()) words.add(word.trim());
  } else if (Array.isArray(value)) {
    for (const item of value) addWords(item, words);
  } else if (value) {
    addWords((value as { name?: unknown }).name, words);
  }
}

function addMeta(selector: string, words: Set<string>): void {
  document.querySelectorAll<HTMLMetaElement>(selector).forEach((m) => addWords(m.content, words));
}

/** Adds the categories of the things in a JSON-LD document. */
function addThings(json: any, words: Set<string>): void {
  if (Array.isArray(json)) {
    for (const item of json) addThings(item, words);
  } else if (json) {
    for (const key of ["articleSection", "genre", "about", "category"]) addWords(json[key], words);
    addThings(json["@graph"], words);
  }
}

function addLinkedData(words: Set<string>): void {
  let room = LINKED_DATA_CHARS;
  document.querySelectorAll('script[type="application/ld+json"]').forEach((script) => {
    const text = script.textContent || "";
    room -= text.length;
    if (room < 0) return;
    try {
      addThings(JSON.parse(text), words);
    } catch {
      // Broken JSON-LD is the page's own affair.
    }
  });
}

/** Comma-joined words: what the site gave, else what stands in the document. */
function listOf(given: unknown, addFromDocument: (words: Set<string>) => void): string {
  const words = new Set<string>();
  if (given === undefined) addFromDocument(words);
  else addWords(given, words);
  return cut(Array.from(words).slice(0, PAGE_WORDS).join(","), PAGE_WORDS_BYTES);
}

function addCategories(words: Set<string>): void {
  addMeta('meta[name="mayfly:categories"],meta[property="article:section"]', words);
  addLinkedData(words);
}

function addKeywords(words: Set<string>): void {
  addMeta("meta[name=keywords]", words);
}

/** The parameters of the page as it is now. */
export function describePage(given: Page, referrer: string): Pair[] {
  const url = given.url ? new URL(String(given.url), location.href).href : location.href;
  const title = String(given.title === undefined ? document.title : given.title);
  return [
    ["u", cut(url, URL_BYTES)],
    ["t", cut(title.trim(), TITLE_BYTES)],
    ["r", cut(referrer, URL_BYTES)],
    ["c", listOf(given.categories, addCategories)],
    ["k", listOf(given.keywords, addKeywords)],
  ];
}
