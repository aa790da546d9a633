#!/usr/bin/env bash
# Measures everything that docs/performance.md tells, in order, and keeps what was printed.
#
#   benches/run.sh [NAME …]     names: micro collector bytes latency syncs deliveries imports olap growth; without one, all
#                               but growth, which takes half an hour
#
# Uses the release binary, and builds it when it is older than the source. MAYFLY_DATA names the
# folder of real data, as for the tests; without its OULAD set `bytes` is left out, and that is said.
set -euo pipefail
cd "$(dirname "$0")/.."

# No compiled Python beside the scripts.
export PYTHONDONTWRITEBYTECODE=1
results="benches/results/$(date -u +%Y-%m-%dT%H-%M-%SZ)"
mkdir -p "$results"
data="${MAYFLY_DATA:-../shared/data}/oulad/hand"
names=("$@")
if [ ${#names[@]} -eq 0 ]; then names=(micro collector bytes latency syncs deliveries imports olap); fi

# Prints the command, runs it, keeps its output.
measure() {
  local name=$1
  shift
  {
    echo "\$ $*"
    echo "machine: $(nproc) cores, $(uname -sr), load$(cut -d' ' -f1-3 /proc/loadavg | sed 's/^/ /')"
    "$@"
  } 2>&1 | tee "$results/$name.txt"
}

cargo build --release --package mayfly
for name in "${names[@]}"; do
  case $name in
    micro) measure micro cargo bench --package mayfly-benches -- --noplot ;;
    collector) measure collector benches/collector_vs_nginx.py ;;
    bytes)
      if [ -e "$data/studentVle_hand.csv.zst" ]; then
        measure bytes benches/redis_bytes.py
      else
        echo "bytes: left out, no OULAD set in $data (MAYFLY_DATA)" | tee "$results/bytes.txt"
      fi
      ;;
    latency) measure latency benches/latency.py ;;
    syncs) measure syncs benches/syncs.py ;;
    deliveries) measure deliveries benches/deliveries.py ;;
    imports) measure imports benches/imports.py ;;
    olap) measure olap benches/segments_vs_olap.py ;;
    growth)
      for millions in 1 5 20; do
        measure "olap-$millions" benches/segments_vs_olap.py --hits "${millions}000000"
      done
      benches/growth.py "$results"/olap-*.txt >"$results/growth.svg"
      ;;
    *) echo "unknown: $name (micro collector bytes latency syncs deliveries imports olap growth)" >&2; exit 2 ;;
  esac
done
echo "kept in $results"
