#!/usr/bin/env bash
# The API against its own description: `tests/api/run.sh`. Schemathesis (PyPI) sends what the
# OpenAPI document allows and what it forbids, to a server with the demo's definitions. Tries
# $MAYFLY_BIN, else what `cargo build --package mayfly --profile ci` made.
set -euo pipefail
cd "$(dirname "$0")"
version=4.32.5
home="$PWD/../../target/schemathesis-$version"
bin="${MAYFLY_BIN:-$PWD/../../target/ci/mayfly}"
if [ ! -x "$bin" ]; then
    echo "no program at $bin; build it, or set MAYFLY_BIN" >&2
    exit 1
fi
if [ ! -x "$home/bin/schemathesis" ]; then
    echo "installing schemathesis $version into target/"
    virtualenv --quiet "$home"
    "$home/bin/pip" install --quiet "schemathesis==$version"
fi

data="$(mktemp -d)"
server=""
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$data"' EXIT
port="${MAYFLY_API_PORT:-18733}"
MAYFLY_ADMIN_TOKEN=tried "$bin" serve --demo --data "$data/store" --bind "127.0.0.1:$port" \
    >"$data/log" 2>&1 &
server=$!
for _ in $(seq 100); do
    curl --silent --fail --output /dev/null "http://127.0.0.1:$port/ready" && break
    sleep 0.2
done
config="$PWD/schemathesis.toml"
cd "$data" # it keeps what it found beside it
# Nobody raises a thousand partitions in a test.
if ! "$home/bin/schemathesis" --config-file "$config" run --exclude-operation-id raisePartitions \
    "http://127.0.0.1:$port/api/v1/openapi.json" --header "Authorization: Bearer tried" \
    --checks all --suppress-health-check filter_too_much --max-examples "${MAYFLY_API_EXAMPLES:-20}" --generation-deterministic \
    --no-color >"$data/report" 2>&1; then
    sed -n '/= ERRORS\|= FAILURES/,$p' "$data/report" >&2
    tail -20 "$data/report" >&2
    exit 1
fi
tail -4 "$data/report"
