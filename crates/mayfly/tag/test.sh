#!/usr/bin/env bash
# The script tag's own checks: types, behaviour in a real browser, size, and that the built file is
# what the source makes. Skipped only where there is no browser or no Node, and never in CI.
set -euo pipefail
cd "$(dirname "$0")"

for program in node npm chromium; do
    if ! command -v "$program" >/dev/null; then
        echo "skipped: no $program"
        [ -z "${CI:-}" ]
        exit
    fi
done
[ -d node_modules/playwright-core ] || npm ci --no-audit --no-fund
npm run --silent check
npm test --silent
