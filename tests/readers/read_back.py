"""Reads exported files with the tools that partners use, and compares what they say.

usage: read_back.py EXPORTS   (the folder of exports, with acme-csv, acme-tsv, acme-jsonl, acme-parquet)
"""

import csv
import glob
import sys

import duckdb
import pyroaring

EXPECTED = {("ann,\"a", "11", "add"), ("bob", "11", "add")}


def rows_of_duckdb(query):
    return {tuple(row) for row in duckdb.sql(query).fetchall()}


def main():
    folder = sys.argv[1]
    found = set()
    for path in glob.glob(f"{folder}/acme-csv/*.csv"):
        with open(path, newline="", encoding="utf-8") as file:
            found |= {(row["uid"], row["segment"], row["op"]) for row in csv.DictReader(file)}
    assert found == EXPECTED, f"csv: {found}"

    columns = "uid, segment, op"
    tsv = rows_of_duckdb(
        f"select {columns} from read_csv('{folder}/acme-tsv/*.tsv.zst', delim='\t', all_varchar=true)"
    )
    assert tsv == EXPECTED, f"tsv: {tsv}"
    parquet = rows_of_duckdb(f"select {columns} from '{folder}/acme-parquet/*.parquet'")
    assert parquet == EXPECTED, f"parquet: {parquet}"
    later = duckdb.sql(
        f"select count(*) from '{folder}/acme-parquet/*.parquet' where expires > now()::timestamp"
    ).fetchall()
    assert later == [(2,)], f"parquet's instants: {later}"
    jsonl = rows_of_duckdb(
        "select uid, a.segment, 'add' from (select uid, unnest(\"add\") as a from "
        f"read_json('{folder}/acme-jsonl/*.jsonl.gz', format='newline_delimited'))"
    )
    assert jsonl == EXPECTED, f"jsonl: {jsonl}"

    (roaring,) = glob.glob(f"{folder}/drivers-*.roaring")
    with open(roaring, "rb") as file:
        members = pyroaring.BitMap64.deserialize(file.read())
    assert len(members) == 2, f"roaring: {members}"
    print("csv, tsv, jsonl, parquet and roaring agree")


main()
