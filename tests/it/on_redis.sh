#!/usr/bin/env bash
# The stories of deliveries, exports and imports again, on a real Redis and on a real Redis Cluster;
# without those that name a store themselves. They mostly wait, so more of them go at a time.
set -euo pipefail
cd "$(dirname "$0")/../.."
MAYFLY_READERS="$(tests/readers/install.sh)"
export MAYFLY_READERS
for store in redis cluster; do
    MAYFLY_TEST_STORE="$store" cargo test --package mayfly-tests --test it -- \
        deliveries exports imports uploads --skip redis --skip cluster --test-threads 4
done
