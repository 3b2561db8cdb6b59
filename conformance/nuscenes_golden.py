"""Random small nuScenes scenes, and what the devkit makes of them.

    python -m pip install --no-deps nuscenes-devkit==1.2.0
    python -m pip install numpy==2.4.6 pyquaternion shapely cachetools tqdm matplotlib scikit-learn opencv-python-headless
    python conformance/nuscenes_golden.py > crates/eval/tests/golden/nuscenes/random.json

Each case is made from a number. The devkit's own functions filter it (`filter_eval_boxes`, with a database of the bicycle
racks alone), match it (`accumulate`), and take the means (`calc_ap`, `calc_tp`, `DetectionMetrics`). Labels and detections
are rows so that the file stays small:

    label      [class, x, y, z, w, l, h, qw, qx, qy, qz, vx, vy, attribute, ego_x, ego_y, n_points]
    detection  [class, x, y, z, w, l, h, qw, qx, qy, qz, vx, vy, attribute, ego_x, ego_y, score]
    rack       [x, y, z, w, l, h, qw, qx, qy, qz]

with null for an unknown velocity and -1 for no attribute.

What is generated, one style a case:

* decimals  positions and scores with all digits
* grid      positions on a grid of half metres and scores from a handful, so that distances and scores tie
* crowded   many boxes of few classes in one place
* ties      all scores equal, over many samples
* sparse    samples and classes without labels, without detections, or without both
* unknown   velocities and attributes mostly unknown
* far       boxes around the ends of ranges
* racks     cycles in and around bicycle racks, turned in all three axes
* zero      scores of exactly 0 among others
* perfect   detections are the labels
"""

import json
import math
import random
import sys

import numpy as np
from nuscenes.eval.common.config import config_factory
from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.common.loaders import filter_eval_boxes
from nuscenes.eval.detection.algo import accumulate, calc_ap, calc_tp
from nuscenes.eval.detection.constants import ATTRIBUTE_NAMES, DETECTION_NAMES, TP_METRICS
from nuscenes.eval.detection.data_classes import DetectionBox, DetectionMetrics

N_CASES = 50
STYLES = ["decimals", "grid", "crowded", "ties", "sparse", "unknown", "far", "racks", "zero", "perfect"]
SIZES = [(1.9, 4.6, 1.7), (2.5, 6.9, 2.8), (2.9, 11.0, 3.5), (2.9, 12.3, 3.9), (2.7, 6.4, 3.2), (0.7, 0.7, 1.8),
         (0.8, 2.1, 1.5), (0.6, 1.7, 1.3), (0.4, 0.4, 1.1), (2.5, 0.5, 1.0)]  # fmt: skip
# Undefined by the paper: cones look the same from everywhere, and neither they nor barriers move or have attributes.
UNDEFINED = {"traffic_cone": ["attr_err", "vel_err", "orient_err"], "barrier": ["attr_err", "vel_err"]}


# Scenes.


def turned(yaw):
    return [math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)]


def any_rotation(rng):
    q = [rng.gauss(0, 1) for _ in range(4)]
    n = math.sqrt(sum(v * v for v in q))
    return [v / n for v in q]


def rounded(values, digits=4):
    short = lambda v: int(v) if v == int(v) else v
    return [None if v is None else short(round(v, digits)) for v in values]


def position(rng, style):
    if style in ("grid", "ties"):
        return [rng.randrange(-6, 7) * 0.5, rng.randrange(-6, 7) * 0.5, 0.5]
    if style == "crowded":
        return [rng.uniform(-3, 3), rng.uniform(-3, 3), 0.5]
    if style == "far":
        r, a = rng.choice([30, 40, 50, 29.999, 30.001, 10, 49.99, 50.01]), rng.choice([0, 0.5, 2, math.pi / 2])
        return [r * math.cos(a), r * math.sin(a), rng.uniform(-1, 1)]
    return [rng.uniform(-35, 35), rng.uniform(-35, 35), rng.uniform(-1, 1)]


