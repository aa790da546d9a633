#!/usr/bin/env python3
"""Draws how segment sizes grow with the hits, from what `segments_vs_olap.py` printed.

    benches/segments_vs_olap.py --hits 1000000 > 1; … --hits 20000000 > 20
    benches/growth.py 1 5 20 > docs/growth.svg

Each line is the median of the ten questions, in ms; both axes are logarithmic.
"""
import math, re, statistics, sys

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 360, 56, 24, 150, 44
NAMES = ["first", "again", "saved", "chdb", "duckdb"]
TOLD = {"first": "expression, first", "again": "expression, again", "saved": "saved segment",
        "chdb": "ClickHouse", "duckdb": "DuckDB"}
COLOURS = {"first": "#1f77b4", "again": "#2ca02c", "saved": "#9467bd", "chdb": "#d62728",
           "duckdb": "#ff7f0e"}


def read(name):
    """Hits, and the median of the ten questions for each way to ask."""
    text = open(name).read()
    hits = int(re.search(r"^([\d,]+) hits of", text, re.M)[1].replace(",", ""))
    rows = re.findall(r"^ +[\d,]+((?: +[\d.]+){5})  first ", text, re.M)
    columns = zip(*(map(float, row.split()) for row in rows))
    return hits, dict(zip(NAMES, map(statistics.median, columns)))


def main():
    runs = sorted(map(read, sys.argv[1:]))
    if len(runs) < 2:
        sys.exit(__doc__)
    values = [ms for _, own in runs for ms in own.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    first, last = math.log10(runs[0][0]), math.log10(runs[-1][0])
    x = lambda hits: LEFT + (math.log10(hits) - first) / (last - first) * (WIDTH - LEFT - RIGHT)
    y = lambda ms: HEIGHT - BOTTOM - (math.log10(ms) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="12">',
           "<title>Time to tell a segment's size, by hits</title>",
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>']
    for power in range(low, high + 1):
        at = y(10 ** power)
        out.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{10 ** power:g} ms</text>')
    for hits, _ in runs:
        out.append(f'<text x="{x(hits):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
                   f"{hits / 1e6:g} M hits</text>")
    ends = sorted(NAMES, key=lambda name: -runs[-1][1][name])
    below = TOP
    for name in ends:
        path = "L".join(f"{x(hits):.1f} {y(own[name]):.1f}" for hits, own in runs)
        below = max(below + 15, y(runs[-1][1][name]) + 4)
        colour = COLOURS[name]
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
                   f'<text x="{WIDTH - RIGHT + 8}" y="{below:.1f}" fill="{colour}">{TOLD[name]} '
                   f"{runs[-1][1][name]:.3g}</text>")
    print("\n".join([*out, "</svg>"]))


if __name__ == "__main__":
    main()
