"""Scores and verdicts, and what scikit-learn and numpy make of their calibration.

Run with:
    python -m pip install scikit-learn==1.9.1 numpy==2.4.6
    python make_calibration_golden.py > calibration.json

* ece, mce: from the reliability curve of sklearn.calibration.calibration_curve (bins of equal width) and numpy's
  histogram for the number of detections in each bin
* d_ece_*: numpy's histogramdd over score and box, with the definition of Küppers et al. 2020, equation 6, and bins of
  fewer than 8 detections left out

Each detection is [score, right, centre x, centre y, width, height], the box as shares of the picture. No number lies on
the edge of a bin, so that no convention about edges matters.
"""

import json

import numpy as np
from sklearn.calibration import calibration_curve


def ece(score, right, n):
    precision, mean = calibration_curve(right, score, n_bins=n, strategy="uniform")
    count, _ = np.histogram(score, bins=n, range=(0, 1))
    gap = np.abs(precision - mean)
    return float((count[count > 0] * gap).sum() / count.sum()), float(gap.max())


def d_ece(score, right, shares, n, least=8):
    x = np.column_stack([score, *shares])
    edges = [np.linspace(0, 1, n + 1)] * x.shape[1]
    count, _ = np.histogramdd(x, edges)
    hits, _ = np.histogramdd(x, edges, weights=right.astype(float))
    scores, _ = np.histogramdd(x, edges, weights=score)
    full = count >= least
    if not full.any():
        return None
    gap = np.abs(hits[full] - scores[full]) / count[full]
    return float((gap * count[full]).sum() / count[full].sum())


def main():
    out = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        n = int(rng.choice([5, 40, 150, 300]))
        # Off the edges of 5, 8 and 20 bins: thousandths that end in 3 are on none of them.
        share = lambda m: (rng.integers(0, 100, m) * 10 + 3) / 1000
        score = share(n)
        right = (rng.random(n) < score ** rng.choice([0.5, 1, 2])).astype(int)
        cx, cy = share(n), share(n)
        if seed % 2:
            # Crowded bins, so that some hold enough for the error over everything.
            cx, cy = 0.503 + 0 * cx, 0.503 + 0 * cy
        w, h = share(n) * 0.3, share(n) * 0.3
        w, h = np.round(w + 0.0003, 4), np.round(h + 0.0003, 4)
        e, m = ece(score, right, 20)
        out.append(
            {
                "detections": [[float(v) for v in row] for row in zip(score, right, cx, cy, w, h)],
                "ece": e,
                "mce": m,
                "d_ece_position": d_ece(score, right, [cx, cy], 8),
                "d_ece_size": d_ece(score, right, [w, h], 8),
                "d_ece_all": d_ece(score, right, [cx, cy, w, h], 5),
            }
        )
    print("[" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in out) + "]")


main()
