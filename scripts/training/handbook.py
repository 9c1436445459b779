"""
Trains XGBoost with the library's defaults on the handbook's fifteen inputs and compares with the handbook's figures:
handbook.py --table .cache/training/payments.parquet. It matches only if simulator, engine, split and metrics are all
right. Ends with 1 when it does not.
"""

import argparse
import sys

import xgboost as xgb

from metrics import Windows, evaluate, split
from table import read_table

FEATURES = """amount weekend night
customer_payments_1d customer_mean_amount_1d customer_payments_7d customer_mean_amount_7d
customer_payments_30d customer_mean_amount_30d
terminal_risk__payment_count_1d terminal_risk_1d terminal_risk__payment_count_7d terminal_risk_7d
terminal_risk__payment_count_30d terminal_risk_30d""".split()

# Le Borgne et al. (2022), chapter 3: training days 115 to 121, test days 129 to 135.
PUBLISHED = {"aucRoc": 0.862, "averagePrecision": 0.639, "cardPrecision100": 0.273}
# Of the library release the book was made with.
DEFAULTS = {"objective": "binary:logistic", "tree_method": "exact", "base_score": 0.5, "nthread": 1}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare with the figures of the handbook.")
    parser.add_argument("--table", required=True)
    table = read_table(parser.parse_args().table, FEATURES)
    train, test = split(table, Windows(115, 7, 7, 7))
    booster = xgb.train(DEFAULTS, xgb.DMatrix(table.features[train], table.label[train]), 100)
    found = evaluate(table, test, booster.predict(xgb.DMatrix(table.features[test])))
    for name, published in PUBLISHED.items():
        print(f"{name}: {found[name]:.4f}, published {published}")
    sys.exit(any(abs(found[name] - published) > 0.001 for name, published in PUBLISHED.items()))
