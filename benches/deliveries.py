#!/usr/bin/env python3
"""Deliveries: from a hit to the partner's yes; a whole segment over HTTP and into files, beside DuckDB's COPY of the same rows.

    benches/deliveries.py [--members 1000000] [--hits 200]

A partner on the same machine says yes to everything. Ids are ours. DuckDB (PyPI) is asked for in $MAYFLY_READERS' Python, or
this one; without it that part is left out. On one machine of two cores: partner and program share them.
"""
import argparse, http.server, json, pathlib, statistics, subprocess, sys, threading, time

from program import Mayfly, say_where, scratch, start

DEFINITIONS = """format = 1
[[site]]
key = "news"
origins = ["*"]
consent = "none"
[[segment]]
name = "all"
rule = 'visited("*", within 30d)'
[[partner]]
key = "acme"
processor = true
"""

DESTINATION = """
[[destination]]
name = "{name}"
partner = "acme"
ids = "ours"
country = "NL"
transfer = "within"
minimum = 1
schedule = "{schedule}"
{more}
segments = [{{ segment = "all", code = "11" }}]
{way}
"""

REQUEST = """[destination.request]
url = "http://localhost:{port}/"
add = '{{{{ items|map(attribute="uid")|list }}}}'
remove = '{{{{ items|map(attribute="uid")|list }}}}'
"""

COPY = """
import duckdb, sys, time
folder, into = sys.argv[1], sys.argv[2]
db = duckdb.connect()
db.execute("set threads to 1")
db.execute("set enable_progress_bar to false")
db.execute(f"create table rows as select * from read_parquet('{folder}/*.parquet')")
n = db.execute("select count(*) from rows").fetchall()[0][0]
for what, options in [("csv", "format csv, header"), ("parquet", "format parquet, compression zstd")]:
    begun = time.monotonic()
    db.execute(f"copy rows to '{into}/duckdb.{what}' ({options})")
    print(what, n / (time.monotonic() - begun))
"""


class Partner:
    """Takes everything; notes when it was told of whom."""

    def __init__(self):
        told = self.told = {}
        self.requests = 0
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                now = time.monotonic()
                for uid in json.loads(body):
                    told.setdefault(uid, now)
                owner.requests += 1
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def apply(server, destinations):
    """The definitions with these destinations, and no others."""
    text = DEFINITIONS + destinations
    status, _, body = server.call("POST", "/api/v1/definitions/apply?prune=true&allow_drop=true", text, "text/plain")
    if status != 200:
        sys.exit(f"definitions were refused: {status} {body.decode()[:500]}")


def hits(first, number, at):
    for n in range(first, first + number, 1000):
        yield [{"site": "news", "url": "https://n.example/1", "time": at,
                "visitor": {"space": "crm", "id": f"v{own}"}} for own in range(n, min(n + 1000, first + number))]


def until(what, ask, patience=1800):
    begun = time.monotonic()
    while not ask():
        if time.monotonic() - begun > patience:
            sys.exit(f"{what}: not within {patience} s")
        time.sleep(0.05)


def resident_mb(server, what):
    """Memory: VmRSS, now; VmHWM, at most since `from_now`."""
    text = pathlib.Path(f"/proc/{server.server.pid}/status").read_text()
    return int(next(l for l in text.splitlines() if l.startswith(what)).split()[1]) / 1024


def from_now(server):
    """What was the most until now is forgotten."""
    pathlib.Path(f"/proc/{server.server.pid}/clear_refs").write_text("5")


def latency(server, partner, schedule, o):
    """From the answer to a hit to the partner's being told of its visitor, seconds."""
    way = REQUEST.format(port=partner.port)
    apply(server, DESTINATION.format(name="quick", schedule=schedule, more="", way=way))
    time.sleep(3)
    waits, known = [], len(partner.told)
    for n in range(o.hits):
        server.post_hits(next(hits(10**9 + n + o.hits * len(schedule), 1, int(time.time() * 1000))))
        sent = time.monotonic()
        time.sleep(0.05)
        waits.append(sent)
    until("all are told", lambda: len(partner.told) >= known + o.hits)
    told = sorted(partner.told.values())[-o.hits:]
    took = sorted(t - s for s, t in zip(waits, told))
    print(f"from hit to accepted, schedule {schedule!r}: p50 {statistics.median(took):.2f} s, "
          f"p99 {took[int(len(took) * 0.99)]:.2f} s ({o.hits} hits)")


def whole(server, name, way, more, o):
    """A first, full delivery."""
    from_now(server)
    before = resident_mb(server, "VmRSS")
    apply(server, DESTINATION.format(name=name, schedule="every 1h", more=more, way=way))
    begun = time.monotonic()
    last = lambda: server.json(f"/api/v1/destinations/{name}")["last"] or {}
    until(f"{name} is served", lambda: last().get("status") == "done")
    own, took = last(), time.monotonic() - begun
    pairs = own["pairs"]["accepted"]
    print(f"{name:<10} {pairs:,} members in {took:.1f} s: {pairs / took:,.0f}/s, {own['batches_in_all']} batches or files, "
          f"{own['bytes'] / 1e6:.0f} MB; memory at most {resident_mb(server, 'VmHWM'):.0f} MB (before {before:.0f})", flush=True)
    return pairs / took


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--members", type=int, default=1_000_000)
    a.add_argument("--hits", type=int, default=200)
    a.add_argument("--python", default=sys.executable)
    o = a.parse_args()
    say_where()
    with scratch() as folder:
        top, partner = pathlib.Path(folder), Partner()
        server = Mayfly(top / "data", delivery__allow_hosts="localhost")
        apply(server, "")
        for schedule in ["every 1s", "on change"]:
            latency(server, partner, schedule, o)
        apply(server, "")
        for batch in hits(0, o.members, int(time.time() * 1000)):
            server.post_hits(batch)
        until("all are folded", lambda: server.json("/api/v1/segments/all")["held"] >= o.members)
        request = REQUEST.format(port=partner.port)
        whole(server, "http", request, "batch = 10000\nper_minute = 60000", o)
        ours = {}
        for form in ["csv", "parquet"]:
            way = f'[destination.files]\nfolder = "{form}"\nformat = "{form}"\n'
            ours[form] = whole(server, form, way, "", o)
        done = subprocess.run([o.python, "-c", COPY, top / "data/exports/parquet", top], capture_output=True, text=True)
        if done.returncode:
            print("DuckDB left out:", done.stderr.strip().splitlines()[-1])
        for line in done.stdout.splitlines():
            form, rate = line.split()
            print(f"{form:<10} ours {ours[form]:,.0f} rows/s, COPY of DuckDB (one thread) {float(rate):,.0f}: "
                  f"ratio {ours[form] / float(rate):.2f}; ours with consent, ids, lapses, ledger")
        server.stop()


main()
