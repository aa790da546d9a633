// Writes consent strings made at random, each with what the reference decoder reads in it.
//
//   node strings.mjs [VENDOR_LIST [STRINGS [SEED]]] > strings.jsonl
//
// A JSON object a line: kind ("tcf", "gpp" or "worst"), string, expected. The same seed writes the
// same strings. Without a vendor list MAYFLY_DATA names the folder beside which it lies.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as gpp from "./gpp.mjs";
import { Random } from "./random.mjs";
import * as tcf from "./tcf.mjs";

const LIST = "../protocols/vectors/gvl/vendor-list-v3-17.json";
const data = process.env.MAYFLY_DATA ?? join(import.meta.dirname, "../../../shared/data");
const [list = join(data, LIST), strings = "10000", seed = "1"] = process.argv.slice(2);

const random = new Random(Number(seed));
const ofEurope = new tcf.TcfMaker(random, JSON.parse(readFileSync(list, "utf8")));
const platform = new gpp.GppMaker(random, ofEurope);

function write(kind, string, read) {
  process.stdout.write(`${JSON.stringify({ kind, string, expected: read(string) })}\n`);
}

for (let at = 0; at < Number(strings); at++) {
  write("tcf", ofEurope.make(), tcf.read);
  if (at % 4 === 0) write("gpp", platform.make(), gpp.read);
}
// Last, since the reference takes seconds for it.
write("worst", tcf.worst(), tcf.read);
