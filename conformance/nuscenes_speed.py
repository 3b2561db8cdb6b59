"""The nuScenes devkit and ours on one generated set as large as the validation set, in turn.

    cargo build --release -p labelloop-benches --bin nuscenes_eval
    python conformance/nuscenes_speed.py --ours target/release/nuscenes_eval --folder /some/empty/folder

The packages are those that nuscenes_golden.py names. Ours runs with one thread. Both are asked for the complete metrics
(ten classes, four distances, errors, mAP, NDS) of boxes in memory; filters by range and points are in both times, and so is
nothing of reading. Prints CPU seconds, their ratio and the largest difference of the numbers; exits with 1 above 1e-9.
"""

import argparse
import json
import os
import subprocess
import sys
import time

from nuscenes.eval.common.config import config_factory
from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.common.loaders import filter_eval_boxes
from nuscenes.eval.detection.constants import TP_METRICS
from nuscenes.eval.detection.data_classes import DetectionBox

from nuscenes_golden import Racks, evaluate


def theirs(folder):
    cfg = config_factory("detection_cvpr_2019")
    gt, found = EvalBoxes(), EvalBoxes()
    for boxes, name in ((gt, "gt.json"), (found, "found.json")):
        with open(os.path.join(folder, name)) as f:
            for token, rows in json.load(f)["results"].items():
                boxes.add_boxes(token, [DetectionBox.deserialize(row) for row in rows])
    db = Racks([{"token": token, "racks": []} for token in gt.sample_tokens])
    begin = time.process_time()
    gt, found = filter_eval_boxes(db, gt, cfg.class_range), filter_eval_boxes(db, found, cfg.class_range)
    metrics, _ = evaluate(gt, found, cfg)
    seconds = time.process_time() - begin
    return seconds, [metrics.mean_ap, float(metrics.nd_score), *(metrics.tp_errors[m] for m in TP_METRICS)]


def ours(program, folder, extra):
    command = [program, "--write", folder, *extra]
    out = subprocess.run(command, env=os.environ | {"RAYON_NUM_THREADS": "1"}, capture_output=True, text=True, check=True).stdout
    print(out, end="")
    lines = out.splitlines()
    cpu = next(float(line.split("CPU ")[1].split()[0]) for line in lines if line.startswith("fastest"))
    numbers = next([float(v) for v in line.split()[1:]] for line in lines if line.startswith("numbers"))
    return cpu, numbers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True)
    parser.add_argument("--folder", required=True)
    args, extra = parser.parse_known_args()
    our_cpu, our_numbers = ours(args.ours, args.folder, extra)
    their_cpu, their_numbers = theirs(args.folder)
    worst = max(abs(a - b) for a, b in zip(our_numbers, their_numbers))
    print(f"devkit CPU {their_cpu:.1f} s, ours {our_cpu:.3f} s, ratio {their_cpu / our_cpu:.0f}, numbers within {worst:.1e}")
    sys.exit(int(worst > 1e-9))


if __name__ == "__main__":
    main()
