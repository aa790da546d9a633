// Times the reference decoders on the strings of strings.mjs, and prints ns a string as JSON.
//
//   node speed.mjs strings.jsonl [ROUNDS]

import { readFileSync } from "node:fs";
import { TCString } from "@iabtcf/core";
import { decodeAll } from "./gpp.mjs";

const [file, rounds = "7"] = process.argv.slice(2);
const lines = readFileSync(file, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
const of = (kind) => lines.filter((line) => line.kind === kind);
const plain = (line) => line.expected.publisher_restrictions.length === 0;
const texts = (some) => some.map((line) => line.string);

/** Median ns a string, after one round that is not counted. */
function time(strings, decode, times = Number(rounds)) {
  const round = () => {
    const start = process.hrtime.bigint();
    strings.forEach(decode);
    return Number(process.hrtime.bigint() - start) / strings.length;
  };
  if (times > 1) round();
  const all = Array.from({ length: times }, round).sort((one, other) => one - other);
  return Math.round(all[times >> 1]);
}

const decode = (string) => TCString.decode(string);
const figures = {
  tcf: time(texts(of("tcf")), decode),
  // Apart: the library puts restricted vendors into a tree that it does not balance.
  tcf_unrestricted: time(texts(of("tcf").filter(plain)), decode),
  gpp: time(texts(of("gpp")), decodeAll),
  // Once: it takes seconds.
  worst: time(texts(of("worst")), decode, 1),
};
console.log(JSON.stringify(figures));
