"""Differential test of the COCO evaluation against pycocotools from its package.

    python -m pip install pycocotools==2.0.11 numpy
    cargo build --release -p labelloop-benches --bin coco_cases
    python conformance/coco_differential.py --ours target/release/coco_cases --cases 3000

Makes random small problems, evaluates each with pycocotools in this process and with ours in one other process that
reads the same files, and compares precision, recall, scores and the twelve statistics bit by bit. Prints the numbers of
problems and of mismatches; exits with 1 where there is any, after showing the first few and keeping their files.

Each problem is made from a seed and a number, so a mismatch can be made again: --seed S --first N --cases 1.

What is generated, each with its own name in the count at the end:

* grid       boxes on a coarse grid, so that overlaps tie exactly, and scores from a handful of values, so they tie too
* between    many boxes of one size, a little apart: a detection lies in the middle of two labels and may take either,
             and the next one fits only one of them
* eighths    boxes whose edges are eighths: exact arithmetic, near misses of thresholds
* decimals   two decimals, as COCO's own files have them, scores with all digits
* tiny       boxes from nothing at all to a few thousandths of a pixel
* huge       boxes of up to 1e7 pixels, partly outside the picture, areas around and beyond 1e10
* touching   boxes that share edges and corners, or lie in each other exactly
* areas      areas exactly at, just under and just over 1024 and 9216, and of 0
* thresholds pairs of boxes whose overlap is a threshold exactly, one step of the last bit over or under
* many       more than 100 detections of one class in one picture, most with equal scores
* crowds     half the labels are crowds, detections lie inside several
* sparse     pictures and classes without labels, without detections, or without both
* ids        image, annotation and category ids large, negative, unordered, with gaps
* ties       all scores equal over many pictures, whose order then decides

What is not generated, because ours decides otherwise on purpose (the table in the docs of labelloop_eval::coco says
why): no detections at all, annotation id 0 or ids given twice, NaN and infinities, negative sides, scores outside 0 to
1, missing fields, annotations and detections of unknown pictures and classes, text as ids, areas that under- or overflow.
"""

import argparse
import array
import collections
import contextlib
import io
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

NAMES = ("precision", "recall", "scores", "stats")
PINNED = "2.0.11"


# Boxes.


def on_grid(rng):
    sides = [10, 20, 32, 96]
    return [rng.randrange(5) * 10, rng.randrange(5) * 10, rng.choice(sides), rng.choice(sides)]


def between(rng):
    return [rng.randrange(8) * 2, rng.choice([0, 0, 2]), 20, 20]


def in_eighths(rng):
    return [rng.randrange(2400) / 8, rng.randrange(2400) / 8, rng.randrange(1600) / 8, rng.randrange(1600) / 8]


def in_decimals(rng):
    w, h = math.exp(rng.gauss(3.9, 1.1)), math.exp(rng.gauss(3.9, 1.1))
    return [round(v, 2) for v in (rng.uniform(0, 500), rng.uniform(0, 400), w, h)]


def tiny(rng):
    side = lambda: rng.choice([0, 0, 1e-150, 3e-150, 1e-9, 0.001, 0.002, 0.5])
    return [rng.choice([0, 1e-9, 0.001, 3]), rng.choice([0, 0.001, 3]), side(), side()]


def huge(rng):
    side = lambda: rng.choice([1e5, 1e5, 99999.99, 100000.01, 1e6, 1e7, 640])
    return [rng.choice([-1e6, -5.5, 0, 1e5]), rng.choice([-1e6, 0, 7]), side(), side()]


def touching(rng):
    side = rng.choice([8, 16, 32])
    return [rng.randrange(4) * side, rng.randrange(4) * side, side * rng.choice([1, 1, 2]), side * rng.choice([1, 1, 2])]


BOXES = {"grid": on_grid, "between": between, "decimals": in_decimals, "tiny": tiny, "huge": huge, "touching": touching}


def near(rng, bbox, style):
    """A detection of a label: sometimes the very box, mostly a little off."""
    x, y, w, h = bbox
    if style == "between":
        return [x + rng.choice([-2, 0, 2]), y, w, h]
    if style in ("tiny", "touching") or rng.random() < 0.15:
        return [x, y, w, h]
    if style == "huge":
        return [x, y, max(0, w * rng.choice([1, 1, 0.5, 0.75, 0.99])), h]
    if style == "decimals":
        d = lambda side: rng.gauss(0, 0.12) * side
        return [round(v, 2) for v in (x + d(w), y + d(h), max(0, w + d(w)), max(0, h + d(h)))]
    d = lambda: rng.choice([0, 0, 0, 1, -1, 2, -3, 5]) * rng.choice([0.125, 1, 1, 2])
    return [x + d(), y + d(), max(0, w + d()), max(0, h + d())]


