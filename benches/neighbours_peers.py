"""Exact neighbours by scikit-learn, faiss and ours, in turn on the same rows.

    cargo build --release -p labelloop-benches --bin neighbours
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benches/neighbours_peers.py target/release/neighbours FOLDER

Needs numpy, scikit-learn and faiss-cpu. FOLDER takes the arrays; `--add NAME=EMB.npy` measures vectors of your own as well, of
which the last thousand are the queries. CPU seconds of a search, median over rounds in which every tool has its turn. All rows
have length 1, so that the inner product is the cosine. scikit-learn's way is `cosine_similarity`, then `argsort` of each row; it
has as many of the queries as 2 GB hold at a time.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import faiss
import numpy as np
import sklearn
from sklearn.metrics.pairwise import cosine_similarity


def noise(rng, n, dims):
    return rng.standard_normal((n, dims), dtype=np.float32)


def clusters(rng, n, dims):
    centres = noise(np.random.default_rng(7), 500, dims)
    return centres[rng.integers(0, 500, n)] + 0.7 * noise(rng, n, dims)


def relu(rng, n, dims):
    """Correlated numbers cut off below zero, as networks that end in a rectifier give."""
    fixed = np.random.default_rng(7)
    mix = noise(fixed, dims, dims) * np.arange(1, dims + 1, dtype=np.float32)[:, None] ** -0.5
    return np.maximum(noise(rng, n, dims) @ mix * 0.3 + 0.5 * noise(fixed, 1, dims), 0)


def frames(rng, n, dims):
    """Rows near a curved surface of 12 dimensions, with a tenth of noise, as embeddings of pictures of one fleet."""
    fixed = np.random.default_rng(7)
    flat = noise(rng, n, 12)
    bent = np.tanh(flat @ noise(fixed, 12, 64)) @ noise(fixed, 64, dims)
    return bent + 0.1 * np.abs(bent).mean() * noise(rng, n, dims)


def unit(rows):
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


class Ours:
    def __init__(self, program, pool, queries, threads):
        command = [program, pool, queries, "--threads", str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def timed(work):
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def by_sklearn(pool, queries, k):
    step = max(1, 2_000_000_000 // (12 * len(pool)))
    found = []
    for start in range(0, len(queries), step):
        similar = cosine_similarity(queries[start : start + step], pool)
        found.append(np.argsort(similar, axis=1)[:, : -k - 1 : -1])
    return np.concatenate(found)


def measure(args, name, pool, queries):
    files = [str(Path(args.folder) / f"{name}_{part}.npy") for part in ("pool", "queries")]
    for file, rows in zip(files, (pool, queries)):
        np.save(file, rows)
    ours = Ours(args.program, *files, args.threads)
    faiss.omp_set_num_threads(args.threads)
    flat = faiss.IndexFlatIP(pool.shape[1])
    flat.add(pool)
    for n_queries in args.queries:
        asked = queries[:n_queries]
        for k in args.k:
            times = {"faiss": [], "ours, products": [], "ours, codes": [], "sklearn": []}
            for round_ in range(args.rounds):
                cpu, (_, ids) = timed(lambda: flat.search(asked, k))
                times["faiss"].append(cpu)
                for codes, column in (("never", "ours, products"), ("always", "ours, codes")):
                    if codes == "always" and round_ == 0:
                        ours.ask("prepare")
                    answer = ours.ask(f"{codes} {k} {n_queries}")
                    times[column].append(answer["cpu"])
                if args.sklearn and round_ == 0:
                    few = asked[: max(1, min(len(asked), 200))]
                    cpu, _ = timed(lambda: by_sklearn(pool, few, k))
                    times["sklearn"].append(cpu * len(asked) / len(few))
            medians = {tool: statistics.median(t) for tool, t in times.items() if t}
            cells = [f"{medians[tool]:.4f}" if tool in medians else "" for tool in times]
            best = min(medians["ours, products"], medians["ours, codes"])
            ratios = [medians["faiss"] / medians[t] for t in ("ours, products", "ours, codes")]
            if "sklearn" in medians:
                ratios.append(medians["sklearn"] / best)
            print(
                f"| {name} {pool.shape[0]:,} x {pool.shape[1]} | {n_queries} | {k} | "
                + " | ".join(cells)
                + " | "
                + " | ".join(f"{r:.2f}" for r in ratios)
                + " |",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("folder")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dims", type=int, default=768)
    parser.add_argument("--queries", type=int, nargs="+", default=[1000])
    parser.add_argument("--k", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", nargs="*", default=["noise", "clusters", "relu", "frames"])
    parser.add_argument("--add", nargs="*", default=[])
    parser.add_argument("--sklearn", action="store_true")
    args = parser.parse_args()
    print(f"faiss {faiss.__version__}, scikit-learn {sklearn.__version__}, numpy {np.__version__}")
    print("| rows | queries | k | faiss | products | codes | sklearn | faiss / products | faiss / codes | sklearn / best |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    made = {"noise": noise, "clusters": clusters, "relu": relu, "frames": frames}
    for name in args.data:
        rng = np.random.default_rng(1)
        n_queries = max(args.queries)
        rows = unit(made[name](rng, args.rows + n_queries, args.dims))
        measure(args, name, rows[:-n_queries], rows[-n_queries:])
    for pair in args.add:
        name, file = pair.split("=")
        rows = unit(np.load(file))
        rows = rows[np.random.default_rng(1).permutation(len(rows))]
        measure(args, name, rows[:-1000], rows[-1000:])


if __name__ == "__main__":
    main()
