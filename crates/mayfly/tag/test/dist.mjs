// The built file: fresh, small, and without what a strict page forbids.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { DIST, bundle } from "../build.mjs";

const GZIP_BYTES = 4096;
const LINES = 300;
const LINE_CHARS = 100;

test("dist/tag.js is what src/ builds", async () => {
  assert.equal(await readFile(DIST, "utf8"), await bundle(), "run `npm run build`");
});

test("it is small", async () => {
  const { length } = gzipSync(await readFile(DIST), { level: 9 });
  assert.ok(length <= GZIP_BYTES, `${length} bytes`);
});

test("it does nothing that a content security policy forbids", async () => {
  const text = await readFile(DIST, "utf8");
  assert.doesNotMatch(text, /\beval\b|new Function|document\.write|innerHTML|\.style\b|import\(/);
});

test("sources are short and narrow", async () => {
  for (const folder of ["../src/", "../test/"]) {
    const url = new URL(folder, import.meta.url);
    for (const name of await readdir(url)) {
      const lines = (await readFile(new URL(name, url), "utf8")).split("\n");
      assert.ok(lines.length <= LINES, `${name}: ${lines.length} lines`);
      const wide = lines.findIndex((line) => line.length > LINE_CHARS);
      assert.equal(wide, -1, `${name}:${wide + 1} is wider than ${LINE_CHARS}`);
    }
  }
});
