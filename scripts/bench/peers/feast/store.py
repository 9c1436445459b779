"""
A store of Feast with one feature view in Redis, filled with a row for each entity, for `npm run bench:peers`. The only
argument is an order in JSON. Becomes the feature server.
"""

import json
import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.types import Float64

SETTINGS = """
project: bench
provider: local
registry: {dir}/registry.db
entity_key_serialization_version: 3
offline_store:
  type: file
online_store:
  type: redis
  connection_string: "{redis}"
"""


def main(order):
    folder = Path(order["dir"])
    folder.joinpath("feature_store.yaml").write_text(SETTINGS.format(**order))
    now = datetime.now(timezone.utc)
    rows = pd.DataFrame({"customer": [str(n) for n in range(order["entities"])], "event_timestamp": now, "created": now})
    values = {name: [float(n % 1000 + i) for n in range(len(rows))] for i, name in enumerate(order["features"])}
    rows = pd.concat([rows, pd.DataFrame(values)], axis=1)
    # The feature server asks for a source of the view, and never reads this one.
    rows.to_parquet(folder / "rows.parquet")
    source = FileSource(path=str(folder / "rows.parquet"), timestamp_field="event_timestamp", created_timestamp_column="created")
    view = FeatureView(
        name="customer_features",
        entities=[Entity(name="customer", join_keys=["customer"])],
        ttl=timedelta(days=365),
        schema=[Field(name=name, dtype=Float64) for name in order["features"]],
        source=source,
    )
    store = FeatureStore(repo_path=str(folder))
    store.apply([view, *[Entity(name="customer", join_keys=["customer"])]])
    store.write_to_online_store("customer_features", rows)
    feast = Path(sys.executable).with_name("feast")
    # By default a worker ends after 1,000 requests, and looks for new definitions every minute.
    options = ["--workers", "1", "--max-requests", "0", "--max-requests-jitter", "0", "--registry_ttl_sec", "86400"]
    place = ["--host", "127.0.0.1", "--port", str(order["port"]), "--no-access-log"]
    os.execv(feast, [str(feast), "-c", str(folder), "serve", *place, *options])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
