#!/usr/bin/env python3
"""What mmdetection3d makes of generated frames: the expected values of benches/tests/golden/kitti.json.

    python -m venv v && v/bin/pip install numpy==2.4.6 numba==0.68.1 && v/bin/pip install --no-deps mmdet3d==1.4.0
    cargo run -p labelloop-benches --bin kitti_eval -- --frames 60 --seed 7 --write frames
    v/bin/python conformance/kitti_golden.py frames benches/tests/golden/kitti.json

With a folder alone it prints the numbers of that folder. Only the package's evaluation is imported: what the rest of it
needs is not there, and its overlap of turned boxes, which asks for a graphics card, is replaced by a clipped polygon. So
the rules are compared, and overlaps elsewhere.
"""

import importlib
import json
import math
import os
import sys
import types
from pathlib import Path

import numpy as np

FUNCTIONS = "mmdet3d.evaluation.functional"


def clipped_area(a, b):
    """Area that two convex quadrilaterals share; both counter-clockwise (Sutherland and Hodgman 1974)."""
    shape = a
    for i in range(4):
        p, q = b[i], b[(i + 1) % 4]

        def side(r, p=p, q=q):
            return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

        clipped = []
        for k, u in enumerate(shape):
            v = shape[(k + 1) % len(shape)]
            su, sv = side(u), side(v)
            if su >= 0:
                clipped.append(u)
            if (su >= 0) != (sv >= 0):
                t = su / (su - sv)
                clipped.append((u[0] + t * (v[0] - u[0]), u[1] + t * (v[1] - u[1])))
        shape = clipped
        if not shape:
            return 0.0
    pairs = zip(shape, shape[1:] + shape[:1])
    return abs(sum(u[0] * v[1] - u[1] * v[0] for u, v in pairs)) / 2


def corners(box):
    x, z, length, width, yaw = box
    cos, sin = math.cos(yaw), math.sin(yaw)
    half = ((length / 2, width / 2), (-length / 2, width / 2), (-length / 2, -width / 2), (length / 2, -width / 2))
    return [(x + u * cos + v * sin, z - u * sin + v * cos) for u, v in half]


def rotate_iou(boxes, query, criterion=-1, device_id=0):
    """x, z, length, width, rotation_y of two lists; shared area over that of both (-1), of the first (0), of the second
    (1), or the area itself (2)."""
    boxes, query = np.asarray(boxes, dtype=np.float64), np.asarray(query, dtype=np.float64)
    found = np.zeros((len(boxes), len(query)))
    if not found.size:
        return found
    apart = np.hypot(boxes[:, None, 0] - query[None, :, 0], boxes[:, None, 1] - query[None, :, 1])
    reach = np.hypot(boxes[:, 2], boxes[:, 3])[:, None] / 2 + np.hypot(query[:, 2], query[:, 3])[None] / 2
    for i, j in zip(*np.nonzero(apart < reach)):
        inter = clipped_area(corners(boxes[i]), corners(query[j]))
        a, b = boxes[i, 2] * boxes[i, 3], query[j, 2] * query[j, 3]
        found[i, j] = {-1: inter / (a + b - inter), 0: inter / a, 1: inter / b, 2: inter}[criterion]
    return found


def evaluation():
    """The package's module, with nothing of the package around it."""
    place = next(Path(p) / "mmdet3d" for p in sys.path if (Path(p) / "mmdet3d/evaluation").is_dir())
    for name in ("mmdet3d", "mmdet3d.evaluation", FUNCTIONS):
        module = types.ModuleType(name)
        module.__path__ = [str(place.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = module
    engine, logging = types.ModuleType("mmengine"), types.ModuleType("mmengine.logging")
    logging.print_log = lambda *args, **kwargs: None
    engine.logging = logging
    sys.modules.update({"mmengine": engine, "mmengine.logging": logging})
    overlap = types.ModuleType(f"{FUNCTIONS}.kitti_utils.rotate_iou")
    overlap.rotate_iou_gpu_eval = rotate_iou
    sys.modules[overlap.__name__] = overlap
    return importlib.import_module(f"{FUNCTIONS}.kitti_utils.eval")


def annotations(text, has_score):
    rows = [line.split() for line in text.splitlines()]

    def numbers(begin, end):
        return np.array([[float(w) for w in row[begin:end]] for row in rows]).reshape(len(rows), end - begin)

    found = {
        "name": np.array([row[0] for row in rows]),
        "truncated": numbers(1, 2)[:, 0],
        "occluded": numbers(2, 3)[:, 0].astype(int),
        "alpha": numbers(3, 4)[:, 0],
        "bbox": numbers(4, 8),
        "dimensions": numbers(8, 11)[:, [2, 0, 1]],
        "location": numbers(11, 14),
        "rotation_y": numbers(14, 15)[:, 0],
    }
    if has_score:
        found["score"] = numbers(15, 16)[:, 0]
    return found


def main():
    folder = Path(sys.argv[1])
    texts = {"labels": {}, "detections": {}}
    for path in sorted((folder / "label_2").glob("*.txt")):
        texts["labels"][path.stem] = path.read_text()
        found = folder / "pred" / path.name
        texts["detections"][path.stem] = found.read_text() if found.exists() else ""
    labels = [annotations(text, False) for text in texts["labels"].values()]
    found = [annotations(text, True) for text in texts["detections"].values()]
    classes = ["Car", "Pedestrian", "Cyclist"]
    words, numbers = evaluation().kitti_eval(labels, found, classes, eval_types=["bbox", "bev", "3d"])
    if len(sys.argv) < 3:
        print(words)
        return
    expected = {key: float(value) for key, value in numbers.items() if "Overall" not in key}
    document = {"expected": expected, **texts}
    Path(sys.argv[2]).parent.mkdir(parents=True, exist_ok=True)
    Path(sys.argv[2]).write_text(json.dumps(document, indent=1, sort_keys=True) + os.linesep)


main()
