#!/usr/bin/env python3
"""Redis bytes per hit on a real clickstream (OULAD), everything included, before and after sealing.

The set comes in through POST /api/v1/hits; categories are activity types under modules, and there
are 12 segments. MAYFLY_DATA names the folder of real data, with the set in `oulad/hand`.

    benches/redis_bytes.py [--partitions 16 1] [--body 500] [--clicks]

A partition and day costs its keys, however few hits it has; so the set is measured in the default
16 partitions, where a day of one has few hits, and in one, which is enough for such a site. With
--clicks a row of the set is as many hits as it says clicks; without, one.

First only the collector runs: the log, as it is before any sealing. Then the worker folds, writes
its checkpoint and seals: every day at once, by erasing one made-up visitor in each partition with
`now=true`, which is how a day is sealed without waiting for the night. Cells do not depend on
sealing; so "before" is the log of the first step with the cells and segments of the second.
"""
import argparse, pathlib, sys

from program import Mayfly, Oulad, Redis, bodies, data_folder, need, say_where, scratch

GOALS = {"before": 30, "after": 20}
# Kinds of key that each line of the table sums up.
LINES = [
    ("hits: log", ["hits"]), ("hits: sealed blocks", ["past", "past-aside"]),
    ("cells", ["cells"]), ("segments", ["segments"]), ("pages", ["page"]),
    ("consent states", ["consent"]), ("foreign ids of visitors", ["ids", "names"]),
    ("lanes", ["lane"]),
    ("counters, leases, catalog", ["erased", "next", "lease", "dirty", "identity", "clock", "entry"]),
]


def feed(server, oulad, size):
    """Sends everything; and visitors whom nobody will miss, some in each partition."""
    extra = [dict(oulad.hits[-1], id=f"extra:{n}", visitor={"space": "extra", "id": str(n)})
             for n in range(160)]
    stored = sum(server.post_hits(body) for body in bodies(oulad.hits + extra, size))
    print(f"{stored} hits stored, {len(oulad.hits)} of the set")
    return stored


def seal(server):
    sealed = set()
    for n in range(160):
        shown = server.json(f"/api/v1/visitors/extra:{n}")["visitor"]
        partition = shown.split(".")[0]
        if partition not in sealed:
            status, _, body = server.call("DELETE", f"/api/v1/visitors/{shown}?now=true")
            if status != 200 or b'"bytes_gone":true' not in body:
                sys.exit(f"not sealed: {body.decode()}")
            sealed.add(partition)
    partitions = int(server.metrics()["mayfly_partitions_owned"])
    if len(sealed) < partitions:
        sys.exit(f"only {len(sealed)} of {partitions} partitions were sealed")
    return len(sealed)


def forget_ids_of_hits(redis):
    """They live for two days at most, so they are told apart: with their place in the server's
    tables, too."""
    names = redis("KEYS", "*:hitids:*")
    for at in range(0, len(names), 1000):
        redis("DEL", *names[at:at + 1000])


def table(before, after, base, hits, ids):
    """Bytes a hit by kind. `before`, `after`: (bytes by kind, used_memory without ids of hits)."""
    size = lambda found, kinds: sum(found.get(kind, (0, 0))[0] for kind in kinds)
    number = lambda found, kinds: sum(found.get(kind, (0, 0))[1] for kind in kinds)
    print(f"\n{'bytes a hit':<28}{'before':>9}{'after':>9}{'keys':>9}")
    for name, kinds in LINES:
        print(f"{name:<28}{size(before[0], kinds) / hits:>9.2f}{size(after[0], kinds) / hits:>9.2f}"
              f"{number(after[0], kinds):>9}")
    totals = {}
    for when, (found, used) in (("before", before), ("after", after)):
        totals[when] = (used - base) / hits
    keys = [kind for _, kinds in LINES for kind in kinds]
    rest = [(used - base - size(found, keys)) / hits for found, used in (before, after)]
    print(f"{'tables of the server':<28}{rest[0]:>9.2f}{rest[1]:>9.2f}")
    print(f"{'all':<28}{totals['before']:>9.2f}{totals['after']:>9.2f}")
    print(f"{'apart: ids of hits (2 days)':<28}{ids[0] / hits:>9.2f}{'':>9}{ids[1]:>9}")
    for when, goal in GOALS.items():
        verdict = "pass" if totals[when] <= goal else "FAIL"
        print(f"goal {when} sealing: at most {goal} B a hit: {totals[when]:.1f} B: {verdict}")


def measure(oulad, partitions, size):
    print(f"\n{partitions} partitions")
    with scratch() as folder:
        top = pathlib.Path(folder)
        redis = Redis(top / "redis")
        url = f"redis://127.0.0.1:{redis.port}"
        many = {"store__partitions": partitions}
        # An empty store, so that scripts and buffers of the server are not counted as hits.
        Mayfly(top / "data", url, **many).stop()
        base = redis.keys() and redis.used()
        server = Mayfly(top / "data", url, roles=["collector"], **many)
        server.apply(oulad.definitions)
        stored = feed(server, oulad, size)
        server.stop()
        entries = sum(redis("XLEN", key) for key in redis("KEYS", "*:hits:*"))
        print(f"{stored / entries:.1f} hits an entry of the log, "
              f"{stored / len(redis('KEYS', '*:hits:*')):.0f} a partition and day")
        with_ids, ids = redis.used(), redis.keys()["hitids"][1]
        forget_ids_of_hits(redis)
        log = redis.keys(), redis.used()
        server = Mayfly(top / "data", url, **many)
        server.json("/api/v1/segments")  # Answers when everything is folded.
        server.stop()
        # What the worker adds to the log, whether or not it sealed meanwhile.
        added = {k: v for k, v in redis.keys().items() if k in ("cells", "segments")}
        before = log[0] | added, log[1] + sum(size for size, _ in added.values())
        server = Mayfly(top / "data", url, **many)
        erased = seal(server)
        server.stop()
        redis("MEMORY", "PURGE")
        after = redis.keys(), redis.used()
        table(before, after, base, stored - erased, (with_ids - log[1], ids))
        redis.stop()


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--partitions", type=int, nargs="+", default=[16, 1])
    a.add_argument("--body", type=int, default=500, help="hits in one request")
    a.add_argument("--clicks", action="store_true", help="a hit for each click")
    o = a.parse_args()
    say_where()
    need("redis-server", "zstd")
    oulad = Oulad(data_folder(), o.clicks)
    for partitions in o.partitions:
        measure(oulad, partitions, o.body)


if __name__ == "__main__":
    main()
