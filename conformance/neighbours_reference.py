"""Nearest neighbours by faiss and scikit-learn, as golden values for crates/index.

    python conformance/neighbours_reference.py crates/index/tests/golden/neighbours.json

Needs numpy, faiss-cpu and scikit-learn. Vectors are whole numbers of a small range divided by 8, made by a formula that the test
repeats, so that products are exact in f32 and no tool has anything to round but the last division or root. Where two neighbours
have equal scores, tools differ in which comes first; those queries are told by a list of scores only ("tied": true).
"""

import json
import sys

import faiss
import numpy as np
import sklearn
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors

ROWS, QUERIES, DIMS, K = 400, 40, 24, 10


def vectors(n, salt):
    i, j = np.arange(n, dtype=np.uint32)[:, None], np.arange(DIMS, dtype=np.uint32)[None, :]
    mixed = i * np.uint32(73856093) ^ j * np.uint32(19349663) ^ np.uint32(salt)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        mixed = (mixed ^ (mixed >> np.uint32(shift))) * np.uint32(factor)
    mixed ^= mixed >> np.uint32(16)
    return (mixed % np.uint32(257)).astype(np.float32) / 8 - 16


def by_faiss(kind, pool, queries):
    index = {"dot": faiss.IndexFlatIP, "l2": faiss.IndexFlatL2, "cosine": faiss.IndexFlatIP}[kind](DIMS)
    if kind == "cosine":
        pool, queries = pool.copy(), queries.copy()
        faiss.normalize_L2(pool)
        faiss.normalize_L2(queries)
    index.add(pool)
    scores, ids = index.search(queries, K + 1)
    return (np.sqrt(scores) if kind == "l2" else scores), ids


def by_sklearn(kind, pool, queries):
    pool, queries = pool.astype(np.float64), queries.astype(np.float64)
    if kind == "l2":
        distances, ids = NearestNeighbors(n_neighbors=K + 1, algorithm="brute").fit(pool).kneighbors(queries)
        return distances, ids
    scores = cosine_similarity(queries, pool) if kind == "cosine" else queries @ pool.T
    ids = np.argsort(-scores, axis=1, kind="stable")[:, : K + 1]
    return np.take_along_axis(scores, ids, axis=1), ids


def main():
    pool, queries = vectors(ROWS, 1), vectors(QUERIES, 900001)
    cases = []
    for kind in ("cosine", "dot", "l2"):
        scores, ids = by_sklearn(kind, pool, queries)
        faiss_scores, faiss_ids = by_faiss(kind, pool, queries)
        gaps = np.abs(np.diff(scores, axis=1)).min(axis=1)
        tied = gaps < 1e-5
        assert (ids[~tied] == faiss_ids[~tied]).all(), f"{kind}: faiss and scikit-learn differ"
        assert np.allclose(scores, faiss_scores, rtol=1e-4, atol=1e-5)
        cases.append(
            {
                "metric": kind,
                "ids": ids[:, :K].tolist(),
                "scores": scores[:, :K].round(9).tolist(),
                "tied": tied.tolist(),
            }
        )
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump({"rows": ROWS, "queries": QUERIES, "dims": DIMS, "k": K, "cases": cases}, file)
        file.write("\n")
    print(f"faiss {faiss.__version__}, scikit-learn {sklearn.__version__}, numpy {np.__version__}")
    print("tied queries:", [int(np.sum(case["tied"])) for case in cases])


if __name__ == "__main__":
    main()
