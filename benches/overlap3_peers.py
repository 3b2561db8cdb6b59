"""Overlap of rotated boxes by other tools, on the pairs of `overlap3 --pairs PAIRS.jsonl`.

    cargo run --release -p labelloop-benches --bin overlap3 -- --pairs pairs.jsonl
    python benches/overlap3_peers.py pairs.jsonl

Needs shapely and opencv-python-headless. Times are microseconds a pair, construction of the boxes included for both tools,
since neither has a prepared form of a rotated box; errors are against our IoU.
"""

import json
import math
import statistics
import sys
import time

import cv2
import numpy as np
import shapely
from shapely.geometry import Polygon


def corners(row):
    x, y, _, length, width, _, yaw = row
    c, s = math.cos(yaw), math.sin(yaw)
    ends = [(0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)]
    return [(x + u * length * c - v * width * s, y + u * length * s + v * width * c) for u, v in ends]


def by_shapely(a, b):
    p, q = Polygon(corners(a)), Polygon(corners(b))
    shared = p.intersection(q).area
    return shared / (p.area + q.area - shared)


def by_opencv(a, b):
    p = ((a[0], a[1]), (a[3], a[4]), math.degrees(a[6]))
    q = ((b[0], b[1]), (b[3], b[4]), math.degrees(b[6]))
    kind, points = cv2.rotatedRectangleIntersection(p, q)
    shared = 0.0 if kind == cv2.INTERSECT_NONE else cv2.contourArea(cv2.convexHull(points))
    return shared / (a[3] * a[4] + b[3] * b[4] - shared)


def measure(name, iou, pairs):
    times, worst = [], 0.0
    for _ in range(5):
        begin = time.perf_counter()
        found = [iou(p["a"], p["b"]) for p in pairs]
        times.append((time.perf_counter() - begin) / len(pairs) * 1e6)
        worst = max(abs(f - p["iou_bev"]) for f, p in zip(found, pairs))
    itself = [iou(p["a"], p["a"]) for p in pairs]
    print(
        f"{name:<20} {statistics.median(times):8.2f} us a pair, differs by at most {worst:.1e}; "
        f"a box with itself: {min(itself):.9f} to {max(itself):.9f}"
    )


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        pairs = [json.loads(line) for line in lines]
    measure(f"shapely {shapely.__version__}", by_shapely, pairs)
    measure(f"opencv {cv2.__version__}", by_opencv, pairs)
    print(f"numpy {np.__version__}, {len(pairs)} pairs")


if __name__ == "__main__":
    main()
