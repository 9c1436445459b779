"""Vectors that a model must score as expected when it is loaded."""

import numpy as np

from ensemble import trees_of

FLOAT_MAX = np.finfo(np.float32).max


def golden_vectors(booster, features, score, rows: int = 24) -> np.ndarray:
    """
    Float32 vectors: `rows` real ones from the lowest to the highest score, the columns' extremes, values no event
    has (zeros, the largest floats of both signs, the smallest), and vectors that lie exactly on thresholds of the
    trees and one step below, where a wrong comparison or a flipped bit shows.
    """
    order = np.argsort(score, kind="stable")
    real = features[order[np.linspace(0, len(order) - 1, rows).astype(int)]]
    width = features.shape[1]
    extremes = np.stack(
        [
            features.min(axis=0),
            features.max(axis=0),
            np.zeros(width, np.float32),
            np.ones(width, np.float32),
            np.full(width, -1, np.float32),
            np.full(width, FLOAT_MAX, np.float32),
            np.full(width, -FLOAT_MAX, np.float32),
            np.full(width, np.finfo(np.float32).tiny, np.float32),
        ]
    )
    return np.concatenate([real, extremes, *threshold_vectors(booster, width)]).astype(np.float32) + np.float32(0)


def threshold_vectors(booster, width: int, levels: int = 6) -> list:
    """Pairs of vectors: every feature on one of its thresholds, and just below it."""
    seen: list = [set() for _ in range(width)]
    for tree in trees_of(booster):
        for feature, value, left in zip(tree["split_indices"], tree["split_conditions"], tree["left_children"]):
            if left != -1:
                seen[feature].add(np.float32(value))
    pairs = []
    for level in range(levels):
        vector = np.zeros(width, np.float32)
        for feature, values in enumerate(seen):
            if values:
                ordered = sorted(values)
                vector[feature] = ordered[(len(ordered) - 1) * level // (levels - 1)]
        pairs.append(np.stack([vector, np.nextafter(vector, np.float32(-np.inf), dtype=np.float32)]))
    return pairs
