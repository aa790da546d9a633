#!/usr/bin/env python3
"""Segment sizes beside ClickHouse (chdb) and DuckDB: the same rows, the same ten questions, equal
answers, in one run.

    benches/segments_vs_olap.py [--hits 1000000] [--rounds 5] [--segments 10,100,1000] [--why 200]

Rows are made by DuckDB: visitors and categories are skewed, 90 days, engaged seconds. Mayfly reads
them by `replay` into the embedded store; the others hold them in tables sorted for these questions
(category, day, visitor), with the category as a number: what would suit them best. Each question
is asked once, and then `--rounds` times, of which the median is told: of Mayfly an expression that no
segment holds (`insights/count`, over HTTP), the first time and again, and the same as a saved segment.
Memory is the resident set of each engine's process after the questions.

Packages: chdb and duckdb from PyPI, put into benches/results/venv when they are missing.
"""
import argparse, json, os, pathlib, re, statistics, subprocess, sys, time

from program import BINARY, DAY, HERE, Mayfly, say_where, scratch

VENV = HERE / "results/venv"
PACKAGES = ["chdb==4.4.0", "duckdb==2.0.0"]
CATEGORIES, GROUP = 500, 20
# Each as an expression, and as the condition on one visitor's rows: `n(cats, from, to)` counts
# hits, `s` sums seconds, `d` counts days; days ago, both ends included.
QUESTIONS = [
    ('visited("G0 > C3", within 30d) >= 3', "n([3],29,0) >= 3"),
    ('visited("G0 > C3", within 30d) >= 3 and (visited("G0 > C5", within 90d) or '
     'visited("G0 > C7", within 90d) or visited("G1 > C21", within 90d)) and not '
     'visited("G0 > C1", within 7d)',
     "n([3],29,0) >= 3 and n([5,7,21],89,0) >= 1 and n([1],6,0) = 0"),
    ('days("G0 > C2", within 30d) >= 5', "d([2],29,0) >= 5"),
    ('engaged("G0 > C4", within 30d) >= 60s', "s([4],29,0) >= 60"),
    ('at least 2 of (visited("G0 > C6", within 14d), visited("G0 > C8", within 14d), '
     'visited("G0 > C9", within 14d))',
     "if(n([6],13,0) >= 1, 1, 0) + if(n([8],13,0) >= 1, 1, 0) + if(n([9],13,0) >= 1, 1, 0) >= 2"),
    ('visited("*", within 7d) >= 5', "n([],6,0) >= 5"),
    ('visited("G0 > C1", between 30d and 7d ago) and not visited("G0 > C1", within 7d)',
     "n([1],30,7) >= 1 and n([1],6,0) = 0"),
    ('visited("G2", within 30d) >= 4', "n(range(40,60),29,0) >= 4"),
    ('visited("G3", within 90d) and visited("G4", within 90d) and not visited("G0", within 30d)',
     "n(range(60,80),89,0) >= 1 and n(range(80,100),89,0) >= 1 and n(range(0,20),29,0) = 0"),
    ('visited("G0 > C0", earlier than 60d) >= 2 and visited("G0 > C0", within 30d) < 1',
     "n([0],89,60) >= 2 and n([0],29,0) < 1"),
]


