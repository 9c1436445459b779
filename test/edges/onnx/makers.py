"""
Trains one small model with each library that data scientists bring, exports it as that library's own converter does by
default, and writes what the library itself says of its rows, for a test to compare with:

  makers.py <folder>: <folder>/background.f32 (the training rows, row-major), rows.f32 (those that are explained), and for
  each model <model>.onnx, <model>.scores.f32 and <model>.shap.f32 (one per feature, then the base value); models.json
  says how many features they take, and which column is fraud where it is not the second.
"""

import json
import sys
import warnings
from pathlib import Path

import catboost
import lightgbm as lgb
import numpy as np
import pandas as pd
import shap
import xgboost as xgb
from onnxruntime import InferenceSession
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as MlFloats
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

warnings.filterwarnings("ignore")
ROWS, EXPLAINED, WIDTH, TREES = 3000, 300, 8, 20
folder = Path(sys.argv[1])
random = np.random.default_rng(11)
x = random.normal(size=(ROWS, WIDTH)).astype(np.float32)
x[:, 3] = np.round(x[:, 3])
x[:, 5] = np.round(np.abs(x[:, 5]) * 10)
logit = x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + x[:, 3] + 0.1 * x[:, 5] - 2
y = (random.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(np.int64)
rows = x[:EXPLAINED]
floats = [("input", FloatTensorType([None, WIDTH]))]
columns_of_fraud = {}


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def save(name, model, scores, values, column=1):
    data = model if isinstance(model, bytes) else model.SerializeToString()
    (folder / f"{name}.onnx").write_bytes(data)
    np.asarray(scores, np.float32).tofile(folder / f"{name}.scores.f32")
    np.asarray(values, np.float32).tofile(folder / f"{name}.shap.f32")
    columns_of_fraud[name] = column


def of_shap(model):
    """The values of the second class, and their base, by the package shap; covers are those of all training rows."""
    explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    trees = np.ravel(getattr(model, "estimators_", [model]))
    for number, tree in enumerate(trees if hasattr(trees[0], "tree_") else []):
        counts = np.ravel(tree.decision_path(x).sum(axis=0))
        explainer.model.node_sample_weight[number, : len(counts)] = counts
    values = explainer.shap_values(rows, check_additivity=False)
    values = values[1] if isinstance(values, list) else values
    values = values[:, :, -1] if values.ndim == 3 else values
    answer = model.decision_function(x) if hasattr(model, "decision_function") else model.predict_proba(x)[:, 1]
    return np.hstack([values, np.full((len(rows), 1), answer.mean())])


def sklearn_models():
    # Bags count rows as often as they were drawn; the background counts each once.
    forest = RandomForestClassifier(TREES, max_depth=6, bootstrap=False, random_state=0).fit(x, y)
    kinds = {
        "forest": forest,
        "extra": ExtraTreesClassifier(TREES, max_depth=6, random_state=0).fit(x, y),
        "tree": DecisionTreeClassifier(max_depth=5, random_state=0).fit(x, y),
        "boosting": GradientBoostingClassifier(n_estimators=TREES, random_state=0).fit(x, y),
        "hist": HistGradientBoostingClassifier(max_iter=TREES, random_state=0).fit(x, y),
    }
    for name, model in kinds.items():
        onnx = convert_sklearn(model, initial_types=floats)
        save(name, onnx, model.predict_proba(rows)[:, 1], of_shap(model))
    save_variants(forest, kinds["extra"])


def save_variants(forest, extra):
    values, scores = of_shap(forest), forest.predict_proba(rows)[:, 1]
    plain = convert_sklearn(forest, initial_types=floats, options={"zipmap": False})
    save("forest-plain", plain, scores, values)
    save("forest-columns", convert_sklearn(forest, initial_types=floats, options={"zipmap": "columns"}), scores, values)
    doubles = convert_sklearn(forest, initial_types=[("input", DoubleTensorType([None, WIDTH]))])
    save("forest-double", doubles, scores, values)
    frame = pd.DataFrame({f"f{i}": x[:, i] for i in range(WIDTH)}).astype({"f3": np.int64, "f5": np.int64, "f1": np.float64})
    types = {np.dtype(np.int64): Int64TensorType, np.dtype(np.float64): DoubleTensorType, np.dtype(np.float32): FloatTensorType}
    by_column = [(name, types[frame[name].dtype]([None, 1])) for name in frame.columns]
    columns = ColumnTransformer([("all", "passthrough", list(frame.columns))])
    piped = make_pipeline(columns, RandomForestClassifier(TREES, max_depth=6, bootstrap=False, random_state=0)).fit(frame, y)
    onnx = convert_sklearn(piped, initial_types=by_column)
    save("forest-by-column", onnx, piped.predict_proba(frame[:EXPLAINED])[:, 1], of_shap(piped[-1]))
    names = DecisionTreeClassifier(max_depth=5, random_state=0).fit(x, np.where(y == 1, "fraud", "genuine"))
    flipped = of_shap(names)
    # Classes are in the order of the alphabet: the first one is fraud, and what speaks for the second speaks against it.
    flipped = np.hstack([-flipped[:, :-1], 1 - flipped[:, -1:]])
    save("tree-strings", convert_sklearn(names, initial_types=floats), names.predict_proba(rows)[:, 0], flipped, column=0)
    vote = VotingClassifier([("a", forest), ("b", extra)], voting="soft", flatten_transform=False).fit(x, y)
    both = np.mean([of_shap(model) for model in vote.estimators_], axis=0)
    save("voting", convert_sklearn(vote, initial_types=floats), vote.predict_proba(rows)[:, 1], both)


def stretched(logits):
    """Each fold's values, stretched to the difference that they make to its probability; and their mean."""
    found = []
    for v in logits:
        f, base = v.sum(axis=1, keepdims=True), v[:, -1:]
        found.append(np.hstack([v[:, :-1] * (sigmoid(f) - sigmoid(base)) / (f - base), sigmoid(base)]))
    return np.mean(found, axis=0)


def calibrated_models():
    forest = lambda: RandomForestClassifier(10, max_depth=5, bootstrap=False, random_state=0)  # noqa: E731
    boosting = lambda: GradientBoostingClassifier(n_estimators=10, random_state=0)  # noqa: E731
    for name, make, link in (("forest", forest, False), ("boosting", boosting, False)):
        for how in ("one", "folds"):
            model = CalibratedClassifierCV(make(), method="sigmoid", cv=3, ensemble=how == "folds").fit(x, y)
            onnx = convert_sklearn(model, initial_types=floats)
            scores = model.predict_proba(rows)[:, 1]
            parts = [(of_shap(one.estimator), one.calibrators[0]) for one in model.calibrated_classifiers_]
            # Platt: the probability is the logistic function of −(a·f + b), whose log odds are as additive as f.
            logits = [np.hstack([-c.a_ * v[:, :-1], -c.a_ * v[:, -1:] - c.b_]) for v, c in parts]
            if how == "one":
                save(f"calibrated-{name}", onnx, scores, logits[0])
                continue
            save(f"calibrated-{name}-folds", onnx, scores, stretched(logits))
    isotonic = CalibratedClassifierCV(forest(), method="isotonic", cv=3).fit(x, y)
    onnx = convert_sklearn(isotonic, initial_types=floats)
    # The converter takes the nearest step, where scikit-learn draws a line between two: these are the export's own scores.
    answers = InferenceSession(onnx.SerializeToString()).run(None, {"input": rows})[1]
    save("isotonic", onnx, [answer[1] for answer in answers], [])
    # What the converter is known to get wrong: the library's scores are the right ones.
    save("isotonic-native", onnx, isotonic.predict_proba(rows)[:, 1], [])
    piped = make_pipeline(FunctionTransformer(), GradientBoostingClassifier(n_estimators=10, random_state=0))
    model = CalibratedClassifierCV(piped, method="sigmoid", cv=3).fit(x, y)
    save("calibrated-pipeline", convert_sklearn(model, initial_types=floats), model.predict_proba(rows)[:, 1], [])
    linear = LogisticRegression().fit(x, y)
    save("linear", convert_sklearn(linear, initial_types=floats), linear.predict_proba(rows)[:, 1], [])


def boosters():
    lightgbm = lgb.LGBMClassifier(n_estimators=TREES, num_leaves=15, verbose=-1, deterministic=True, n_jobs=1).fit(x, y)
    onnx = convert_lightgbm(lightgbm, initial_types=[("input", MlFloats([None, WIDTH]))])
    save("lightgbm", onnx, lightgbm.predict_proba(rows)[:, 1], lightgbm.predict(rows, pred_contrib=True))
    cat = catboost.CatBoostClassifier(iterations=TREES, depth=4, verbose=0, thread_count=1, allow_writing_files=False, random_seed=0).fit(x, y)
    cat.save_model(str(folder / "catboost.onnx"), format="onnx")
    values = cat.get_feature_importance(catboost.Pool(rows), type="ShapValues")
    save("catboost", (folder / "catboost.onnx").read_bytes(), cat.predict_proba(rows)[:, 1], values)
    model = xgb.XGBClassifier(n_estimators=TREES, max_depth=4, n_jobs=1, random_state=0).fit(x, y)
    onnx = convert_xgboost(model, initial_types=[("input", MlFloats([None, WIDTH]))])
    counted = with_counts(model.get_booster())
    values = counted.predict(xgb.DMatrix(rows), pred_contribs=True)
    save("xgboost", onnx, model.predict_proba(rows)[:, 1], values)


def with_counts(booster):
    """The same trees, with the rows that come through a node in place of the sum of their hessians."""
    learned = json.loads(booster.save_raw("json").decode())
    leaves = booster.predict(xgb.DMatrix(x), pred_leaf=True).astype(int)
    for number, tree in enumerate(learned["learner"]["gradient_booster"]["model"]["trees"]):
        counts = np.zeros(len(tree["parents"]))
        for leaf, count in zip(*np.unique(leaves[:, number], return_counts=True)):
            node = int(leaf)
            while True:
                counts[node] += count
                if node == 0:
                    break
                node = tree["parents"][node]
        tree["sum_hessian"] = counts.tolist()
    (folder / "counted.json").write_text(json.dumps(learned))
    counted = xgb.Booster()
    counted.load_model(str(folder / "counted.json"))
    return counted


x.tofile(folder / "background.f32")
rows.tofile(folder / "rows.f32")
sklearn_models()
calibrated_models()
boosters()
(folder / "models.json").write_text(json.dumps({"width": WIDTH, "columns": columns_of_fraud}))
