"""Near-duplicates by other tools, on the rows of `near_duplicates --write ROWS.f32 --pairs PAIRS.csv`.

    cargo run --release -p labelloop-benches --bin near_duplicates -- --write rows.f32 --pairs pairs.csv
    python benches/duplicates_peers.py rows.f32 pairs.csv --dims 128 --radius 0.05 [--only faiss]

Needs scikit-learn, faiss-cpu and psutil. Seconds are those of the call alone; peak memory is that of the process above what
it held before. Pairs are compared with ours as sets; distances of faiss are in f32, so that pairs at the very edge may differ.
"""

import argparse
import os
import resource
import time

import faiss
import numpy as np
import sklearn
from sklearn.neighbors import NearestNeighbors


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def by_sklearn(algorithm):
    def run(rows, radius):
        found = NearestNeighbors(radius=radius, algorithm=algorithm, n_jobs=-1).fit(rows)
        near = found.radius_neighbors(rows, return_distance=False)
        return {(i, int(j)) for i, js in enumerate(near) for j in js if i < j}

    return run


def by_faiss(rows, radius):
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    limits, _, found = index.range_search(rows, radius * radius)
    first = np.repeat(np.arange(len(rows)), np.diff(limits).astype(int))
    return {(int(i), int(j)) for i, j in zip(first, found) if i < j}


def measure(name, find, rows, radius, ours):
    before, cpu, begin = peak_mb(), time.process_time(), time.perf_counter()
    pairs = find(rows, radius)
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    print(
        f"{name:<36} {len(pairs)} pairs, {len(pairs ^ ours)} differ; {wall:.2f} s wall, {cpu:.2f} s CPU, "
        f"peak {peak_mb() - before:.0f} MB above {before:.0f} MB",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows")
    parser.add_argument("pairs")
    parser.add_argument("--dims", type=int, default=128)
    parser.add_argument("--radius", type=float, default=0.05)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    rows = np.fromfile(args.rows, dtype="<f4").reshape(-1, args.dims)
    with open(args.pairs, encoding="utf-8") as lines:
        ours = {tuple(int(v) for v in line.split(",")) for line in lines}
    peers = {
        f"faiss {faiss.__version__} IndexFlatL2.range_search": by_faiss,
        f"scikit-learn {sklearn.__version__} brute": by_sklearn("brute"),
        f"scikit-learn {sklearn.__version__} ball_tree": by_sklearn("ball_tree"),
        f"scikit-learn {sklearn.__version__} kd_tree": by_sklearn("kd_tree"),
    }
    for name, find in peers.items():
        if args.only in name:
            measure(name, find, rows, args.radius, ours)
    print(f"{len(rows)} x {args.dims}, {os.cpu_count()} threads, ours {len(ours)} pairs")


if __name__ == "__main__":
    main()