def sql(condition, today, engine):
    """A question as one statement; only rows that it looks at are read."""
    cats, oldest = set(), 0

    def term(kind):
        def made(categories, old, new):
            nonlocal oldest
            oldest = max(oldest, old)
            categories = list(categories)
            cats.update(categories or [None])
            within = f"day between {today - old} and {today - new}"
            if categories:
                within += f" and cat in ({','.join(map(str, categories))})"
            distinct = "uniqExact(if({0}, day, null))" if engine == "chdb" else \
                "count(distinct case when {0} then day end)"
            return {"n": "sum(case when {0} then 1 else 0 end)",
                    "s": "sum(case when {0} then engaged else 0 end)",
                    "d": distinct}[kind].format(within)
        return made

    having = re.sub(r"([nsd])\((\[[\d,]*\]|range\(\d+,\d+\)),(\d+),(\d+)\)",
                    lambda m: term(m[1])(eval(m[2]), int(m[3]), int(m[4])), condition)
    if engine == "duckdb":
        having = re.sub(r"if\((.*?) >= 1, 1, 0\)", r"(case when \1 >= 1 then 1 else 0 end)", having)
    where = f"day >= {today - oldest}"
    if None not in cats:
        where += f" and cat in ({','.join(map(str, sorted(cats)))})"
    return f"select count(*) from (select visitor from hits where {where} " \
           f"group by visitor having {having}) t"


def rss():
    status = open("/proc/self/status").read()
    return int(next(l for l in status.splitlines() if l.startswith("VmRSS")).split()[1]) * 1024


def run_engine(engine, rows, today, rounds):
    """In a process of its own: answers, medians and memory as JSON."""
    if engine == "duckdb":
        import duckdb
        db = duckdb.connect()
        db.execute(f"create table hits as select * from '{rows}' order by cat, day, visitor")
        ask = lambda text: db.execute(text).fetchone()[0]
    else:
        from chdb import session
        db = session.Session()
        db.query("create database if not exists b")
        db.query("create table b.hits engine = MergeTree order by (cat, day, visitor) as "
                 f"select * from file('{rows}', Parquet)")
        ask = lambda text: int(db.query(text.replace("from hits", "from b.hits"), "CSV").data())
    answers, times = [], []
    for _, condition in QUESTIONS:
        text = sql(condition, today, engine)
        answers.append(ask(text))
        took = []
        for _ in range(rounds):
            begun = time.monotonic()
            ask(text)
            took.append(time.monotonic() - begun)
        times.append(statistics.median(took))
    print(json.dumps({"answers": answers, "times": times, "rss": rss()}))


