"""The training table: one Parquet file, one row per scored event."""

from dataclasses import dataclass

import duckdb
import numpy as np

KEY_COLUMNS = ("event_id", "entity_id", "time_ms", "tx_day", "label", "known_ms")
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Table:
    event_id: np.ndarray
    entity_id: np.ndarray
    time_ms: np.ndarray
    """Days since the day the data begins with; whole days, UTC."""
    tx_day: np.ndarray
    """1 for an event that turned out to be fraud, whenever that became known."""
    label: np.ndarray
    """The day (as tx_day) on which that became known; infinite where it never did."""
    known_day: np.ndarray
    """Rows by features, float32, in the order of the service's vector."""
    features: np.ndarray
    """Day 0, in days since the epoch."""
    first_day: int

    def label_by(self, day: int) -> np.ndarray:
        """The labels as they were known when this day began: nothing is learned that was not known."""
        return (self.known_day < day).astype(np.int64)


def read_table(path: str, features: list) -> Table:
    """
    Reads the key columns and these feature columns (DOUBLE), ordered by time and id, so that the file's own order
    does not matter. Stops with one sentence when a column is missing or a value is not finite as float32.
    """
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    present = {row[0] for row in connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()}
    missing = [name for name in (*KEY_COLUMNS, *features) if name not in present]
    if missing:
        raise SystemExit(f"{path} lacks the columns {', '.join(missing)}")
    columns = ", ".join([*KEY_COLUMNS, *(f'"{name}"::FLOAT AS "{name}"' for name in features)])
    found = connection.execute(
        f"SELECT {columns} FROM read_parquet(?) ORDER BY time_ms, event_id", [path]
    ).fetchnumpy()
    # A NULL makes a masked array; it becomes NaN here and is refused below.
    vectors = np.stack([np.ma.filled(found[name].astype(np.float32), np.nan) for name in features], axis=1)
    bad = [name for name, column in zip(features, vectors.T) if not np.isfinite(column).all()]
    if bad:
        raise SystemExit(f"{path} has values that are null or not finite in {', '.join(bad)}")
    time, day = found["time_ms"].astype(np.int64), found["tx_day"].astype(np.int64)
    first_day = int(time[0] // DAY_MS - day[0]) if len(time) > 0 else 0
    known = np.ma.filled(found["known_ms"].astype(np.float64), np.inf)
    return Table(
        event_id=found["event_id"],
        entity_id=found["entity_id"],
        time_ms=time,
        tx_day=day,
        label=found["label"].astype(np.int64),
        known_day=np.floor(known / DAY_MS) - first_day,
        features=np.ascontiguousarray(vectors),
        first_day=first_day,
    )
