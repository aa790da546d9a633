// Sets Mayfly's figures (last line of a file) beside the reference's, with the ratio.
//
//   node table.mjs mayfly.txt reference.json

import { readFileSync } from "node:fs";

const [own, reference] = process.argv.slice(2).map((file) => {
  return JSON.parse(readFileSync(file, "utf8").trimEnd().split("\n").at(-1));
});
/** What is measured; ours, the reference's for the same answer. */
const ROWS = [
  ["TC string, decode", "tcf", "tcf"],
  ["  those without restrictions", "tcf_unrestricted", "tcf_unrestricted"],
  ["  decode and decide for a vendor", "tcf_decide", "tcf"],
  ["  decode and write all vendors out", "tcf_members", "tcf"],
  ["GPP string, all sections", "gpp", "gpp"],
  ["worst case, decode", "worst", "worst"],
  ["  decode and decide for a vendor", "worst_decide", "worst"],
];

const number = (value) => Math.round(value).toLocaleString("en-GB");
const row = (...cells) => console.log(cells[0].padEnd(36) + cells.slice(1).map((cell) => {
  return cell.padStart(16);
}).join(""));
row("ns a string", "mayfly", "reference", "times faster");
for (const [name, ours, theirs] of ROWS) {
  row(name, number(own[ours]), number(reference[theirs]), number(reference[theirs] / own[ours]));
}