def make_rows(folder, hits, today):
    import duckdb
    db = duckdb.connect()
    # Skewed by a power of an even number; another number a row for each column.
    u = lambda seed: f"(hash(i * 31 + {seed}) / 18446744073709551616.0)"
    visitors = max(1000, hits // 22)
    db.execute(f"""create table rows as select
        cast(floor(pow({u(1)}, 1.6) * {visitors}) as integer) as visitor,
        cast({today} - floor({u(2)} * 90) as integer) as day,
        cast(floor(pow({u(3)}, 2.2) * {CATEGORIES}) as integer) as cat,
        cast(floor({u(4)} * 30) as integer) as engaged,
        cast(floor({u(5)} * 20000) as integer) as second,
        cast(floor({u(6)} * 50) as integer) as page
        from range({hits}) t(i)""")
    # A repeat within a second is none to Mayfly: each visitor, page and second once.
    db.execute("create table once as "
               "select distinct on (visitor, cat, page, day, second) * from rows")
    db.execute(f"copy (select visitor, day, cat, engaged from once) to '{folder}/rows.parquet'")
    db.execute(f"""copy (select {{'space': 'crm', 'id': cast(visitor as varchar)}} as visitor,
        'news' as site, 'https://news.example/g' || (cat // {GROUP}) || '/c' || cat || '/' || page
        as url, engaged * 1000 as engaged_ms,
        (cast(day as bigint) * 86400 + second) * 1000 as time
        from once order by day, second) to '{folder}/rows.jsonl' (format json)""")
    return db.execute("select count(*), count(distinct visitor) from once").fetchone()


def definitions(segments, with_questions=True):
    text = 'format = 1\n[[site]]\nkey = "news"\norigins = ["https://news.example"]\n'
    for cat in range(CATEGORIES):
        group = cat // GROUP
        text += f'[[category]]\nname = "G{group} > C{cat}"\n' \
                f"rule = 'path startswith \"/g{group}/c{cat}/\"'\n"
    for n, (expression, _) in enumerate(QUESTIONS if with_questions else []):
        text += f"[[segment]]\nname = \"q{n}\"\non_page = true\nrule = '{expression}'\n"
    for n in range(len(QUESTIONS), segments):
        a, b = n * 7 % CATEGORIES, n * 13 % CATEGORIES
        one, other = f"G{a // GROUP} > C{a}", f"G{b // GROUP} > C{b}"
        text += f'[[segment]]\nname = "s{n}"\nrule = \'visited("{one}", within {1 + n % 90}d) >= ' \
                f'{1 + n % 5} and not visited("{other}", within 7d)\'\n'
    return text


def put_in_force(server, segments, with_questions=True):
    path = "/api/v1/definitions/apply?allow_drop=true"
    text = definitions(segments, with_questions)
    status, _, body = server.call("POST", path, text, "application/toml")
    if status != 200:
        sys.exit(body.decode()[:500])


def post(server, path, body):
    status, _, answer = server.call("POST", path, json.dumps(body))
    if status != 200:
        sys.exit(f"{path}: {status} {answer.decode()[:300]}")
    return json.loads(answer)


def median_of(rounds, run):
    took = []
    for _ in range(rounds):
        begun = time.monotonic()
        run()
        took.append(time.monotonic() - begun)
    return statistics.median(took)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def ask_mayfly(server, rounds):
    """Answers; times of the expression by itself, first and again, and of the saved segment."""
    answers, first, again, saved = [], [], [], []
    for expression, _ in QUESTIONS:
        count = lambda: post(server, "/api/v1/insights/count", {"rule": expression})["held"]
        begun = time.monotonic()
        answers.append(count())
        first.append(time.monotonic() - begun)
        again.append(median_of(rounds, count))
    put_in_force(server, len(QUESTIONS))
    for n, answer in enumerate(answers):
        own = lambda: server.json(f"/api/v1/segments/q{n}")["held"]
        if own() != answer:
            sys.exit(f"q{n}: {own()} as a segment, {answer} by itself")
        saved.append(median_of(rounds, own))
    return answers, first, again, saved


def others(server, visitors, number):
    """Overlap of 20 segments; why, and a lookup, of many visitors."""
    names = [f"q{n}" for n in range(10)] + [f"s{n}" for n in range(10, 20)]
    overlap = median_of(3, lambda: post(server, "/api/v1/insights/overlap", {"segments": names}))
    why, lookup = [], []
    for n in range(number):
        visitor = f"crm%3A{n * 37 % visitors}"
        begun = time.monotonic()
        status, _ = server.get(f"/api/v1/segments/q{n % 10}/why?visitor={visitor}", quiet=True)
        if status == 200:
            why.append(time.monotonic() - begun)
    for n in range(number * 10):
        body = {"visitors": [f"crm:{n * 37 % visitors}"]}
        begun = time.monotonic()
        post(server, "/api/v1/lookup", body)
        lookup.append(time.monotonic() - begun)
    ms = lambda values: [percentile(values, share) * 1000 for share in (0.5, 0.99)]
    return overlap * 1000, ms(why), ms(lookup)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--hits", type=int, default=1_000_000)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--segments", default="10,100,1000")
    p.add_argument("--why", type=int, default=200)
    p.add_argument("--engine", help=argparse.SUPPRESS)
    p.add_argument("--rows", help=argparse.SUPPRESS)
    p.add_argument("--today", type=int, help=argparse.SUPPRESS)
    o = p.parse_args()
    if o.engine:
        return run_engine(o.engine, o.rows, o.today, o.rounds)
    python = VENV / "bin/python"
    if pathlib.Path(sys.executable) != python:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
            subprocess.run([VENV / "bin/pip", "install", "--quiet", *PACKAGES], check=True)
        os.execv(python, [python, *sys.argv])
    say_where()
    with scratch() as folder:
        measure(o, pathlib.Path(folder))


