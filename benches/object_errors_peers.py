"""Finds the label errors that `label_suspects --write FOLDER` planted, with cleanlab's ObjectLab, beside ours.

python object_errors_peers.py FOLDER   (needs cleanlab, scikit-learn, numpy)

Pictures: has any label of the picture an error? Objects, one row per kind: labels with a planted error of the kind against labels
without any; for overlooked ones, detections on a missing label against all others. A method that gives an object no score gives it
the best. `cleanlab, thresholds .3` lets detections speak from the score on that `suspects` believes them from.
"""

import json
import pathlib
import sys
import time
import warnings

import numpy as np
from cleanlab.object_detection import rank
from sklearn.metrics import average_precision_score, roc_auc_score

warnings.simplefilter("ignore")
N_CLASSES = 3
KINDS = ["overlooked", "badly_located", "swapped", "unfounded"]


def as_cleanlab(pictures):
    labels, predictions, order = [], [], []
    for p in pictures:
        marked, found = np.array(p["labels"]).reshape(-1, 5), np.array(p["detections"]).reshape(-1, 6)
        labels.append({"bboxes": marked[:, 1:], "labels": marked[:, 0].astype(int)})
        by_class = np.empty(N_CLASSES, dtype=object)
        for c in range(N_CLASSES):
            by_class[c] = found[found[:, 0] == c, 1:]
        predictions.append(by_class)
        order.append(np.argsort(found[:, 0], kind="stable"))
    return labels, predictions, order


def cleanlab_boxes(labels, predictions, order, high=None, low=None):
    both = {"labels": labels, "predictions": predictions}
    over = rank.compute_overlooked_box_scores(**both, high_probability_threshold=high)
    bad = rank.compute_badloc_box_scores(**both, low_probability_threshold=low)
    swap = rank.compute_swap_box_scores(**both, high_probability_threshold=high)
    pooled = [rank.pool_box_scores_per_image(s) for s in (over, bad, swap)]
    quality = np.exp(np.mean(np.log(np.maximum(pooled, 1e-100)), axis=0))
    undone = []
    for scores, by in zip(over, order):
        own = np.empty(len(by))
        own[by] = scores
        undone.append(own)
    return quality, {"overlooked": undone, "badly_located": bad, "swapped": swap}


def iou(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def objects(pictures, kind):
    """(picture, object, is it an error) of one kind."""
    for i, p in enumerate(pictures):
        if kind == "overlooked":
            for d, found in enumerate(p["detections"]):
                yield i, d, any(iou(found[1:5], m) >= 0.5 for m in p["missing"])
            continue
        errors = {tuple(w) for w in p["wrong"]}
        for l in range(len(p["labels"])):
            if (l, kind) in errors:
                yield i, l, True
            elif all(w[0] != l for w in errors):
                yield i, l, False


def suspicion(pictures, kind):
    best = [{} for _ in pictures]
    for i, p in enumerate(pictures):
        for k, label, detection, s in p["suspects"]:
            if k == kind:
                best[i][detection if kind == "overlooked" else label] = s
    return lambda i, o: best[i].get(o, 0.0)


print("| detector | what | method | AUROC | average precision |\n|---|---|---|---|---|")
times = []
for name in ["good", "middling", "poor"]:
    about = json.loads((pathlib.Path(sys.argv[1]) / f"{name}.json").read_text())
    pictures = about["pictures"]
    labels, predictions, order = as_cleanlab(pictures)
    start = time.process_time()
    overall = rank.get_label_quality_scores(labels, predictions, verbose=False)
    times.append((name, about["seconds_suspects"], about["seconds_quality"], time.process_time() - start))
    quality, boxes = cleanlab_boxes(labels, predictions, order)
    assert np.allclose(quality, overall, rtol=1e-6, atol=1e-30)
    lenient, lenient_boxes = cleanlab_boxes(labels, predictions, order, 0.3, 0.3)

    is_wrong = [bool(p["wrong"] or p["missing"]) for p in pictures]
    ours = np.array([p["quality"]["quality"] for p in pictures])
    assert np.abs(ours**3 - overall**3).max() < 1e-13
    methods = {
        "ours, `suspects`: the worst object": [max((s[3] for s in p["suspects"]), default=0) for p in pictures],
        "ours, `label_quality`": -ours,
        "cleanlab": -overall,
        "cleanlab, thresholds .3": -lenient,
    }
    for method, score in methods.items():
        row = f"{roc_auc_score(is_wrong, score):.3f} | {average_precision_score(is_wrong, score):.3f}"
        print(f"| {name} | pictures | {method} | {row} |")
    for kind in KINDS:
        listed = list(objects(pictures, kind))
        is_error = [e for _, _, e in listed]
        of = suspicion(pictures, kind)
        scores = {"ours, `suspects`": [of(i, o) for i, o, _ in listed]}
        if kind in boxes:
            for method, b in [("cleanlab", boxes), ("cleanlab, thresholds .3", lenient_boxes)]:
                scores[method] = [-np.nan_to_num(b[kind][i][o], nan=1.0) for i, o, _ in listed]
        for method, score in scores.items():
            row = f"{roc_auc_score(is_error, score):.3f} | {average_precision_score(is_error, score):.3f}"
            print(f"| {name} | {kind} | {method} | {row} |")
print("\n| detector | ours, `suspects` | ours, `label_quality` | cleanlab |\n|---|---|---|---|")
for name, suspects, ours, theirs in times:
    print(f"| {name} | {1e3 * suspects:.2f} ms | {1e3 * ours:.2f} ms | {1e3 * theirs:.0f} ms |")
