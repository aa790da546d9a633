#!/usr/bin/env bash
# Prints the path of a Python that has what partners read files with: DuckDB and pyroaring (PyPI),
# in a home of its own under target/.
set -euo pipefail
cd "$(dirname "$0")"
home="$PWD/../../target/readers-1"
if [ ! -e "$home/ready" ]; then
    echo "installing duckdb and pyroaring into target/" >&2
    virtualenv --quiet "$home" >&2
    "$home/bin/pip" install --quiet duckdb==2.0.0 pyroaring==1.2.0 pytz==2026.6 >&2
    touch "$home/ready"
fi
echo "$home/bin/python"
