// The body of a hit: form parameters, none of them longer than the server takes.

import { ATTRIBUTES, ATTRIBUTE_NAME_BYTES, ATTRIBUTE_VALUE_BYTES, BODY_BYTES } from "./limits";

/** What has no value (`undefined`, `null`, the empty text) is not sent. */
export type Pair = [name: string, value: unknown];

/** The text's beginning, at most so many bytes of UTF-8, never half a character. */
export function cut(text: string, bytes: number): string {
  return text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(bytes)).read);
}

/** `a.<name>` of each attribute that is a text, a number or a truth value. */
export function attributePairs(attributes: unknown): Pair[] {
  return Object.entries(Object(attributes))
    .filter(([name, value]) => name && /^(string|number|boolean)$/.test(typeof value))
    .slice(0, ATTRIBUTES)
    .map(([name, value]): Pair => [
      "a." + cut(name, ATTRIBUTE_NAME_BYTES),
      cut(String(value), ATTRIBUTE_VALUE_BYTES),
    ]);
}

/** What joins a first-party id to a body or query, if there is one (the empty one counts). */
export function idParameter(id: string | undefined): string {
  return id === undefined ? "" : "&fp=" + encodeURIComponent(id);
}

/** The pairs as one form body, in order: those that matter most stand first. */
export function encode(pairs: Pair[]): string {
  let body = "";
  for (const [name, value] of pairs) {
    const longer = `${body && body + "&"}${new URLSearchParams({ [name]: String(value) })}`;
    if (value != null && value !== "" && longer.length <= BODY_BYTES) body = longer;
  }
  return body;
}
