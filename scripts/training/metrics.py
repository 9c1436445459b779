"""Split and metrics of the "Practical Handbook" (Le Borgne et al., 2022, chapters 3 and 5), in our own words."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Windows:
    """Days of one fold: train, then a delay in which labels become known, then test."""

    train_from: int
    train_days: int
    delay_days: int
    test_days: int

    @property
    def train_to(self) -> int:
        """The last training day, included."""
        return self.train_from + self.train_days - 1

    @property
    def test_from(self) -> int:
        return self.train_from + self.train_days + self.delay_days

    @property
    def test_to(self) -> int:
        """The last test day, included."""
        return self.test_from + self.test_days - 1

    def shifted(self, days: int) -> "Windows":
        return Windows(self.train_from + days, self.train_days, self.delay_days, self.test_days)


# The book trains on so many days, and calls the cards with a fraud in them compromised.
KNOWN_DAYS = 7


def split(table, windows: Windows):
    """
    Row indices (train, test). A card that is known to be compromised is no longer scored: for test day k, customers
    with a fraud in the last week of the training days or on the first k + 1 days from the last training day on are
    left out. A week, however long the training is: models are compared on the same events.
    """
    day, fraud = table.tx_day, table.label == 1
    train = np.flatnonzero((day >= windows.train_from) & (day <= windows.train_to))
    known = set(table.entity_id[fraud & (day > windows.train_to - KNOWN_DAYS) & (day <= windows.train_to)])
    test = []
    for k in range(windows.test_days):
        known |= set(table.entity_id[fraud & (day == windows.train_to + k)])
        rows = np.flatnonzero(day == windows.test_from + k)
        test.append(rows[[customer not in known for customer in table.entity_id[rows]]])
    return train, np.concatenate(test)


def auc_roc(label, score) -> float:
    """Area under the ROC curve as the rank statistic; ties count half."""
    _, group, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2
    positive = label == 1
    n1, n0 = int(positive.sum()), int((~positive).sum())
    if n1 == 0 or n0 == 0:
        return float("nan")
    return float((rank[group][positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def average_precision(label, score) -> float:
    """Sum over the distinct scores, highest first, of precision times the step in recall."""
    order = np.argsort(-score, kind="stable")
    label, score = label[order], score[order]
    ends = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    caught = np.cumsum(label)[ends]
    if caught[-1] == 0:
        return float("nan")
    steps = np.diff(np.concatenate([[0], caught]))
    return float((steps * caught / (ends + 1)).sum() / caught[-1])


def card_precision(day, customer, label, score, top: int = 100) -> float:
    """
    CP@top: every test day the `top` customers by their highest score are looked at; the share of them with a fraud
    that day, averaged over the days. A customer that was caught leaves the later days.
    """
    caught: set = set()
    shares = []
    for today in np.unique(day):
        best: dict = {}
        for row in np.flatnonzero(day == today):
            if customer[row] in caught:
                continue
            old = best.get(customer[row], (-np.inf, 0))
            best[customer[row]] = (max(old[0], score[row]), max(old[1], label[row]))
        ranked = sorted(best.items(), key=lambda item: -item[1][0])[:top]
        found = [name for name, (_, fraud) in ranked if fraud == 1]
        caught.update(found)
        shares.append(len(found) / top)
    return float(np.mean(shares))


def evaluate(table, rows, score) -> dict:
    """AUC ROC, AP and CP@100 of `score` on these rows of the table."""
    label = table.label[rows]
    return {
        "aucRoc": round(auc_roc(label, score), 4),
        "averagePrecision": round(average_precision(label, score), 4),
        "cardPrecision100": round(card_precision(table.tx_day[rows], table.entity_id[rows], label, score), 4),
        "rows": int(len(rows)),
        "frauds": int(label.sum()),
    }


def operating_point(label, score, threshold: float) -> dict:
    """What happens at `score >= threshold`."""
    alerts = score >= threshold
    hits = int(label[alerts].sum())
    return {
        "alertRate": round(float(alerts.mean()), 5),
        "precision": round(hits / max(1, int(alerts.sum())), 4),
        "recall": round(hits / max(1, int(label.sum())), 4),
    }


def pick_thresholds(label, score, review_rate: float, block_precision: float, block_alerts_min: int) -> tuple:
    """
    (review, block). Review is the score that the top `review_rate` of the events reach. Block is the lowest score,
    not below review, from which on the precision is at least `block_precision`, over at least `block_alerts_min`
    events; where no score is that precise it is 1 (nothing is blocked).
    """
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], np.cumsum(label[order])
    review = float(ranked[max(1, round(len(ranked) * review_rate)) - 1])
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    precise = (hits[ends] / (ends + 1) >= block_precision) & (ends + 1 >= block_alerts_min)
    block = float(ranked[ends[precise][-1]]) if precise.any() else 1.0
    review = min(max(floor6(review), 1e-6), 1.0)
    return review, min(max(floor6(block), review), 1.0)


def floor6(value: float) -> float:
    """Six decimals, rounded down: the score that set the threshold still reaches it."""
    return float(np.floor(value * 1e6) / 1e6)
