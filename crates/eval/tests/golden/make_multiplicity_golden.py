"""P-values corrected for multiplicity by statsmodels.

Run with:
    python -m pip install statsmodels==0.15.0 numpy==2.4.6
    python make_multiplicity_golden.py > multiplicity.json
"""

import json
import random

from statsmodels.stats.multitest import multipletests

FIXED = [
    [0.01],
    [0.01, 0.04, 0.03, 0.005],
    [0.5, 0.5, 0.5],
    [0.0, 1.0],
    [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216, 0.222, 0.251, 0.269, 0.275, 0.34, 0.341, 0.384, 0.569, 0.594, 0.696, 0.762, 0.94, 0.942, 0.975, 0.986],
]


def main():
    rng = random.Random(3)
    rows = list(FIXED)
    for _ in range(40):
        n = rng.choice([1, 2, 3, 5, 10, 40, 80])
        # Multiples of 1/501 tie often, as p-values of a bootstrap do.
        rows.append([rng.choice([2 * rng.randrange(1, 250) / 501, rng.random() ** 3]) for _ in range(n)])
    out = []
    for p in rows:
        corrected = {m: multipletests(p, method=m)[1].tolist() for m in ("holm", "fdr_bh")}
        out.append({"p": p, "holm": corrected["holm"], "benjamini_hochberg": corrected["fdr_bh"]})
    print("[" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in out) + "]")


main()
