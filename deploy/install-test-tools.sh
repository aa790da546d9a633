#!/usr/bin/env bash
# Installs the Debian packages whose programs the tests drive. Does nothing where all are there.
# Services that the packages bring are not started, and none that runs is touched.
set -euo pipefail

# program  package  what for
tools='
redis-server   redis-server  the contract suite on a real Redis and a real Redis Cluster
redis-cli      redis-tools   the same
promtool       prometheus    checks of /metrics and of the alert rules
nginx          nginx-light   a check of deploy/nginx.conf, and the side-by-side bench
sqlite3        sqlite3       the independent count that every segment is compared with
zstd           zstd          unpacking real data sets
openssl        openssl       a certificate for the TLS listener
curl           curl          HTTP/2 over TLS
chromium       chromium      the script tag and the cookies in a real browser
node           nodejs        what drives that browser
sshd           openssh-server  files that are delivered by SFTP
ssh-keygen     openssh-client  keys for that
npm            npm           the same
virtualenv     virtualenv    homes for schemathesis, which tries the API, and for readers of files
'

missing=()
while read -r program package why; do
    [ -n "$program" ] || continue
    if ! PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null; then
        echo "installing $package: $why"
        missing+=("$package")
    fi
done <<<"$tools"
[ "${#missing[@]}" -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "no apt-get here; install these yourself: ${missing[*]}" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
    if ! command -v sudo >/dev/null; then
        echo "neither root nor sudo; install these yourself: ${missing[*]}" >&2
        exit 1
    fi
fi

# Debian starts a package's service at once unless this file says no; it is ours for a moment only.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
"${as_root[@]}" apt-get update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends "${missing[@]}"