def velocity(rng, style):
    p = 0.7 if style == "unknown" else 0.1
    if rng.random() < p:
        return [None, None]
    return rounded([rng.gauss(0, 4), rng.gauss(0, 1)], 2)


def attribute(rng, style):
    p = 0.7 if style == "unknown" else 0.1
    return -1 if rng.random() < p else rng.randrange(len(ATTRIBUTE_NAMES))


def score(rng, style):
    if style == "ties":
        return 0.5
    if style == "zero":
        return rng.choice([0.0, 0.25, 0.0, 0.75])
    if style in ("grid", "crowded") or rng.random() < 0.2:
        return rng.choice([0.1, 0.3, 0.3, 0.5, 0.9])
    return round(rng.random(), 5)


def row(rng, style, k, place, size, rotation, v, a, last):
    # The vehicle stands a little off the origin, so that positions on the map and from the vehicle are not the same.
    ego = [place[0] - 0.25, place[1] + 0.125] if style != "far" else place[:2]
    return [k] + rounded(place) + rounded(size, 3) + rounded(rotation, 9) + v + [a] + rounded(ego) + [last]


def label(rng, style, classes):
    k = rng.choice(classes)
    size = [s * rng.choice([1, 1, 0.9, 1.1]) for s in SIZES[k]]
    q = turned(rng.uniform(-7, 7)) if rng.random() < 0.9 else any_rotation(rng)
    n_points = 0 if rng.random() < 0.1 else rng.randrange(1, 40)
    return row(rng, style, k, position(rng, style), size, q, velocity(rng, style), attribute(rng, style), n_points)


def detection_of(rng, style, label, classes):
    if style == "perfect":
        return label[:-1] + [score(rng, style)]
    k = label[0] if rng.random() < 0.9 else rng.choice(classes)
    off = (lambda: rng.choice([-1, -0.5, 0, 0, 0.5, 1, 2])) if style in ("grid", "ties") else (lambda: rng.gauss(0, 0.8))
    place = [label[1] + off(), label[2] + off(), label[3]]
    size = [s * math.exp(rng.gauss(0, 0.15)) for s in label[4:7]]
    q = label[7:11] if rng.random() < 0.2 else turned(rng.choice([0, math.pi / 2, math.pi, rng.uniform(-4, 4)]))
    v = velocity(rng, style) if label[11] is None or rng.random() < 0.2 else rounded([label[11] + rng.gauss(0, 0.5), label[12]], 2)
    a = label[13] if rng.random() < 0.7 else attribute(rng, style)
    return row(rng, style, k, place, size, q, v, a, score(rng, style))


def stray(rng, style, classes):
    k = rng.choice(classes)
    q = turned(rng.uniform(-4, 4))
    return row(rng, style, k, position(rng, style), SIZES[k], q, velocity(rng, style), attribute(rng, style), score(rng, style))


def make(number):
    rng = random.Random(f"nuscenes/{number}")
    style = STYLES[number % len(STYLES)]
    classes = {"crowded": [0, 5], "racks": [6, 7, 0], "ties": [0, 8, 9], "zero": [0, 9]}.get(style, list(range(10)))
    samples = []
    for s in range({"ties": 8, "sparse": 6, "zero": 4}.get(style, rng.choice([2, 3, 4]))):
        n = rng.choice([0, 3]) if style == "sparse" else rng.choice([4, 8]) if style in ("ties", "zero") else rng.choice([6, 12])
        labels = [label(rng, style, classes) for _ in range(n)]
        found = [detection_of(rng, style, l, classes) for l in labels for _ in range(rng.choice([0, 1, 1, 2]) if style != "perfect" else 1)]
        if style != "perfect":
            found += [stray(rng, style, classes) for _ in range(rng.choice([0, 2, 5]))]
        racks = []
        if style == "racks":
            q = [any_rotation(rng), turned(rng.uniform(-4, 4))]
            racks = [rounded(position(rng, style)) + [6.0, 20.0, 4.0] + rounded(r, 9) for r in q]
        rng.shuffle(found)
        # Names do not ascend, so that the order of the file and that of names differ.
        samples.append({"token": f"{(s * 7 + 3) % 10}-{number}", "labels": labels, "detections": found, "racks": racks})
    return style, samples


