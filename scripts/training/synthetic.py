"""A small made-up training table, to try the training without the simulator."""

import argparse

import duckdb
import numpy as np

DAY_MS = 86_400_000


def write_synthetic(path: str, features: list, seed: int, days: int, events_a_day: int, label_delay_days: int = 3) -> None:
    """Random features; the odds of fraud rise with the first one and with the product of the next two."""
    rng = np.random.default_rng(seed)
    rows = days * events_a_day
    values = rng.lognormal(0, 1, size=(rows, len(features))).astype(np.float32)
    day = np.repeat(np.arange(days), events_a_day)
    odds = values[:, 0] + values[:, 1 % len(features)] * values[:, 2 % len(features)] - 8
    label = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    time = day * DAY_MS + rng.integers(0, DAY_MS, rows)
    columns = {
        "event_id": np.array([f"p{row:06d}" for row in range(rows)]),
        "entity_id": np.array([f"c{customer}" for customer in rng.integers(0, rows, rows)]),
        "time_ms": time,
        "tx_day": day,
        "label": label,
        "known_ms": np.where(label == 1, time + label_delay_days * DAY_MS, -1),
        **{name: values[:, index].astype(np.float64) for index, name in enumerate(features)},
    }
    connection = duckdb.connect()
    connection.register("columns", columns)
    known = "nullif(known_ms, -1) AS known_ms"
    connection.execute(f"COPY (SELECT * REPLACE ({known}) FROM columns) TO '{path}' (FORMAT parquet)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write a small made-up training table.")
    parser.add_argument("--out", required=True)
    parser.add_argument("--features", required=True, help="names, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--events-a-day", type=int, default=300)
    given = parser.parse_args()
    write_synthetic(given.out, given.features.split(","), given.seed, given.days, given.events_a_day)
