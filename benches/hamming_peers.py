"""The searches of `hamming --write CODES.bin --pairs PAIRS.csv` by faiss.

    cargo run --release -p labelloop-benches --bin hamming -- --write codes.bin --pairs pairs.csv
    python benches/hamming_peers.py codes.bin pairs.csv --bits 64 --radius 4

Needs faiss-cpu. `IndexBinaryFlat` compares all; `IndexBinaryMultiHash` looks bands up as ours does, and is given the number
of bits to turn that makes it exact. Pairs are compared with ours as sets. The flat index answers all pairs for a sample of
rows only, and its time is scaled up.
"""

import argparse
import time

import faiss
import numpy as np


def timed(what, work, scale=1.0):
    wall, cpu = time.perf_counter(), time.process_time()
    out = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    note = "" if scale == 1.0 else f" (scaled by {scale:.0f})"
    print(f"{what}: {wall * scale:.2f} s, {cpu * scale:.2f} CPU s{note}")
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("codes")
    parser.add_argument("pairs")
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--radius", type=int, default=4)
    parser.add_argument("--queries", type=int, default=1000)
    args = parser.parse_args()
    codes = np.fromfile(args.codes, np.uint8).reshape(-1, args.bits // 8)
    queries = codes[np.arange(args.queries) * 7 % len(codes)]
    # range_search takes distances below its radius.
    radius = args.radius + 1

    flat = faiss.IndexBinaryFlat(args.bits)
    timed("flat, index", lambda: flat.add(codes))
    n = 2000
    timed("flat, all pairs", lambda: flat.range_search(codes[:n], radius), len(codes) / n)
    timed("flat, queries within", lambda: flat.range_search(queries, radius))
    timed("flat, queries, 10 nearest", lambda: flat.search(queries, 10))

    n_bands = args.bits // 16
    multi = faiss.IndexBinaryMultiHash(args.bits, n_bands, 16)
    multi.nflip = args.radius // n_bands
    timed("multi, index", lambda: multi.add(codes))
    limits, _, found = timed("multi, all pairs", lambda: multi.range_search(codes, radius))
    timed("multi, queries within", lambda: multi.range_search(queries, radius))
    first = np.repeat(np.arange(len(codes)), np.diff(limits).astype(int))
    theirs = {(int(a), int(b)) for a, b in zip(first, found) if a < b}
    ours = {tuple(map(int, line.split(",")[:2])) for line in open(args.pairs)}
    print(f"pairs: {len(ours)} here, {len(theirs)} there, {len(ours ^ theirs)} in one only")


if __name__ == "__main__":
    main()
