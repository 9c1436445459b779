"""
Trains a model of xgboost on made-up rows and writes what the library itself says of them, for a test to compare with:
  contributions.py <folder> <trees> <depth>
model.onnx, rows.f32 (row-major), contributions.f32 (one per feature, then the base value), margins.f32.
"""

import sys
from pathlib import Path

import numpy as np
import xgboost as xgb

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts/training"))
from ensemble import Settings, fit, to_onnx

ROWS, WIDTH = 1000, 12

folder, trees, depth = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
random = np.random.default_rng(7)
features = random.normal(size=(6000, WIDTH)).astype(np.float32)
features[:, 3] = np.round(features[:, 3])
logit = features[:, 0] * features[:, 1] + np.sin(3 * features[:, 2]) + features[:, 3] - 1
label = (random.random(len(logit)) < 1 / (1 + np.exp(-logit))).astype(np.float32)
booster = fit(features, label, 0, Settings(trees, depth, 0.05, 1.0))
rows = features[:ROWS]
asked = xgb.DMatrix(rows)
(folder / "model.onnx").write_bytes(to_onnx(booster, WIDTH, "compared with the library"))
rows.tofile(folder / "rows.f32")
booster.predict(asked, pred_contribs=True).astype(np.float32).tofile(folder / "contributions.f32")
booster.predict(asked, output_margin=True).astype(np.float32).tofile(folder / "margins.f32")