def measure(o, top):
    today = int(time.time()) // DAY
    hits, visitors = make_rows(top, o.hits, today)
    print(f"{hits:,} hits of {visitors:,} visitors, 90 days, {CATEGORIES} categories", flush=True)
    (top / "store").mkdir()
    server = Mayfly(top / "store", collector__token_hits_per_s=10_000_000)
    sizes = [int(n) for n in o.segments.split(",")]
    put_in_force(server, 0, False)
    begun = time.monotonic()
    subprocess.run([BINARY, "replay", top / "rows.jsonl", "--site", "news", "--format", "jsonl",
                    "--data", top / "store"], check=True, stdout=subprocess.DEVNULL)
    server.connection = None  # nobody spoke on it for minutes
    while server.call("GET", "/api/v1/segments")[0] == 503:
        time.sleep(1)
    held = post(server, "/api/v1/insights/count", {"rule": 'visited("*", within 90d)'})["held"]
    took = time.monotonic() - begun
    print(f"replayed and counted in {took:.0f} s ({hits / took:,.0f} hits/s); {held:,} visitors")
    (top / "rows.jsonl").unlink()
    found = {}
    for engine in ("chdb", "duckdb"):
        line = [sys.executable, __file__, "--engine", engine, "--rows", top / "rows.parquet",
                "--today", str(today), "--rounds", str(o.rounds)]
        found[engine] = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)
    server.connection = None
    answers, first, again, saved = ask_mayfly(server, o.rounds)
    for engine, own in found.items():
        if own["answers"] != answers:
            sys.exit(f"{engine} answers {own['answers']}, mayfly {answers}")
    print("\nall three give the same ten answers; medians in ms")
    print(f"{'members':>10} {'first':>8} {'again':>8} {'saved':>7} {'chdb':>8} {'duckdb':>8}  "
          "faster than the faster")
    ratios = {"first": [], "again": [], "saved": []}
    for n, own in enumerate(answers):
        best = min(found[e]["times"][n] for e in found)
        for name, times in (("first", first), ("again", again), ("saved", saved)):
            ratios[name].append(best / times[n])
        told = ", ".join(f"{name} {own[-1]:.1f}x" for name, own in ratios.items())
        print(f"{own:>10,} {first[n] * 1000:>8.1f} {again[n] * 1000:>8.1f} "
              f"{saved[n] * 1000:>7.1f} {found['chdb']['times'][n] * 1000:>8.1f} "
              f"{found['duckdb']['times'][n] * 1000:>8.1f}  {told}")
    for name, own in ratios.items():
        print(f"{name}: {statistics.median(own):.1f}x in the median ({min(own):.1f} to {max(own):.1f})")
    memory = int(next(l for l in open(f"/proc/{server.server.pid}/status")
                      if l.startswith("VmRSS")).split()[1]) * 1024
    print(f"memory, MB: mayfly {memory >> 20}, chdb {found['chdb']['rss'] >> 20}, "
          f"duckdb {found['duckdb']['rss'] >> 20}")
    for size in sizes:
        begun = time.monotonic()
        put_in_force(server, size)
        took = time.monotonic() - begun
        listed = median_of(3, lambda: server.get("/api/v1/segments")) * 1000
        line = f"{size:>5} segments: in force {took:.1f} s after apply, " \
               f"all sizes in {listed:.0f} ms"
        if size >= 20:
            overlap, why, lookup = others(server, visitors, o.why)
            line += f"; overlap of 20 in {overlap:.0f} ms; why p50 {why[0]:.1f} " \
                    f"p99 {why[1]:.1f} ms; lookup over HTTP p50 {lookup[0]:.2f} " \
                    f"p99 {lookup[1]:.2f} ms"
        print(line, flush=True)


if __name__ == "__main__":
    main()
