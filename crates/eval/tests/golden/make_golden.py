"""Random small detection problems and what pycocotools says about them.

Run with: python -m pip install pycocotools==2.0.11 numpy==2.4.6 && python make_golden.py > coco_random.json

Every case is tuned to meet the corners of the protocol: equal scores within and across pictures, equal overlaps,
crowds, empty pictures and classes, areas on the borders of ranges, more detections than a limit. Numbers of boxes are
small integers or eighths, so that equalities happen often and are exact.

The arrays are too large to keep; they are folded into one hash each (FNV-1a over the little-endian bytes of the f64 in
C order). The twelve statistics are kept in full.
"""

import contextlib
import io
import json
import random

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

N_CASES = 300


def box(rng, style):
    if style == "grid":
        return [rng.randrange(0, 5) * 10, rng.randrange(0, 5) * 10, rng.choice([10, 20, 32, 96]), rng.choice([10, 20, 32, 96])]
    return [rng.randrange(0, 2400) / 8, rng.randrange(0, 2400) / 8, rng.randrange(0, 1600) / 8, rng.randrange(0, 1600) / 8]


def near(rng, bbox):
    d = lambda: rng.choice([0, 0, 0, 1, -1, 2, -3, 5]) * rng.choice([0.125, 1, 1, 2])
    x, y, w, h = bbox
    return [x + d(), y + d(), max(0, w + d()), max(0, h + d())]


def make(seed):
    rng = random.Random(seed)
    style = rng.choice(["grid", "eighths"])
    n_classes = rng.choice([1, 1, 2, 3])
    labels, detections = [], []
    for image in range(rng.choice([1, 2, 3, 5])):
        boxes = [box(rng, style) for _ in range(rng.choice([0, 1, 2, 3, 4]))]
        mine = []
        for b in boxes:
            area = rng.choice([b[2] * b[3]] * 4 + [1024, 9216, 0, 500])
            label = [image, rng.randrange(n_classes), b, area, int(rng.random() < 0.15)]
            mine.append(label)
        labels += mine
        limit = rng.choice([0, 1, 3, 6]) if seed % 25 else 14
        for _ in range(limit):
            if mine and rng.random() < 0.75:
                _, k, b, _, _ = rng.choice(mine)
                b = near(rng, b)
                k = k if rng.random() < 0.85 else rng.randrange(n_classes)
            else:
                k, b = rng.randrange(n_classes), box(rng, style)
            score = rng.choice([0.0, 0.25, 0.5, 0.5, 0.5, 0.9, 1.0]) if rng.random() < 0.5 else rng.randrange(1000) / 1000
            detections.append([image, k, b, score])
    rng.shuffle(labels)
    rng.shuffle(detections)
    if not detections:
        detections.append([0, 0, box(rng, style), 0.5])
    return n_classes, labels, detections


def fold(array):
    h = 0xCBF29CE484222325
    for byte in np.ascontiguousarray(array, dtype="<f8").tobytes():
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    return f"{h:016x}"


def evaluate(n_images, n_classes, labels, detections):
    gt = COCO()
    gt.dataset = {
        "images": [{"id": i + 1, "width": 640, "height": 480} for i in range(n_images)],
        "categories": [{"id": k + 1, "name": str(k)} for k in range(n_classes)],
        "annotations": [
            {"id": j + 1, "image_id": i + 1, "category_id": k + 1, "bbox": b, "area": a, "iscrowd": c}
            for j, (i, k, b, a, c) in enumerate(labels)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        gt.createIndex()
        dt = gt.loadRes([{"image_id": i + 1, "category_id": k + 1, "bbox": b, "score": s} for i, k, b, s in detections])
        e = COCOeval(gt, dt, "bbox")
        e.evaluate()
        e.accumulate()
        e.summarize()
    return e


def main():
    cases = []
    for seed in range(N_CASES):
        n_classes, labels, detections = make(seed)
        n_images = 1 + max([x[0] for x in labels + detections])
        e = evaluate(n_images, n_classes, labels, detections)
        cases.append(
            {
                "n_images": n_images,
                "n_classes": n_classes,
                "labels": labels,
                "detections": detections,
                "stats": [float(s) for s in e.stats],
                "fnv": [fold(e.eval[name]) for name in ("precision", "recall", "scores")],
            }
        )
    print("[" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "]")


main()
