#!/usr/bin/env bash
# The tests in a real browser: `tests/browser/run.sh`. Tries $MAYFLY_BIN, else what
# `cargo build --package mayfly --profile ci` made. Skipped only where there is no browser or no
# Node, and never in CI.
set -euo pipefail
cd "$(dirname "$0")"

export CHROMIUM="${CHROMIUM:-/usr/bin/chromium}"
missing=()
command -v "$CHROMIUM" >/dev/null || missing+=("$CHROMIUM")
command -v node >/dev/null || missing+=(node)
if [ "${#missing[@]}" -gt 0 ]; then
    echo "skipped: no ${missing[*]}"
    [ -z "${CI:-}" ]
    exit
fi

for program in npm openssl redis-server setpriv; do
    if ! command -v "$program" >/dev/null; then
        echo "no $program here" >&2
        exit 1
    fi
done

export MAYFLY_BIN="${MAYFLY_BIN:-$PWD/../../target/ci/mayfly}"
if [ ! -x "$MAYFLY_BIN" ]; then
    echo "no program at $MAYFLY_BIN; build it, or set MAYFLY_BIN" >&2
    exit 1
fi

[ -d node_modules/playwright-core ] || npm ci --no-audit --no-fund
npm test --silent
