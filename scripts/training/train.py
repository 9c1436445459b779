"""
Trains a model on a Parquet table and writes models/<name>/<version>/: model.onnx, manifest.json, metrics.json,
profile.json, README.md (the model card) and its plots.

  .venv/bin/python scripts/training/train.py --table <training.parquet> --out models

The table has one row per scored event: event_id, entity_id, time_ms, tx_day (whole days since the data
begins), label (0 or 1), known_ms (when the label became known, null where it did not) and one DOUBLE column per feature
of the service. Learned from are the labels known when the test days begin. The same table, options and versions of
requirements.txt give the same bytes.
"""

import argparse
import hashlib
import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime

from card import card
from ensemble import BINS, INPUT, OUTPUT, Settings, fit, predict, to_onnx
from golden import golden_vectors
from metrics import Windows, evaluate, operating_point, pick_thresholds, split
from plots import write_plots
from report import calibration, feature_stats, importances, precision_recall, profile
from table import DAY_MS, read_table

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("numpy", "xgboost-cpu", "onnx", "onnxruntime", "duckdb", "matplotlib")
TOLERANCE = 1e-6
# Both add up hundreds of trees in float32, in another order.
EXPORT_TOLERANCE = 1e-5


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a model and write it where the service loads it.")
    add = parser.add_argument
    add("--table", required=True, help="Parquet file with the training rows")
    add("--out", default=str(ROOT / "models"), help="folder of the models")
    add("--name", default="fraud")
    add("--version", default="1")
    add("--feature-set", default=str(ROOT / "features/compiled/feature-set.json"), help="compiled feature set")
    add("--service", default="fraud_v1", help="the service whose features are the model's vector")
    add("--train-from", type=int, default=115, help="first training day")
    add("--train-days", type=int, default=7)
    add("--delay-days", type=int, default=7, help="days until labels are known")
    add("--test-days", type=int, default=7)
    add("--folds", type=int, default=1, help="test folds for the mean, each one test length later than the last")
    add("--scored", default="events", help="what the scored events are called, in the plural, for the model card")
    add("--entity", default="entity", help="what their key entity is called, for the model card")
    add("--positive", default="fraud", help="what a label reports, for the model card")
    add("--positives", default="frauds", help="several of them")
    add("--project", default="", help="folder of the project, for the command in the model card; empty for the shipped one")
    add("--seed", type=int, default=0)
    add("--trees", type=int, default=200)
    add("--depth", type=int, default=4)
    add("--rate", type=float, default=0.05)
    add("--min-child-weight", type=float, default=5.0)
    add("--subsample", type=float, default=1.0, help="share of the rows that each tree sees")
    add("--columns", type=float, default=1.0, help="share of the features that each tree sees")
    add("--review-rate", type=float, default=0.01, help="share of the validation events that reach review")
    add("--block-precision", type=float, default=0.95, help="precision on the validation payments that block")
    add("--block-alerts-min", type=int, default=30, help="fewest validation events that precision is measured on")
    return parser.parse_args()


def service_of(path: str, name: str) -> tuple:
    """(hash of the service, its ordered features)"""
    compiled = json.loads(Path(path).read_text())
    found = [service for service in compiled["services"] if service["name"] == name]
    if not found:
        raise SystemExit(f"{path} has no service {name}")
    return found[0]["hash"], found[0]["features"]


def onnx_scores(model: bytes, vectors) -> np.ndarray:
    """Probabilities of fraud by ONNX Runtime, with the options the service uses."""
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = session_options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, session_options, providers=["CPUExecutionProvider"])
    return session.run([OUTPUT], {INPUT: vectors})[0][:, 1]


def check_against_native(model: bytes, booster, vectors) -> float:
    """The largest difference between the exported model and the library that trained it; stops when it is too large."""
    difference = float(np.abs(onnx_scores(model, vectors) - predict(booster, vectors)).max())
    if not difference < EXPORT_TOLERANCE:
        limit = f"at most {EXPORT_TOLERANCE} is right"
        raise SystemExit(f"the exported model differs from the native one by {difference}, {limit}")
    return difference


def settings_of(args) -> Settings:
    return Settings(args.trees, args.depth, args.rate, args.min_child_weight, args.subsample, args.columns)


def train_and_score(table, windows: Windows, args) -> tuple:
    train, test = split(table, windows)
    if table.label[test].sum() == 0:
        raise SystemExit(f"no {args.positives} in the test days of {windows}")
    label = table.label_by(windows.test_from)[train]
    if label.sum() == 0:
        raise SystemExit(f"no {args.positive} of the training days of {windows} was known when its test days began")
    booster = fit(table.features[train], label, args.seed, settings_of(args))
    return booster, train, test, predict(booster, table.features[test])


def thresholds_of(table, windows: Windows, args) -> tuple:
    """
    Picked on the validation fold: the same method with every day earlier by delay + test, so that its test days end
    where the delay begins and no test day of the model's own fold is looked at.
    """
    earlier = windows.shifted(-(windows.delay_days + windows.test_days))
    _, _, rows, score = train_and_score(table, earlier, args)
    label = table.label[rows]
    review, block = pick_thresholds(label, score, args.review_rate, args.block_precision, args.block_alerts_min)
    return review, block, evaluate(table, rows, score)


