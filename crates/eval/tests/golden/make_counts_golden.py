"""Random small detection problems, and what three other tools make of them at an IoU of .5.

Run with:
    python -m pip install pycocotools==2.0.11 numpy==2.4.6
    python -m pip install --no-deps object-detection-metrics==0.4.post1 tidecv==1.0.1
    python make_counts_golden.py > counts_random.json

* counts: matches of pycocotools' COCOeval, counted here picture by picture at a score of at least .5
* best: the best F1 over all scores, from the same matches, ties to the higher score
* voc: all-point and 11-point AP by class from podm (object-detection-metrics), where labels lie apart so that its rule
  of matching and ours cannot differ
* tide: number of errors of each kind from tidecv, used as it comes; plotting and polygon libraries are replaced by nothing
"""

import contextlib
import io
import json
import random
import sys
from unittest import mock

import numpy as np

for name in (
    "cv2 matplotlib matplotlib.pyplot matplotlib.lines seaborn pandas appdirs tqdm "
    "shapely shapely.geometry shapely.ops PIL"
).split():
    sys.modules[name] = mock.MagicMock()

from podm import metrics as podm
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tidecv import TIDE, Data

N_CASES = 100


def make(seed):
    rng = random.Random(seed)
    apart = seed % 2 == 0
    n_classes = rng.choice([1, 2, 3])
    labels, detections = [], []
    for image in range(rng.choice([1, 2, 4])):
        for cell in rng.sample(range(9), rng.choice([0, 1, 2, 4, 6])):
            step = 60 if apart else 20
            b = [cell % 3 * step + rng.randrange(8), cell // 3 * step + rng.randrange(8), rng.randrange(20, 50), rng.randrange(20, 50)]
            labels.append([image, rng.randrange(n_classes), b])
        mine = [x for x in labels if x[0] == image]
        for _ in range(rng.choice([0, 2, 5, 9])):
            if mine and rng.random() < 0.85:
                _, k, b = rng.choice(mine)
                b = [v + rng.choice([0, 1, -2, 4, -7, 11]) / 2 * rng.choice([0, 1, 1, 3]) for v in b]
                b[2:] = [max(1, v) for v in b[2:]]
                k = k if rng.random() < 0.75 else rng.randrange(n_classes)
            else:
                k, b = rng.randrange(n_classes), [rng.randrange(300), rng.randrange(300), 30, 40]
            detections.append([image, k, b])
    if not labels:
        labels.append([0, 0, [0, 0, 30, 30]])
    if not detections:
        detections.append([0, 0, [2, 2, 30, 30]])
    # Scores are distinct, so that no tool's rule for ties matters.
    scores = rng.sample(range(1, 1000), len(detections))
    detections = [d + [s / 1000] for d, s in zip(detections, scores)]
    return apart, n_classes, labels, detections


def coco_matches(n_images, n_classes, labels, detections):
    gt = COCO()
    gt.dataset = {
        "images": [{"id": i + 1} for i in range(n_images)],
        "categories": [{"id": k + 1, "name": str(k)} for k in range(n_classes)],
        "annotations": [
            {"id": j + 1, "image_id": i + 1, "category_id": k + 1, "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
            for j, (i, k, b) in enumerate(labels)
        ],
    }
    gt.createIndex()
    dt = gt.loadRes([{"image_id": i + 1, "category_id": k + 1, "bbox": b, "score": s} for i, k, b, s in detections])
    e = COCOeval(gt, dt, "bbox")
    e.evaluate()
    rows = []
    for x in e.evalImgs:
        if x is not None and x["aRng"] == e.params.areaRng[0]:
            rows += [(x["image_id"] - 1, s, bool(m)) for s, m in zip(x["dtScores"], x["dtMatches"][0] > 0)]
    return rows


def counts(n_images, labels, rows):
    out = []
    for i in range(n_images):
        tp = sum(1 for j, s, m in rows if j == i and m and s >= 0.5)
        fp = sum(1 for j, s, m in rows if j == i and not m and s >= 0.5)
        out.append([tp, fp, sum(1 for x in labels if x[0] == i) - tp])
    return out


def best(labels, rows):
    found = None
    for score in sorted({s for _, s, _ in rows}, reverse=True):
        tp = sum(1 for _, s, m in rows if m and s >= score)
        fp = sum(1 for _, s, m in rows if not m and s >= score)
        fn = len(labels) - tp
        f1 = 2 * tp / (2 * tp + fp + fn)
        if found is None or found[1] < f1:
            found = [score, f1, tp, fp, fn]
    return found


def voc(n_classes, labels, detections):
    box = lambda i, k, b, s=None: podm.BoundingBox.of_bbox(str(i), str(k), b[0], b[1], b[0] + b[2], b[1] + b[3], s)
    gold, found = [box(*x) for x in labels], [box(*x) for x in detections]
    out = []
    for method in podm.MethodAveragePrecision:
        result = podm.get_pascal_voc_metrics(gold, found, 0.5, method)
        ap = [result.get(str(k)) for k in range(n_classes)]
        out.append([float(r.ap) if r and r.num_groundtruth else None for r in ap])
    return out


def tide(labels, detections):
    gt, dt = Data("gt"), Data("dt")
    for i, k, b in labels:
        gt.add_image(i, str(i))
        gt.add_ground_truth(i, k, b)
    for i, k, b, s in detections:
        gt.add_image(i, str(i))
        dt.add_detection(i, k, s, b)
    run = TIDE().evaluate(gt, dt, mode=TIDE.BOX)
    return {kind.__name__: len(errors) for kind, errors in run.error_dict.items()}


def main():
    cases = []
    for seed in range(N_CASES):
        apart, n_classes, labels, detections = make(seed)
        n_images = 1 + max(x[0] for x in labels + detections)
        with contextlib.redirect_stdout(io.StringIO()):
            rows = coco_matches(n_images, n_classes, labels, detections)
            cases.append(
                {
                    "n_images": n_images,
                    "n_classes": n_classes,
                    "labels": labels,
                    "detections": detections,
                    "counts": counts(n_images, labels, rows),
                    "best": best(labels, rows),
                    "voc": voc(n_classes, labels, detections) if apart else None,
                    "tide": tide(labels, detections),
                }
            )
    print("[" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "]")


main()
