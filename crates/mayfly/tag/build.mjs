// Builds the tag: all of src/ in one minified file. `node build.mjs` writes dist/tag.js.
import { build } from "esbuild";
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

export const DIST = fileURLToPath(new URL("dist/tag.js", import.meta.url));

/** The built file's text. */
export async function bundle() {
  const built = await build({
    entryPoints: [fileURLToPath(new URL("src/main.ts", import.meta.url))],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: "es2017",
    legalComments: "none",
  });
  return built.outputFiles[0].text;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(DIST, await bundle());
}