def fold_mean(table, windows: Windows, folds: int, args) -> dict:
    """The mean of the metrics over this many test folds, each one test length later; the model itself is the first."""
    found = []
    for fold in range(folds):
        _, _, rows, score = train_and_score(table, windows.shifted(fold * windows.test_days), args)
        found.append(evaluate(table, rows, score))
    names = ("aucRoc", "averagePrecision", "cardPrecision100")
    return {"folds": folds, **{name: round(float(np.mean([f[name] for f in found])), 4) for name in names}}


def manifest_of(args, table, model: bytes, parts: dict) -> dict:
    train, windows, features = parts["train"], parts["windows"], parts["features"]
    times = table.time_ms[train]
    return {
        "format": 1,
        "name": args.name,
        "version": args.version,
        "sha256": hashlib.sha256(model).hexdigest(),
        "featureSet": parts["hash"],
        "service": args.service,
        "features": features,
        "input": {"name": INPUT, "type": "float32", "shape": ["rows", len(features)]},
        "outputs": [{"name": OUTPUT, "type": "float32", "shape": ["rows", 2]}],
        "probability": {"output": OUTPUT, "column": 1},
        "thresholds": parts["thresholds"],
        "training": {
            "from": iso(times.min()),
            "to": iso(times.max()),
            "days": [windows.train_from, windows.train_to],
            "rows": len(train),
            "frauds": int(table.label_by(windows.test_from)[train].sum()),
            "seed": args.seed,
            "labelsKnownBy": iso((windows.test_from + parts["first_day"]) * DAY_MS),
            "parameters": {
                "trees": args.trees,
                "depth": args.depth,
                "rate": args.rate,
                "minChildWeight": args.min_child_weight,
                "subsample": args.subsample,
                "columns": args.columns,
                "bins": BINS,
            },
            "tools": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        },
        "metrics": parts["metrics"],
        "featureStats": parts["feature_stats"],
        "golden": parts["golden"],
    }


def iso(ms) -> str:
    return str(np.datetime64(int(ms), "ms")) + "Z"


def to_json(manifest: dict) -> str:
    """Indented, with one golden vector per line. Python writes the shortest decimal that reads back as the same."""
    vectors = manifest["golden"]["vectors"]
    text = json.dumps({**manifest, "golden": {**manifest["golden"], "vectors": "@"}}, indent=2, allow_nan=False)
    lines = ",\n".join("      " + json.dumps(vector) for vector in vectors)
    return text.replace('"vectors": "@"', f'"vectors": [\n{lines}\n    ]') + "\n"


def main() -> None:
    args = options()
    feature_set, features = service_of(args.feature_set, args.service)
    table = read_table(args.table, features)
    windows = Windows(args.train_from, args.train_days, args.delay_days, args.test_days)
    review, block, validation = thresholds_of(table, windows, args)
    booster, train, test, score = train_and_score(table, windows, args)
    model = to_onnx(booster, len(features), f"{args.name}/{args.version}: probability of {args.positive}")
    difference = check_against_native(model, booster, table.features[test[:1000]])
    vectors = golden_vectors(booster, table.features[test], score)
    check_against_native(model, booster, vectors)
    label = table.label[test]
    metrics = {
        "validation": validation,
        "test": evaluate(table, test, score),
        "atReview": operating_point(label, score, review),
        "atBlock": operating_point(label, score, block),
        "testFolds": fold_mean(table, windows, args.folds, args),
        "differenceToNative": difference,
    }
    golden = {
        "tolerance": TOLERANCE,
        "vectors": [[float(value) for value in vector] for vector in vectors],
        "scores": [float(value) for value in onnx_scores(model, vectors)],
    }
    parts = {
        "hash": feature_set,
        "features": features,
        "train": train,
        "windows": windows,
        "first_day": table.first_day,
        "thresholds": {"review": review, "block": block},
        "metrics": metrics,
        "feature_stats": feature_stats(table.features[train], features),
        "golden": golden,
    }
    manifest = manifest_of(args, table, model, parts)
    report = {
        **metrics,
        "calibration": calibration(label, score),
        "precisionRecall": precision_recall(label, score),
        "importances": importances(booster, features),
    }
    trained = profile(table.features[train], predict(booster, table.features[train]), features)
    files = {
        "model.onnx": model,
        "manifest.json": to_json(manifest),
        "metrics.json": json.dumps(report, indent=1, allow_nan=False) + "\n",
        "profile.json": json.dumps(trained, indent=1, allow_nan=False) + "\n",
        "README.md": card(manifest, report, args),
    }
    folder = Path(args.out) / args.name / args.version
    plots = lambda staged: write_plots(  # noqa: E731
        staged, label, score, report["precisionRecall"], report["calibration"], manifest["thresholds"]
    )
    write(folder, files, plots)
    print(json.dumps({"model": f"{args.name}/{args.version}", "bytes": len(model), **metrics}))


def write(folder: Path, files: dict, plots) -> None:
    """All files or none: a new folder takes the place of the old one."""
    staged = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for name, content in files.items():
        (staged / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    plots(staged)
    shutil.rmtree(folder, ignore_errors=True)
    staged.rename(folder)


if __name__ == "__main__":
    main()
