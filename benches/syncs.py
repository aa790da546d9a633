#!/usr/bin/env python3
"""Id syncs per second: `/setuid` of 2,000 visitors, each request with another id, so that each is noted; and again with the
id that is known.

    benches/syncs.py [--connections 64] [--seconds 10] [--rounds 3]

wrk sends; the figure is what the program counted (mayfly_sync_total). On one machine: wrk takes its share of the two cores.
"""
import argparse, os, pathlib, statistics, subprocess

from program import HERE, Mayfly, Redis, need, say_where, scratch, visitor_cookies

DEFINITIONS = """format = 1
[[site]]
key = "news"
origins = ["https://news.example"]
""" + "".join(f'[[partner]]\nkey = "p{n}"\nprocessor = true\n' for n in range(20))


def rate(server, file, target, o):
    """Syncs a second, as the program counts them, by result."""
    counted = lambda: {key: value for key, value in server.metrics().items() if "mayfly_sync_total" in key}
    before = counted()
    env = dict(os.environ, COOKIES=str(file), PIXEL=str(HERE / "pixel.lua"), TARGET=target)
    subprocess.run(["wrk", "-t1", f"-c{o.connections}", f"-d{o.seconds}s", "-s", HERE / "pixel.lua",
                    f"http://127.0.0.1:{server.port}"], env=env, stdout=subprocess.DEVNULL, check=True)
    after = counted()
    return {key.split('result="')[1].split('"')[0]: (value - before.get(key, 0)) / o.seconds
            for key, value in after.items() if value > before.get(key, 0)}


def measure(name, top, store, o):
    server = Mayfly(top / name, store)
    server.apply(DEFINITIONS)
    file = top / f"{name}.cookies"
    file.write_text("\n".join(visitor_cookies(server.port, 2000)) + "\n")
    for what, target in [("noted, each another id", "/setuid?p=p{}&uid=u"),
                         ("known already", "/setuid?p=p19&uid=same&cb=")]:
        # A partner each, and one second: an id may change twenty times a day.
        rounds = [rate(server, file, target.format(n), o) for n in range(o.rounds)]
        total = statistics.median(sum(own.values()) for own in rounds)
        shares = ", ".join(f"{label} {count:.0f}" for label, count in sorted(rounds[-1].items()))
        print(f"{name:<10} {what:<24} {total:.0f}/s (median of {o.rounds}; the last: {shares})")
    server.stop()


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--connections", type=int, default=64)
    a.add_argument("--seconds", type=int, default=1)
    a.add_argument("--rounds", type=int, default=9)
    o = a.parse_args()
    say_where()
    need("redis-server", "wrk")
    with scratch() as folder:
        top = pathlib.Path(folder)
        measure("embedded", top, "", o)
        redis = Redis(top / "redis-data")
        measure("redis", top, f"redis://127.0.0.1:{redis.port}", o)
        redis.stop()


if __name__ == "__main__":
    main()
