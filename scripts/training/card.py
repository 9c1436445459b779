"""The model card: what a person must know before using the model, from the numbers of its manifest."""

import numpy as np


def card(manifest: dict, report: dict, args) -> str:
    training, metrics, thresholds = manifest["training"], manifest["metrics"], manifest["thresholds"]
    test, validation, folds = metrics["test"], metrics["validation"], metrics["testFolds"]
    review, block = metrics["atReview"], metrics["atBlock"]
    scored, entity = args.scored, args.entity
    positive, positives = args.positive, args.positives
    return f"""# {manifest["name"]}/{manifest["version"]}

The probability of {positive} for one of the {scored}, from the {len(manifest["features"])} features of `{manifest["service"]}`:
{training["parameters"]["trees"]} gradient-boosted trees of depth {training["parameters"]["depth"]} (XGBoost), written as one ONNX tree ensemble that also carries
each node's cover, so that exact SHAP values need only the file.

Trained on the lake's {scored} of {training["from"][:10]} to {training["to"][:10]} ({training["rows"]:,} {scored}, {training["frauds"]:,} known
{positives}): their features as they were when each was scored, and no label that was reported after
{training["labelsKnownBy"][:10]}, when the test days begin.

| | AUC ROC | AP | CP@100 | {scored} | {positives} |
|---|---|---|---|---|---|
| validation fold | {row(validation)} |
| test fold | {row(test)} |
| mean of {folds["folds"]} test folds | {scores(folds)} | | |

AP is average precision. CP@100 is the share of the 100 most suspicious of a day, each {entity} once, that are compromised;
those known to be compromised are left out. It cannot exceed the share that there is to find.

**These are figures of this lake. Of simulated data they are far too good**: on real card payments, for example, the same
method gives AUC ROC .899, AP .035, CP@100 .090 (XGBoost on 400,000 payments a day). Train on your own {scored}.

![precision and recall on the test fold](precision-recall.svg)
![calibration on the test fold](calibration.svg)
![scores of the test fold](scores.svg)

Calibration on the test fold: Brier score {report["calibration"]["brier"]:.4f}; mean distance between score and share of
{positives}, over tenths of the {scored}, {report["calibration"]["expectedError"]:.4f}. The most important features, by their share of the gain:

| feature | gain | splits |
|---|---|---|
{importance_rows(report)}

| decision | at or above | share of test {scored} | precision | recall |
|---|---|---|---|---|
| review | {thresholds["review"]} | {review["alertRate"]:.2%} | {review["precision"]:.1%} | {review["recall"]:.1%} |
| block | {thresholds["block"]} | {block["alertRate"]:.2%} | {block["precision"]:.1%} | {block["recall"]:.1%} |

Parameters and thresholds were chosen on validation days before the test days: review is what the top
{args.review_rate:.1%} of validation {scored} reach, block is the lowest score from which on at least
{args.block_precision:.0%} of them were {positives} (over at least {args.block_alerts_min} {scored}). Method: Le Borgne et al.,
"Reproducible Machine Learning for Credit Card Fraud Detection - Practical Handbook" (2022), chapters 3 and 5.

To make it again, from a lake with these {scored}: `{command(manifest, args)}`. The same lake, seed and versions give
the same bytes.
"""


def importance_rows(report: dict, rows: int = 12) -> str:
    return "\n".join(
        f"| `{row['feature']}` | {row['gain']:.1%} | {row['splits']} |" for row in report["importances"][:rows]
    )


def command(manifest: dict, args) -> str:
    training, given = manifest["training"], manifest["training"]["parameters"]
    project = f" --project {args.project}" if args.project else ""
    day_after = str(np.datetime64(training["to"][:10]) + 1)
    return (
        f"npm run train -- --from {training['from'][:10]} --to {day_after} --name {manifest['name']} "
        f"--version {manifest['version']} --service {manifest['service']} --trees {given['trees']} "
        f"--depth {given['depth']} --rate {given['rate']} --min-child-weight {given['minChildWeight']:g} "
        f"--subsample {given['subsample']:g} --columns {given['columns']:g} --folds {args.folds} --label-delay {args.delay_days} "
        f"--test-days {args.test_days}{project}"
    )


def scores(metrics: dict) -> str:
    return f"{metrics['aucRoc']:.3f} | {metrics['averagePrecision']:.3f} | {metrics['cardPrecision100']:.3f}"


def row(metrics: dict) -> str:
    return f"{scores(metrics)} | {metrics['rows']:,} | {metrics['frauds']:,}"
