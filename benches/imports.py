#!/usr/bin/env python3
"""Imports: a large file of a partner's audiences, mostly of ids that nobody here has; rate and memory.

    benches/imports.py [--members 200000] [--gigabytes 1.0]

The file is CSV. Some of its ids are known by the store, each under two codes; the rest is not, as it mostly is.
"""
import argparse, pathlib, subprocess, sys, time

from program import BINARY, Mayfly, say_where, scratch

DEFINITIONS = """format = 1
[[site]]
key = "news"
origins = ["*"]
consent = "none"
[[partner]]
key = "acme"
processor = true
[[category]]
name = "Acme > A"
[category.import]
partner = "acme"
code = "a"
basis = "bench"
[[category]]
name = "Acme > B"
[category.import]
partner = "acme"
code = "b"
basis = "bench"
[[segment]]
name = "both"
rule = 'visited("Acme > A", within 30d) and visited("Acme > B", within 30d)'
"""


def peak_mb(server):
    text = pathlib.Path(f"/proc/{server.server.pid}/status").read_text()
    return int(next(l for l in text.splitlines() if l.startswith("VmHWM")).split()[1]) / 1024


def write(path, members, size):
    rows = 0
    with open(path, "w", buffering=1 << 20) as out:
        out.write("uid,segment\n")
        for n in range(members):
            out.write(f"v{n},a\nv{n},b\n")
            rows += 2
        n = 0
        while out.tell() < size:
            out.write("".join(f"stranger-{n + i:012d},a\n" for i in range(10_000)))
            n, rows = n + 10_000, rows + 10_000
    return rows


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--members", type=int, default=200_000)
    a.add_argument("--gigabytes", type=float, default=1.0)
    o = a.parse_args()
    say_where()
    with scratch() as folder:
        top = pathlib.Path(folder)
        server = Mayfly(top / "data")
        status, _, body = server.call("POST", "/api/v1/definitions/apply", DEFINITIONS, "text/plain")
        if status != 200:
            sys.exit(f"definitions were refused: {status} {body.decode()[:500]}")
        now = int(time.time() * 1000)
        for first in range(0, o.members, 1000):
            server.post_hits([{"site": "news", "url": "https://n.example/1", "time": now,
                               "visitor": {"space": "crm", "id": f"v{n}"}} for n in range(first, first + 1000)])
        rows = write(top / "large.csv", o.members, int(o.gigabytes * 1e9))
        before = peak_mb(server)
        for what in ["first time", "again"]:
            begun = time.monotonic()
            done = subprocess.run([BINARY, "--data", top / "data", "import", top / "large.csv", "--partner", "acme", "--ids", "crm"],
                                  capture_output=True, text=True)
            took = time.monotonic() - begun
            if done.returncode:
                sys.exit(done.stderr)
            print(f"{what}: {rows:,} rows, {o.gigabytes} GB in {took:.0f} s: {rows / took:,.0f} rows/s; "
                  f"memory at most {peak_mb(server):.0f} MB (before {before:.0f})", flush=True)
        held = server.json("/api/v1/segments/both")["held"]
        print(f"in the segment of both: {held:,} of {o.members:,}")
        server.stop()


main()
