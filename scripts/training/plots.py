"""The model card's plots, as SVG. The same numbers give the same bytes."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

matplotlib.rcParams.update({"svg.hashsalt": "riverbank", "svg.fonttype": "none", "figure.figsize": (5, 3.5)})


def write_plots(folder: Path, label, score, curve: dict, calibrated: dict, thresholds: dict) -> None:
    precision_recall_plot(folder / "precision-recall.svg", curve)
    calibration_plot(folder / "calibration.svg", calibrated)
    scores_plot(folder / "scores.svg", label, score, thresholds)


def precision_recall_plot(path: Path, curve: dict) -> None:
    figure, axes = plt.subplots()
    axes.step(curve["recall"], curve["precision"], where="post")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.set_title(f"average precision {curve['averagePrecision']:.3f}")
    save(figure, path)


def calibration_plot(path: Path, calibrated: dict) -> None:
    figure, axes = plt.subplots()
    lowest = 1e-5
    mean = [max(row["meanScore"], lowest) for row in calibrated["bins"]]
    share = [max(row["fraudShare"], lowest) for row in calibrated["bins"]]
    axes.plot([lowest, 1], [lowest, 1], color="grey", linewidth=0.8)
    axes.plot(mean, share, marker="o")
    axes.set(xscale="log", yscale="log", xlabel="mean score of a tenth of the events", ylabel="share that was reported")
    axes.set_title(f"Brier score {calibrated['brier']:.4f}")
    save(figure, path)


def scores_plot(path: Path, label, score, thresholds: dict) -> None:
    figure, axes = plt.subplots()
    bins = np.linspace(0, 1, 41)
    axes.hist([score[label == 0], score[label == 1]], bins=bins, label=["not reported", "reported"], log=True)
    for name, value in thresholds.items():
        axes.axvline(value, color="black", linewidth=0.8, linestyle="--")
        axes.annotate(name, (value, axes.get_ylim()[1]), rotation=90, va="top", ha="right")
    axes.set(xlabel="score", ylabel="events")
    axes.legend()
    save(figure, path)


def save(figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
