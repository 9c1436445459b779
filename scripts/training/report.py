"""What a model's metrics.json and profile.json hold: calibration, curves, importances, and what its inputs were like."""

import numpy as np

from metrics import average_precision

CALIBRATION_BINS = 10
PROFILE_BINS = 10
CURVE_POINTS = 200


def calibration(label, score) -> dict:
    """
    Bins of equally many events by score: mean score beside the share of fraud. brier: mean squared difference of score
    and label. expectedError: mean over events of the distance between both in their bin.
    """
    order = np.argsort(score, kind="stable")
    bins = []
    for part in np.array_split(order, CALIBRATION_BINS):
        mean, share = float(score[part].mean()), float(label[part].mean())
        bins.append({"events": len(part), "meanScore": round(mean, 6), "fraudShare": round(share, 6)})
    error = sum(row["events"] * abs(row["meanScore"] - row["fraudShare"]) for row in bins) / len(score)
    brier = float(np.mean((score.astype(np.float64) - label) ** 2))
    return {"brier": round(brier, 6), "expectedError": round(error, 6), "bins": bins}


def precision_recall(label, score) -> dict:
    """Points of the curve, highest score first, thinned to at most CURVE_POINTS."""
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], np.cumsum(label[order])
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    kept = ends[np.unique(np.linspace(0, len(ends) - 1, min(CURVE_POINTS, len(ends))).astype(int))]
    return {
        "averagePrecision": round(average_precision(label, score), 4),
        "recall": [round(float(value), 5) for value in hits[kept] / hits[-1]],
        "precision": [round(float(value), 5) for value in hits[kept] / (kept + 1)],
        "threshold": [round(float(value), 6) for value in ranked[kept]],
    }


def importances(booster, features: list) -> list:
    """Per feature its share of the total gain and how many nodes split on it; the most important first."""
    gain, splits = booster.get_score(importance_type="total_gain"), booster.get_score(importance_type="weight")
    total = sum(gain.values()) or 1.0
    rows = [
        {
            "feature": name,
            "gain": round(gain.get(f"f{index}", 0.0) / total, 6),
            "splits": int(splits.get(f"f{index}", 0)),
        }
        for index, name in enumerate(features)
    ]
    return sorted(rows, key=lambda row: (-row["gain"], row["feature"]))


def feature_stats(values, features: list) -> dict:
    """Mean and median of each input over the training rows: what is usual."""
    return {
        name: {
            "mean": round(float(values[:, index].mean(dtype=np.float64)), 6),
            "median": round(float(np.median(values[:, index])), 6),
        }
        for index, name in enumerate(features)
    }


def profile(values, score, features: list) -> dict:
    """
    How inputs and scores were distributed in training: shares between quantiles. What drifts from it is measured with
    the population stability index, sum of (p - q) * ln(p / q).
    """
    return {
        "format": 1,
        "rows": len(score),
        "score": distribution(score.astype(np.float64)),
        "features": {name: distribution(values[:, index].astype(np.float64)) for index, name in enumerate(features)},
    }


def distribution(column) -> dict:
    """
    `edges` ascending; shares of: below edges[0], from each edge to below the next, from the last one on. `usual` is the
    most frequent value (of equally frequent ones the smallest), which for many features is their default.
    """
    quantiles = np.quantile(column, np.linspace(0, 1, PROFILE_BINS + 1)[1:-1], method="lower")
    edges = np.unique(quantiles)
    values, frequency = np.unique(column, return_counts=True)
    top = int(np.argmax(frequency))
    counts = np.bincount(np.searchsorted(edges, column, side="right"), minlength=len(edges) + 1)
    return {
        "edges": [float(edge) for edge in edges],
        "shares": [round(float(share), 8) for share in counts / len(column)],
        "usual": {"value": float(values[top]), "share": round(float(frequency[top] / len(column)), 8)},
    }
