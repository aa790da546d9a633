#!/usr/bin/env bash
# Compares Mayfly's consent decoders with the IAB's own: makes strings at random, reads each with
# both, fails on any difference, and prints what a string costs each.
#
#   benches/consent/run.sh [STRINGS [SEED]]
#
# Needs Node 20 or newer. MAYFLY_DATA names the folder of real data, as for the tests: the vendor
# list lies beside it.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
data=$(realpath "${MAYFLY_DATA:-$here/../../../shared/data}")
cd "$here"
list="$data/../protocols/vectors/gvl/vendor-list-v3-17.json"
results="$here/results"
mkdir -p "$results"

npm ci --silent --no-audit --no-fund
node strings.mjs "$list" "${1:-10000}" "${2:-1}" > "$results/strings.jsonl"
MAYFLY_CONSENT_STRINGS="$results/strings.jsonl" \
  cargo bench --package mayfly-benches --bench consent | tee "$results/mayfly.txt"
node speed.mjs "$results/strings.jsonl" > "$results/reference.json"
node table.mjs "$results/mayfly.txt" "$results/reference.json"
