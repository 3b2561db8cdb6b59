"""ObjectLab scores by cleanlab, as small cases for crates/qa/tests/golden/objectlab.json.

    pip install cleanlab==2.9.0 numpy==2.4.6
    python conformance/objectlab_reference.py crates/qa/tests/golden/objectlab.json

Each case is a set of pictures: labels as [class, x1, y1, x2, y2], detections as [class, x1, y1, x2, y2, score] in ascending order of
class, which is the order of cleanlab's answers. A `null` is a detection that cleanlab gives no score for.
"""

import importlib.metadata
import json
import sys
import warnings

import numpy as np
from cleanlab.object_detection import rank

warnings.simplefilter("ignore")
N_CLASSES = 3
SQUARE = [0, 0, 0, 100, 100]


def moved(box, rng, by, size):
    width, height = box[2] - box[0], box[3] - box[1]
    x, y = box[0] + by * width * rng.normal(), box[1] + by * height * rng.normal()
    return [x, y, x + width * np.exp(size * rng.normal()), y + height * np.exp(size * rng.normal())]


def picture(rng):
    labels, detections = [], []
    for _ in range(rng.integers(0, 7)):
        x, y, side = rng.uniform(0, 500), rng.uniform(0, 400), rng.choice([12, 40, 120]) * rng.uniform(0.8, 1.2)
        box, label = [x, y, x + side, y + side * rng.uniform(0.5, 1.5)], int(rng.integers(N_CLASSES))
        if rng.random() < 0.85:
            labels.append([label, *moved(box, rng, 0.05 if rng.random() < 0.8 else 0.4, 0.05)])
            if rng.random() < 0.1:
                labels.append([(label + 1) % N_CLASSES, *moved(box, rng, 0.005, 0.002)])
        for _ in range(rng.integers(0, 3)):
            guess = label if rng.random() < 0.8 else int(rng.integers(N_CLASSES))
            score = rng.choice([rng.uniform(0, 1), rng.uniform(0.9, 1)])
            detections.append([guess, *moved(box, rng, 0.1, 0.1), score])
    if rng.random() < 0.3:
        x, y = rng.uniform(0, 500, size=2)
        detections.append([int(rng.integers(N_CLASSES)), x, y, x + 50, y + 40, rng.uniform(0.9, 1)])
    return rounded(labels), rounded(sorted(detections, key=lambda d: d[0]))


def rounded(rows):
    return [[row[0], *(round(float(v), 3) for v in row[1:])] for row in rows]


def generated(seed, n):
    rng = np.random.default_rng(seed)
    return [picture(rng) for _ in range(n)]


def score(pictures):
    labels, predictions = [], []
    for marked, found in pictures:
        boxes = np.array([m[1:] for m in marked], dtype=float).reshape(-1, 4)
        labels.append({"bboxes": boxes, "labels": np.array([m[0] for m in marked], dtype=int)})
        by_class = np.empty(N_CLASSES, dtype=object)
        for c in range(N_CLASSES):
            by_class[c] = np.array([f[1:] for f in found if f[0] == c], dtype=float).reshape(-1, 5)
        predictions.append(by_class)
    both = {"labels": labels, "predictions": predictions}
    kinds = {
        "overlooked": rank.compute_overlooked_box_scores(**both),
        "badly_located": rank.compute_badloc_box_scores(**both),
        "swapped": rank.compute_swap_box_scores(**both),
    }
    quality = rank.get_label_quality_scores(labels, predictions, verbose=False)
    rows = []
    for i, (marked, found) in enumerate(pictures):
        row = {"labels": marked, "detections": found, "quality": float(quality[i])}
        for kind, scores in kinds.items():
            row[kind] = [None if np.isnan(s) else float(s) for s in scores[i]]
            row["pooled_" + kind] = float(rank.pool_box_scores_per_image([scores[i]])[0])
        rows.append(row)
    return rows


edges = [
    ([], []),
    ([SQUARE], []),
    ([], [[0, 0, 0, 50, 50, 0.97]]),
    ([SQUARE], [[0, 100, 0, 200, 100, 0.99]]),
    ([SQUARE], [[0, 5, 0, 105, 100, 0.5]]),
    ([SQUARE], [[0, 5, 0, 105, 100, 0.51]]),
    ([SQUARE], [[0, 300, 0, 400, 100, 0.95]]),
    ([SQUARE], [[1, 5, 0, 105, 100, 0.95]]),
    ([SQUARE], [[1, 5, 0, 105, 100, 0.951]]),
    ([SQUARE, [1, 0, 0, 100, 95]], []),
    ([SQUARE, [1, 0, 0, 100, 94]], []),
    ([SQUARE, [0, 0, 0, 100, 99]], []),
    ([[0, 10, 10, 10, 10]], [[0, 0, 0, 20, 20, 0.99]]),
    ([SQUARE], [[0, 0, 0, 100, 100, 0.99], [1, 0, 0, 100, 100, 0.99]]),
]
cases = {
    "cleanlab": importlib.metadata.version("cleanlab"),
    "sets": [score(edges), score(edges[4:6]), score(edges[:2])] + [score(generated(seed, 12)) for seed in range(4)],
}
with open(sys.argv[1], "w") as out:
    json.dump(cases, out, separators=(",", ":"))
    out.write("\n")