def at_threshold(rng, bbox):
    """A box whose overlap with `bbox` is a threshold, or as near as floats come: a part of its width."""
    x, y, w, h = bbox
    part = w * rng.choice(range(50, 100, 5)) / 100
    part = rng.choice([part, math.nextafter(part, 0), math.nextafter(part, math.inf)])
    return [x, y, part, h]


def area_of(rng, style, bbox):
    own = bbox[2] * bbox[3]
    if style == "areas":
        edges = [1024, 9216, 0, 1024 - 1e-9, 1024 + 1e-9, 9215.999, 9216.001, math.nextafter(1024, 0), 1e10, 2e10]
        return rng.choice(edges)
    return rng.choice([own, own, own, own * rng.random(), 1024, 9216, 0, 500])


def score_of(rng, style):
    if style == "ties":
        return 0.5
    if style in ("grid", "many", "touching") or rng.random() < 0.3:
        return rng.choice([0.0, 0.25, 0.5, 0.5, 0.5, 0.9, 1.0, 0, 1, 5e-324, math.nextafter(0.5, 1)])
    return rng.random()


# Problems.


STYLES = [
    "grid", "grid", "between", "between", "eighths", "eighths", "decimals", "decimals", "tiny", "huge", "touching", "areas", "thresholds",
    "many", "crowds", "sparse", "ids", "ties",
]  # fmt: skip


def ids_of(rng, style, n):
    """Ids of pictures or classes, ascending or not, never twice."""
    if style != "ids":
        return list(range(1, n + 1))
    pool = [7, 3, -4, 2**31, 2**31 - 1, 2**53, 2**53 - 1, 10**15, 42, 0, 900_000_000_000, 100, 99, 10, 9]
    return rng.sample(pool, n)


def make(seed, number):
    """Problem `number` of a seed: its style, the instances and the detections."""
    rng = random.Random(f"{seed}/{number}")
    style = rng.choice(STYLES)
    box = BOXES.get(style, in_eighths)
    n_images = rng.choice([5, 8, 12]) if style in ("sparse", "ties") else rng.choice([1, 1, 2, 3, 5])
    n_classes = rng.choice([3, 5]) if style == "sparse" else rng.choice([1, 1, 2, 3])
    images, classes = ids_of(rng, style, n_images), ids_of(rng, style, n_classes)
    annotations, detections = [], []
    for image in images:
        if style == "sparse" and rng.random() < 0.4:
            continue
        labels = labels_of(rng, style, box, image, classes)
        annotations += labels
        detections += detections_of(rng, style, box, image, classes, labels)
    rng.shuffle(annotations)
    rng.shuffle(detections)
    rng.shuffle(images)
    rng.shuffle(classes)
    first = rng.choice([1, 1, 10**12]) if style == "ids" else 1
    for i, annotation in enumerate(annotations):
        annotation["id"] = first + i
    if not detections:
        detections.append(detection(images[0], classes[0], box(rng), 0.5))
    instances = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in images],
        "annotations": annotations,
        "categories": [{"id": k, "name": f"class {k}"} for k in classes],
    }
    return style, instances, detections


def labels_of(rng, style, box, image, classes):
    crowds = 0.5 if style == "crowds" else 0.12
    n = rng.choice([0, 1, 2, 3, 4, 4, 7]) if style != "many" else rng.choice([1, 5, 120])
    labels = []
    for _ in range(n):
        # Labels of the same place tie in overlap.
        bbox = rng.choice(labels)["bbox"] if labels and rng.random() < 0.15 else box(rng)
        crowd = int(rng.random() < crowds)
        label = {"image_id": image, "category_id": rng.choice(classes), "bbox": bbox, "iscrowd": crowd}
        labels.append(label | {"area": area_of(rng, style, bbox)})
    return labels


def detections_of(rng, style, box, image, classes, labels):
    n = rng.choice([101, 130, 250]) if style == "many" else rng.choice([0, 1, 3, 6, 12])
    found = []
    for _ in range(n):
        if labels and rng.random() < 0.75:
            label = rng.choice(labels)
            move = at_threshold if style == "thresholds" and rng.random() < 0.7 else lambda r, b: near(r, b, style)
            bbox = move(rng, label["bbox"])
            k = label["category_id"] if rng.random() < 0.85 else rng.choice(classes)
        else:
            bbox, k = box(rng), rng.choice(classes)
        found.append(detection(image, k, bbox, score_of(rng, style)))
    return found


def detection(image, k, bbox, score):
    return {"image_id": image, "category_id": k, "bbox": bbox, "score": score}


# Files.


