"""Reads a lake as somebody without this project would, until its folder holds a file `stop`: by views.sql in DuckDB and
by files.json. Prints one JSON line per reading: rows, distinct positions, rows by the JSON list, rows by a glob."""

import json
import os
import sys

import duckdb

lake = sys.argv[1]
os.chdir("/")


def read():
    shell = duckdb.connect()
    with open(f"{lake}/views.sql") as file:
        shell.execute(file.read())
    rows, positions = shell.execute("SELECT count(*), count(DISTINCT log_offset) FROM scores").fetchone()
    with open(f"{lake}/files.json") as file:
        listed = json.load(file)
    paths = [f"{listed['root']}/{file['path']}" for file in listed["tables"]["scores"]["files"]]
    by_list = shell.execute("SELECT count(*) FROM read_parquet($paths)", {"paths": paths}).fetchone()[0] if paths else 0
    by_glob = shell.execute(f"SELECT count(*) FROM '{lake}/scores/**/*.parquet'").fetchone()[0] if paths else 0
    assert by_list == listed["tables"]["scores"]["rows"], (by_list, listed["version"])
    print(json.dumps([rows, positions, by_list, by_glob]), flush=True)


while not os.path.exists(f"{lake}/stop"):
    read()
read()
