#!/usr/bin/env bash
# Prints the path of a Python that has what partners read with: DuckDB, pyroaring, protobuf (PyPI),
# in a home of its own under target/.
set -euo pipefail
cd "$(dirname "$0")"
home="$PWD/../../target/readers-2"
if [ ! -e "$home/ready" ]; then
    echo "installing duckdb, protobuf and pyroaring into target/" >&2
    virtualenv --quiet "$home" >&2
    "$home/bin/pip" install --quiet duckdb==2.0.0 protobuf==7.36.2 pyroaring==1.2.0 pytz==2026.6 >&2
    touch "$home/ready"
fi
echo "$home/bin/python"