def write(rng, path, content):
    """JSON in one of the layouts that programs write: order of keys, spaces and lines, fields nobody asked for."""
    layout = rng.choice([{}, {}, {"separators": (",", ":")}, {"indent": 1}, {"indent": "\t"}])
    if rng.random() < 0.3:
        content = disturbed(rng, content)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(content, f, ensure_ascii=rng.random() < 0.5, **layout)


def disturbed(rng, content):
    if isinstance(content, list):
        return [disturbed(rng, c) for c in content]
    if not isinstance(content, dict):
        return content
    fields = [(k, disturbed(rng, v)) for k, v in content.items()]
    if rng.random() < 0.5:
        fields.append(("segmentation", rng.choice([[[1.5, 2, 3, 4, 5, 6.25]], [], {"counts": 'a"]}\\', "size": [4, 5]}])))
    if rng.random() < 0.5:
        fields.append(("note", rng.choice(["", "na\u00efve \U0001f600", 'bbox": [1, 2]', None, True, -1.5e-3])))
    rng.shuffle(fields)
    return dict(fields)


# The two evaluations.


def theirs(labels, detections):
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(labels)
        e = COCOeval(gt, gt.loadRes(detections), "bbox")
        e.evaluate()
        e.accumulate()
        e.summarize()
    arrays = [e.eval["precision"], e.eval["recall"], e.eval["scores"], e.stats]
    return [np.ascontiguousarray(a, dtype="<f8").tobytes() for a in arrays]


def ours(program, folder, count):
    """The arrays of all problems in a folder, from one process."""
    out = os.path.join(folder, "arrays.bin")
    done = subprocess.run([program, folder, str(count), out], stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"our program ended with {done.returncode}: {done.stderr.strip()}\nits files are in {keep(folder)}")
    with open(out, "rb") as f:
        data = f.read()
    at, problems = 0, []
    for _ in range(count):
        arrays = []
        for _ in NAMES:
            (n,) = array.array("Q", data[at : at + 8])
            arrays.append(data[at + 8 : at + 8 + 8 * n])
            at += 8 + 8 * n
        problems.append(arrays)
    if at != len(data):
        sys.exit(f"our program wrote {len(data)} bytes where {at} were expected")
    return problems


def files(folder, i):
    return [os.path.join(folder, f"{i}-{what}.json") for what in ("labels", "detections")]


def keep(folder):
    kept = tempfile.mkdtemp(prefix="coco-differential-")
    shutil.copytree(folder, kept, dirs_exist_ok=True)
    return kept


def difference(found, expected):
    """What differs first, in words; nothing where every bit agrees."""
    for name, a, b in zip(NAMES, found, expected, strict=True):
        if a != b:
            a, b = np.frombuffer(a), np.frombuffer(b)
            if a.shape != b.shape:
                return f"{name}: {a.size} numbers, expected {b.size}"
            at = np.flatnonzero(a.view("u8") != b.view("u8"))
            return f"{name}: {at.size} of {a.size} differ, first [{at[0]}]: {a[at[0]]!r}, expected {b[at[0]]!r}"
    return None


def batch(args, first, count, tally):
    """Makes, evaluates and compares some problems; the mismatches."""
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        styles = []
        for i in range(count):
            style, instances, detections = make(args.seed, first + i)
            styles.append(style)
            rng = random.Random(f"{args.seed}/{first + i}/files")
            for path, content in zip(files(folder, i), (instances, detections), strict=True):
                write(rng, path, content)
        tally.update(styles)
        for i, found in enumerate(ours(args.ours, folder, count)):
            said = difference(found, theirs(*files(folder, i)))
            if said:
                wrong.append(f"problem {first + i} ({styles[i]}) of seed {args.seed}: {said}")
                if args.keep:
                    for path in files(folder, i):
                        shutil.copy(path, os.path.join(args.keep, f"{first}-{os.path.basename(path)}"))
    return wrong


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--ours", required=True, help="the program coco_cases")
    p.add_argument("--cases", type=int, default=3000)
    p.add_argument("--first", type=int, default=0, help="number of the first problem")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--keep", help="folder for the files of mismatches")
    args = p.parse_args()
    if args.keep:
        os.makedirs(args.keep, exist_ok=True)
    tally, wrong = collections.Counter(), []
    last = args.first + args.cases
    for first in range(args.first, last, 500):
        wrong += batch(args, first, min(500, last - first), tally)
    for line in wrong[:10]:
        print(line)
    print("problems by style: " + ", ".join(f"{k} {n}" for k, n in sorted(tally.items())))
    print(f"{sum(tally.values())} problems against pycocotools {PINNED}, {len(wrong)} mismatches")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    import importlib.metadata

    if importlib.metadata.version("pycocotools") != PINNED:
        sys.exit(f"this test is about pycocotools {PINNED}")
    main()
