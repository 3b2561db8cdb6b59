"""ZCore by its reference in numpy and by labelloop, on the same array and the same draws, in turn.

    cargo build --release -p labelloop-benches --bin zcore_speed
    python benches/zcore_peers.py 50000 768 [--draws 20000] [--timed 100] [--rounds 3]

The reference is the published function (arXiv 2411.15349): distances in two columns, argmin, argsort of all rows, for every
draw. Its time for all draws is that of `--timed` of them, times the number. It runs on one thread, as numpy does here.
Scores of those draws are compared: the worst difference is printed. Needs numpy.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

import numpy as np


def statistics_of_columns(rows):
    begin = time.perf_counter()
    low, high, middle = rows.min(0), rows.max(0), np.median(rows, axis=0)
    return low, middle, high, time.perf_counter() - begin


def reference(rows, dims, points, k):
    scores, times = np.zeros(len(rows)), []
    for dim, sample in zip(dims, points):
        begin = time.perf_counter()
        distance = np.sum(np.abs(rows[:, dim] - sample), axis=1)
        best = np.argmin(distance)
        scores[best] += 1
        near_distance = np.sum(np.abs(rows[:, dim] - rows[best, dim]), axis=1)
        near = np.argsort(near_distance)[1:]
        if near_distance[near[0]] == 0:
            scores[near[0]] -= 1
        else:
            near = near[:k]
            penalty = 1 / (near_distance[near] ** 4 + 1e-8)
            scores[near] -= penalty / np.sum(penalty)
        times.append(time.perf_counter() - begin)
    return scores, statistics.median(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int)
    parser.add_argument("columns", type=int)
    parser.add_argument("--draws", type=int, default=20000)
    parser.add_argument("--whole", type=int, default=5000)
    parser.add_argument("--timed", type=int, default=100)
    parser.add_argument("--neighbours", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ours", default="target/release/zcore_speed")
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((args.rows, args.columns), dtype=np.float32)
    low, middle, high, column_seconds = statistics_of_columns(rows)
    dims = np.argsort(rng.random((args.draws, args.columns), dtype=np.float32), axis=1)[:, :2].astype(np.uint32)
    points = rng.triangular(low[dims].astype(float), middle[dims].astype(float), high[dims].astype(float))

    ratios = {"draws": [], "whole": []}
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name + ".npy") for name in ("rows", "dims", "points", "raw")]
        for path, array in zip(paths, (rows, dims, points)):
            np.save(path, array)
        for _ in range(args.rounds):
            expected, each = reference(rows, dims[: args.timed], points[: args.timed], args.neighbours)
            command = [args.ours, *paths, "--checked", str(args.timed), "--neighbours", str(args.neighbours)]
            output = subprocess.run([*command, "--whole", str(args.whole)], check=True, capture_output=True)
            ours = json.loads(output.stdout)
            worst = np.max(np.abs(np.load(paths[3]) - expected))
            ratios["draws"].append(each * args.draws / ours["draws"]["wall"])
            ratios["whole"].append((column_seconds + each * args.whole) / ours["whole"]["wall"])
            print(
                f"reference {each * 1e3:.2f} ms a draw, columns {column_seconds:.2f} s; "
                f"ours {ours['draws']['wall'] / args.draws * 1e6:.1f} us wall, "
                f"{ours['draws']['cpu'] / args.draws * 1e6:.1f} us CPU a draw, layout {ours['layout']['wall']:.2f} s, "
                f"{args.whole} draws from the array {ours['whole']['wall']:.2f} s; worst difference {worst:.1e}",
                flush=True,
            )
    for name, found in ratios.items():
        print(f"{name}: {statistics.median(found):.0f} times as fast ({min(found):.0f} to {max(found):.0f})")


if __name__ == "__main__":
    main()
