// All tests of the tag, in one browser, several at a time: most of their time they wait.

import { after, describe } from "node:test";
import { world } from "./world.mjs";

const AT_ONCE = 6;

after(() => world.close());

describe("the tag", { concurrency: AT_ONCE }, async () => {
  for (const part of ["dist", "views", "consent", "visitor", "page"]) {
    await import(`./${part}.mjs`);
  }
});