# What the devkit makes of them.


class Racks:
    """A database that knows nothing but bicycle racks."""

    def __init__(self, samples):
        self.racks = {s["token"]: s["racks"] for s in samples}

    def get(self, table, token):
        if table == "sample":
            return {"anns": [(token, i) for i in range(len(self.racks[token]))]}
        r = self.racks[token[0]][token[1]]
        return {"category_name": "static_object.bicycle_rack", "translation": r[:3], "size": r[3:6], "rotation": r[6:]}


def boxes(samples, field):
    all_boxes = EvalBoxes()
    nan = float("nan")
    for s in samples:
        own = []
        for b in s[field]:
            is_label = field == "labels"
            own.append(DetectionBox(
                sample_token=s["token"],
                translation=tuple(b[1:4]),
                size=tuple(b[4:7]),
                rotation=tuple(b[7:11]),
                velocity=tuple(nan if v is None else float(v) for v in b[11:13]),
                ego_translation=(b[14], b[15], 0.0),
                num_pts=b[16] if is_label else -1,
                detection_name=DETECTION_NAMES[b[0]],
                detection_score=-1.0 if is_label else float(b[16]),
                attribute_name="" if b[13] < 0 else ATTRIBUTE_NAMES[b[13]],
            ))  # fmt: skip
        all_boxes.add_boxes(s["token"], own)
    return all_boxes


def number(v):
    return None if math.isnan(v) else v


def evaluate(gt, found, cfg):
    metrics, curves = DetectionMetrics(cfg), {}
    for name in cfg.class_names:
        for d in cfg.dist_ths:
            data = accumulate(gt, found, name, cfg.dist_fcn_callable, d)
            metrics.add_label_ap(name, d, calc_ap(data, cfg.min_recall, cfg.min_precision))
            if d == cfg.dist_th_tp:
                tp = data
            # Sums are enough to tell a wrong curve.
            curves[f"{name}/{d}"] = [float(np.mean(data.precision)), float(np.mean(data.confidence))]
        for metric in TP_METRICS:
            undefined = metric in UNDEFINED.get(name, [])
            metrics.add_label_tp(name, metric, float("nan") if undefined else calc_tp(tp, cfg.min_recall, metric))
    return metrics, curves


def expected(samples, cfg):
    gt, found = boxes(samples, "labels"), boxes(samples, "detections")
    db = Racks(samples)
    gt, found = filter_eval_boxes(db, gt, cfg.class_range), filter_eval_boxes(db, found, cfg.class_range)
    metrics, curves = evaluate(gt, found, cfg)
    return {
        "n_labels": [sum(b.detection_name == n for b in gt.all) for n in DETECTION_NAMES],
        "n_detections": [sum(b.detection_name == n for b in found.all) for n in DETECTION_NAMES],
        "mean_ap": metrics.mean_ap,
        "nds": float(metrics.nd_score),
        "tp_errors": [number(metrics.tp_errors[m]) for m in TP_METRICS],
        "ap": [[metrics.get_label_ap(n, d) for d in cfg.dist_ths] for n in DETECTION_NAMES],
        "class_errors": [[number(metrics.get_label_tp(n, m)) for m in TP_METRICS] for n in DETECTION_NAMES],
        "curves": {k: v for k, v in curves.items() if any(v)},
    }


def main():
    cfg = config_factory("detection_cvpr_2019")
    print('{"cases": [')
    for i in range(N_CASES):
        style, samples = make(i)
        case = {"number": i, "style": style, "samples": samples, "expected": expected(samples, cfg)}
        print(json.dumps(case, separators=(",", ":")) + ("," if i + 1 < N_CASES else ""))
        print(f"{i} {style}", file=sys.stderr)
    print("]}")


if __name__ == "__main__":
    main()
