"""Approximate neighbours by other tools and by ours, in turn on the same rows, one thread each.

    cargo build --release -p labelloop-benches --bin hnsw
    python benches/hnsw_peers.py target/release/hnsw FOLDER [--rows 100000] [--dims 128] [--data clusters|uniform|frames]

Needs numpy, hnswlib, usearch and faiss-cpu. FOLDER takes the arrays. Prints recall@10 and queries per CPU second, the median
over rounds in which every tool has its turn; CPU seconds of the build. All graphs have M = 16 and efConstruction = 200.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import faiss
import hnswlib
import numpy as np
import usearch
from usearch.index import Index

K, LINKS, BUILD_BEAM = 10, 16, 200
BEAMS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384]


def clusters(rng, n, dims):
    """1000 Gaussian clusters, whose centres are as far apart as points of one cluster are wide."""
    centres = rng.normal(size=(1000, dims)).astype(np.float32)
    return centres[rng.integers(0, 1000, n)] + rng.normal(size=(n, dims)).astype(np.float32) * 0.5


def uniform(rng, n, dims):
    """No structure at all: the hardest rows there are."""
    return rng.random(size=(n, dims), dtype=np.float32)


def frames(rng, n, dims):
    """Videos: 200 random walks on a surface of 16 dimensions bent into `dims`, as embeddings of frames are."""
    steps = rng.normal(size=(n, 16)).astype(np.float32) * 0.15
    length = max(1, n // 200)
    for start in range(0, n, length):
        steps[start] = rng.normal(size=16) * 1.5
        steps[start : start + length] = np.cumsum(steps[start : start + length], axis=0)
    hidden = np.tanh(steps @ rng.normal(size=(16, 64)).astype(np.float32) * 0.35)
    rows = hidden @ rng.normal(size=(64, dims)).astype(np.float32) + rng.normal(size=(n, dims)).astype(np.float32) * 0.05
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Hnswlib:
    name = "hnswlib 0.8.0"

    def __init__(self, pool):
        self.index = hnswlib.Index(space="l2", dim=pool.shape[1])
        self.index.init_index(max_elements=len(pool), ef_construction=BUILD_BEAM, M=LINKS, random_seed=42)
        self.index.set_num_threads(1)
        self.index.add_items(pool, num_threads=1)

    def search(self, queries, beam):
        self.index.set_ef(beam)
        return self.index.knn_query(queries, k=K, num_threads=1)[0]


class Usearch:
    name = f"usearch {usearch.__version__}"

    def __init__(self, pool):
        self.index = Index(
            ndim=pool.shape[1], metric="l2sq", dtype="f32", connectivity=LINKS, expansion_add=BUILD_BEAM
        )
        self.index.add(np.arange(len(pool)), pool, threads=1)

    def search(self, queries, beam):
        self.index.expansion_search = beam
        return self.index.search(queries, K, threads=1).keys.astype(np.int64)


class FaissHnsw:
    name = f"faiss {faiss.__version__} IndexHNSWFlat"

    def __init__(self, pool):
        self.index = faiss.IndexHNSWFlat(pool.shape[1], LINKS)
        self.index.hnsw.efConstruction = BUILD_BEAM
        self.index.add(pool)

    def search(self, queries, beam):
        self.index.hnsw.efSearch = beam
        return self.index.search(queries, K)[1]


class FaissFlat:
    name = f"faiss {faiss.__version__} IndexFlatL2"

    def __init__(self, pool):
        self.index = faiss.IndexFlatL2(pool.shape[1])
        self.index.add(pool)

    def search(self, queries, beam):
        return self.index.search(queries, K)[1]


def recall(found, truth):
    return float(np.mean([len(np.intersect1d(f, t)) / K for f, t in zip(found, truth)]))


class Peer:
    def __init__(self, kind, pool, queries, truth, beams):
        begin = time.process_time()
        self.tool = kind(pool)
        self.build = time.process_time() - begin
        self.name, self.queries, self.truth, self.beams = kind.name, queries, truth, beams

    def measure(self, beam):
        begin = time.process_time()
        found = self.tool.search(self.queries, beam)
        cpu = (time.process_time() - begin) / len(self.queries)
        return cpu * 1e6, recall(found, self.truth)


class Ours:
    """The program is told over its standard input what to measure."""

    def __init__(self, program, folder):
        files = [str(folder / f"{name}.npy") for name in ("pool", "queries", "truth")]
        self.process = subprocess.Popen([program, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.built = json.loads(self.process.stdout.readline())

    def ask(self, method, beam):
        self.process.stdin.write(f"{method} {beam}\n")
        self.process.stdin.flush()
        found = json.loads(self.process.stdout.readline())
        return found["cpu_us"], found["recall"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dims", type=int, default=128)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", default="clusters", choices=["clusters", "uniform", "frames"])
    parser.add_argument("--only-ours", action="store_true")
    args = parser.parse_args()
    faiss.omp_set_num_threads(1)
    rows = {"clusters": clusters, "uniform": uniform, "frames": frames}[args.data](
        np.random.default_rng(7), args.rows + args.queries, args.dims
    )
    order = np.random.default_rng(8).permutation(len(rows))
    pool, queries = rows[order[: args.rows]], rows[order[args.rows :]]
    args.folder.mkdir(parents=True, exist_ok=True)
    truth = FaissFlat(pool).search(queries, 0)
    for name, array in [("pool", pool), ("queries", queries), ("truth", truth)]:
        np.save(args.folder / f"{name}.npy", array)
    ours = Ours(args.program, args.folder)
    print(f"{args.data}, {args.rows} x {args.dims}, {args.queries} queries; ours: {ours.built}", flush=True)
    runs = {}  # (tool, beam) -> how to measure it
    for beam in BEAMS:
        runs["ours", beam] = lambda beam=beam: ours.ask("hnsw", beam)
    if not args.only_ours:
        for kind in [Hnswlib, Usearch, FaissHnsw]:
            peer = Peer(kind, pool, queries, truth, BEAMS)
            print(f"{kind.name}: build {peer.build:.1f} CPU s", flush=True)
            for beam in BEAMS:
                runs[kind.name, beam] = lambda beam=beam, peer=peer: peer.measure(beam)
        flat = Peer(FaissFlat, pool, queries, truth, [0])
        runs[FaissFlat.name, 0] = lambda: flat.measure(0)
    runs["ours, exact", 0] = lambda: ours.ask("exact", 0)
    results = {run: [] for run in runs}
    for _ in range(args.rounds):
        for run in sorted(runs, key=lambda run: (run[1], run[0])):
            results[run].append(runs[run]())
    for (tool, beam), found in results.items():
        cpu = statistics.median(f[0] for f in found)
        print(f"{tool:<28} beam {beam:4}  recall {found[0][1]:.4f}  {1e6 / cpu:9.0f} queries/CPU s")


if __name__ == "__main__":
    main()
