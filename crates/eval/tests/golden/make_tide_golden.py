"""Random small detection problems and what each kind of error costs by tidecv, at an IoU of .5.

Run with:
    python -m pip install --no-deps tidecv==1.0.1
    python -m pip install numpy==2.4.6 pycocotools==2.0.11
    python make_tide_golden.py > tide_random.json

tidecv is used as it comes; plotting and polygon libraries are replaced by nothing. Numbers are shares, not percent.

Left out are problems where two conventions differ on purpose:
* an overlap of exactly .5 with a label that is taken: a duplicate by COCO's rule (>=), a localisation error by tidecv's
* a class with a multiple of 10 labels, where recalls such as .7 are met or missed by the rounding of the threshold: COCO
  reads off at numpy's linspace, tidecv at other bits of the same numbers
"""

import itertools
import json
import random
import sys
from unittest import mock

for name in (
    "cv2 matplotlib matplotlib.pyplot matplotlib.lines seaborn pandas appdirs tqdm "
    "shapely shapely.geometry shapely.ops PIL"
).split():
    sys.modules[name] = mock.MagicMock()

from tidecv import TIDE, Data

N_CASES = 200


def make(seed):
    rng = random.Random(seed)
    n_classes = rng.choice([1, 2, 3])
    labels, detections = [], []
    n_images = rng.choice([1, 2, 4])
    # Every class has a label, so that no rule about absent classes matters.
    for k in range(n_classes):
        labels.append([rng.randrange(n_images), k, [400 + 60 * k, 0, 40, 40]])
    for image in range(n_images):
        for cell in rng.sample(range(9), rng.choice([0, 1, 2, 4, 6])):
            b = [cell % 3 * 45 + rng.randrange(8), cell // 3 * 45 + rng.randrange(8), rng.randrange(20, 50), rng.randrange(20, 50)]
            labels.append([image, rng.randrange(n_classes), b])
        mine = [x for x in labels if x[0] == image]
        for _ in range(rng.choice([2, 5, 9, 14])):
            if mine and rng.random() < 0.85:
                _, k, b = rng.choice(mine)
                b = [v + rng.choice([0, 1, -2, 4, -7, 11]) / 2 * rng.choice([0, 1, 2, 4]) for v in b]
                b[2:] = [max(1, v) for v in b[2:]]
                k = k if rng.random() < 0.6 else rng.randrange(n_classes)
            else:
                k, b = rng.randrange(n_classes), [rng.randrange(300), rng.randrange(300), 30, 40]
            detections.append([image, k, b])
    # Scores are distinct, so that no tool's rule for ties matters.
    scores = rng.sample(range(1, 1000), len(detections))
    return n_images, n_classes, labels, [d + [s / 1000] for d, s in zip(detections, scores)]


def overlap(a, b):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def is_clear(n_classes, labels, detections):
    if any(sum(x[1] == k for x in labels) % 10 == 0 for k in range(n_classes)):
        return False
    return all(overlap(x[2], d[2]) not in (0.1, 0.5) for d in detections for x in labels if x[0] == d[0])


def tide(labels, detections):
    gt, dt = Data("gt"), Data("dt")
    for i, k, b in labels:
        gt.add_image(i, str(i))
        gt.add_ground_truth(i, k, b)
    for i, k, b, s in detections:
        gt.add_image(i, str(i))
        dt.add_detection(i, k, s, b)
    t = TIDE()
    run = t.evaluate(gt, dt, mode=TIDE.BOX)
    gains = {**t.get_main_errors()["dt"], **t.get_special_errors()["dt"]}
    counts = {kind.short_name: len(errors) for kind, errors in run.error_dict.items()}
    return run.ap / 100, {k: v / 100 for k, v in gains.items()}, counts


def main():
    out = []
    problems = (make(seed) for seed in itertools.count())
    clear = (p for p in problems if is_clear(*p[1:]))
    for n_images, n_classes, labels, detections in itertools.islice(clear, N_CASES):
        ap, gains, counts = tide(labels, detections)
        out.append(
            {
                "n_images": n_images,
                "n_classes": n_classes,
                "labels": labels,
                "detections": detections,
                "ap": ap,
                "gains": gains,
                "counts": counts,
            }
        )
    print("[" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in out) + "]")


main()
