#!/usr/bin/env python3
"""Mayfly's pixel against nginx's empty_gif, on one machine in one run with one load generator.

Ours: ack=stored (and queued), signed cookie, one server thread, embedded store and Redis, with and
without a site that asks for a TC string; automata, clients and URLs are looked at for every hit.
nginx: one worker, `empty_gif`, `userid` cookie, access log. Needs nginx, wrk, redis-server.

    benches/collector_vs_nginx.py [--seconds 8] [--rounds 3] [--binary target/release/mayfly]
"""
import argparse, http.client, os, pathlib, signal, statistics, subprocess, sys, tempfile, time

from program import HERE, free_port, need, say_where, visitor_cookies

SITE = """format = 1
[[site]]
key = "news"
origins = ["https://news.example"]
consent = "none"
[[site]]
key = "asks"
origins = ["https://news.example"]
consent = "tcf"
role = "vendor"
vendor_id = 999
[[category]]
name = "Sports"
rule = 'path startswith "/page/1"'
[[segment]]
name = "fans"
rule = 'visited("Sports", within 30d) >= 3'
"""
# The site that asks for consent, with the string of a visitor who gives it.
ASKS = ("asks&gdpr=1&gdpr_consent="
        "CQtAQoAQtAQoAAHABBENEsFgALqAAAAAAAAAHzwAQHzgABAAAAAA.IHzwAQHzgAAA")
NGINX = """worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 2048; }}
http {{
  access_log {dir}/access.log combined; client_body_temp_path {dir}; proxy_temp_path {dir};
  fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; scgi_temp_path {dir};
  keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{port} backlog=1024; userid on; userid_name uid; userid_expires 90d;
    location = /p.gif {{ empty_gif; }} }}
}}
"""


def wait(port, path="/health"):
    for _ in range(200):
        try:
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            c.request("GET", path)
            if c.getresponse().status in (200, 404):
                return
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f"nothing answers on port {port}")


def nginx_cookies(port, n):
    found = []
    c = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(n):
        c.request("GET", "/p.gif")
        r = c.getresponse(); r.read()
        found.append(r.getheader("set-cookie").split(";")[0])
    return found


def wrk(port, cookies, seconds, folder, site):
    file = folder / "cookies"
    file.write_text("\n".join(cookies) + "\n")
    target = f"/p.gif?s={site}&t=Title&u=https%3A%2F%2Fnews.example%2Fpage%2F"
    env = dict(os.environ, COOKIES=str(file), TARGET=target)
    out = subprocess.run(
        ["wrk", "-t1", "-c256", f"-d{seconds}s", "--latency", "-s", str(HERE / "pixel.lua"),
         f"http://127.0.0.1:{port}"], env=env, capture_output=True, text=True, check=True).stdout
    line = next(l for l in out.splitlines() if l.startswith("RESULT"))
    rate, p50, p99, bad, broken = map(int, line.split()[1:])
    return rate, p50, p99, bad + broken


class Server:
    def __init__(self, args, **kw):
        self.p = subprocess.Popen(args, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **kw)

    def stop(self):
        self.p.send_signal(signal.SIGTERM)
        self.p.wait(30)


def mayfly(binary, folder, store, ack):
    port = free_port()
    env = dict(os.environ, MAYFLY_HTTP__WORKERS="1", MAYFLY_COLLECTOR__ACK=ack,
               MAYFLY_COLLECTOR__HITS_PER_MINUTE_MAX="0")
    if store:
        env["MAYFLY_STORE__URL"] = store
    data = folder / "data"
    server = Server([binary, "serve", "--data", data, "--bind", f"127.0.0.1:{port}"], env=env)
    wait(port, "/ready")
    for _ in range(100):
        if (data / "server.address").exists():
            break
        time.sleep(0.1)
    (folder / "site.toml").write_text(SITE)
    subprocess.run([binary, "apply", folder / "site.toml", "--data", data], env=env, check=True,
                   capture_output=True)
    return server, port


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--seconds", type=int, default=8)
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--binary", default=str(HERE.parent / "target/release/mayfly"))
    o = a.parse_args()
    need("wrk", "nginx", "redis-server")
    say_where()
    rows = {}
    with tempfile.TemporaryDirectory() as t:
        top = pathlib.Path(t)
        port, folder = free_port(), top / "nginx"
        folder.mkdir()
        (folder / "nginx.conf").write_text(NGINX.format(dir=folder, port=port))
        servers = [Server(["nginx", "-c", folder / "nginx.conf", "-p", folder])]
        wait(port, "/p.gif")
        targets = [("nginx empty_gif", port, nginx_cookies(port, 2000), "news")]
        redis = free_port()
        (top / "redis").mkdir()
        servers.append(Server(["redis-server", "--port", str(redis), "--dir", top / "redis",
                               "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]))
        time.sleep(1)
        for name, store, ack in (("embedded stored", "", "stored"),
                                 ("redis stored", f"redis://127.0.0.1:{redis}", "stored"),
                                 ("embedded queued", "", "queued")):
            folder = top / name.replace(" ", "-")
            folder.mkdir()
            server, port = mayfly(o.binary, folder, store, ack)
            servers.append(server)
            cookies = visitor_cookies(port, 2000)
            targets.append((name, port, cookies, "news"))
            if ack == "stored":
                targets.append((name + ", TC string", port, cookies, ASKS))
        # Rounds take turns, so that a noisy minute touches all alike.
        for _ in range(o.rounds):
            for name, port, cookies, site in targets:
                rows.setdefault(name, []).append(wrk(port, cookies, o.seconds, top, site))
        for server in servers[::-1]:
            server.stop()
    base = statistics.median(r[0] for r in rows["nginx empty_gif"])
    print(f"{'':<28}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}{'ratio':>8}")
    for name, runs in rows.items():
        rate, p50, p99 = (statistics.median(r[i] for r in runs) for i in range(3))
        failed = sum(r[3] for r in runs)
        print(f"{name:<28}{rate:>9.0f}{p50 / 1000:>9.2f}{p99 / 1000:>9.2f}{failed:>8}{rate / base:>8.2f}")


if __name__ == "__main__":
    main()
