"""Statistics of people by other people's programs, as small cases for crates/qa/tests/golden/agreement.json.

    pip install krippendorff==0.9.0 statsmodels==0.15.0 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
    python conformance/agreement_reference.py crates/qa/tests/golden/agreement.json

Benjamini and Hochberg by scipy; Krippendorff's alpha by krippendorff; Cohen's kappa by scikit-learn and, from the same table, by
statsmodels; Fleiss' kappa by statsmodels. A `null` in a table of judgements is a judge who did not see the unit.
"""

import importlib.metadata
import json
import sys
import warnings

import krippendorff
import numpy as np
from scipy.stats import false_discovery_control
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats import inter_rater

warnings.simplefilter("ignore")
rng = np.random.default_rng(8)


def judgements(n_units, n_judges, n_categories, right, seen):
    truth = rng.integers(n_categories, size=n_units)
    said = np.where(
        rng.random((n_units, n_judges)) < right, truth[:, None], rng.integers(n_categories, size=(n_units, n_judges))
    )
    return [[int(c) if rng.random() < seen else None for c in row] for row in said]


def alpha(units):
    data = np.array([[np.nan if c is None else c for c in row] for row in units]).T
    return float(krippendorff.alpha(reliability_data=data, level_of_measurement="nominal"))


cases = {"tools": {t: importlib.metadata.version(t) for t in ["krippendorff", "statsmodels", "scikit-learn", "scipy", "numpy"]}}
cases["benjamini_hochberg"] = []
for n in [1, 2, 7, 56, 200]:
    p = np.round(rng.random(n) ** rng.choice([1, 4]), 6)
    if n > 5:
        p[1] = p[4]
    cases["benjamini_hochberg"].append({"p": p.tolist(), "adjusted": false_discovery_control(p).tolist()})
cases["alpha"] = []
for n_units, n_judges, n_categories, right, seen in [
    (10, 2, 2, 0.7, 1.0), (40, 3, 4, 0.8, 1.0), (60, 5, 3, 0.6, 0.7), (200, 8, 6, 0.9, 0.4), (25, 4, 2, 0.1, 0.8), (30, 3, 5, 1.0, 0.9)
]:
    units = judgements(n_units, n_judges, n_categories, right, seen)
    cases["alpha"].append({"units": units, "alpha": alpha(units)})
cases["cohen"] = []
for n_units, n_categories, right in [(20, 2, 0.8), (50, 4, 0.6), (100, 3, 0.05)]:
    units = np.array(judgements(n_units, 2, n_categories, right, 1.0))
    table = np.zeros((n_categories, n_categories), dtype=int)
    np.add.at(table, (units[:, 0], units[:, 1]), 1)
    kappa = float(cohen_kappa_score(units[:, 0], units[:, 1]))
    assert abs(kappa - inter_rater.cohens_kappa(table).kappa) < 1e-12
    cases["cohen"].append({"table": table.tolist(), "kappa": kappa})
cases["fleiss"] = []
for n_units, n_judges, n_categories, right in [(14, 5, 4, 0.5), (40, 3, 3, 0.9), (100, 8, 2, 0.3)]:
    units = np.array(judgements(n_units, n_judges, n_categories, right, 1.0))
    table = np.array([np.bincount(row, minlength=n_categories) for row in units])
    cases["fleiss"].append({"table": table.tolist(), "kappa": float(inter_rater.fleiss_kappa(table))})
with open(sys.argv[1], "w") as out:
    json.dump(cases, out, separators=(",", ":"))
    out.write("\n")
