#!/usr/bin/env python3
"""What other tools make of small sets of rows: the expected values of crates/coreset/tests/golden/cluster_*.json.

    python -m venv v && v/bin/pip install scikit-learn==1.9.1 kmedoids==0.5.5 scikit-activeml==1.0.1
    v/bin/python conformance/cluster_reference.py crates/coreset/tests/golden

Rows are drawn by numpy and written as decimals of f32, so that both sides see the same numbers. Uniqueness is computed with
scikit-learn's neighbours from the definition that FiftyOne Brain publishes; FiftyOne itself needs a database and is not run.
"""

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import kmedoids
import numpy as np
from skactiveml.pool import TypiClust
from sklearn.cluster import KMeans, MeanShift, estimate_bandwidth
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

TOOLS = {name: version(name) for name in ["scikit-learn", "kmedoids", "scikit-activeml", "numpy"]}


def blobs(seed, sizes, dims, apart, spread=1.0):
    rng = np.random.default_rng(seed)
    centers = apart * rng.standard_normal((len(sizes), dims))
    rows = [center + spread * rng.standard_normal((n, dims)) for center, n in zip(centers, sizes)]
    return np.concatenate(rows).astype(np.float32)


def plain(rows):
    return [[float(v) for v in row] for row in rows]


def outliers():
    cases = []
    for seed, sizes, dims, k in [(1, [40, 25], 2, 20), (2, [30], 5, 5), (3, [12, 12, 3], 3, 7), (4, [8], 2, 20)]:
        rows = blobs(seed, sizes, dims, 4.0)
        found = LocalOutlierFactor(n_neighbors=k).fit(rows.astype(np.float64))
        near = NearestNeighbors(n_neighbors=min(k, len(rows) - 1)).fit(rows.astype(np.float64)).kneighbors()[0]
        cases.append({
            "rows": plain(rows), "n_neighbours": k,
            "lof": (-found.negative_outlier_factor_).tolist(),
            "kth": near[:, -1].tolist(), "mean": near.mean(axis=1).tolist(),
        })
    return cases


def uniqueness():
    cases = []
    for seed, sizes, dims in [(5, [30, 10], 4), (6, [5], 2), (7, [60, 1], 16)]:
        rows = blobs(seed, sizes, dims, 3.0)
        near = NearestNeighbors(n_neighbors=4, algorithm="ball_tree").fit(rows.astype(np.float64)).kneighbors(rows)[0]
        value = near[:, 1:] @ np.array([0.6, 0.3, 0.1])
        cases.append({"rows": plain(rows), "uniqueness": (value / value.max()).tolist()})
    return cases


def k_means():
    """Lloyd from given centers, and the best of many seedings: where clusters are far apart there is one best answer."""
    cases = []
    for seed, sizes, dims, k in [(8, [30, 20, 10], 2, 3), (9, [25, 25, 25, 25], 8, 4), (10, [40], 3, 5)]:
        rows = blobs(seed, sizes, dims, 10.0)
        found = KMeans(n_clusters=k, n_init=200, tol=0.0, random_state=seed).fit(rows.astype(np.float64))
        cases.append({"rows": plain(rows), "k": k, "apart": len(sizes) == k,
                      "labels": found.labels_.tolist(), "inertia": float(found.inertia_)})
    return cases


def k_medoids():
    cases = []
    for seed, sizes, dims, k in [(11, [30, 20], 2, 4), (12, [50], 6, 7), (13, [60, 30, 20], 3, 3), (14, [25], 2, 1)]:
        rows = blobs(seed, sizes, dims, 3.0)
        distances = pairwise_distances(rows.astype(np.float64))
        start = np.random.default_rng(seed).permutation(len(rows))[:k].astype(np.uint64)
        walk = kmedoids.fasterpam(distances, start, n_cpu=1)
        best = min(kmedoids.fasterpam(distances, k, random_state=i, n_cpu=1).loss for i in range(200))
        cases.append({"rows": plain(rows), "k": k, "start": start.tolist(), "medoids": sorted(int(m) for m in walk.medoids),
                      "loss": float(walk.loss), "best_of_200": float(best)})
    return cases


def typiclust():
    """Clusters far apart, so that any k-means finds them: the picks are decided by typicality alone."""
    cases = []
    for seed, sizes, k in [(15, [12, 9, 15], 5), (16, [30, 28, 26, 24], 20), (17, [7, 8, 9, 10, 11], 3)]:
        rows = blobs(seed, sizes, 3, 60.0)
        unlabelled = np.full(len(rows), np.nan)
        query = TypiClust(random_state=0, k=k, cluster_algo_dict={"random_state": 0, "n_init": 20})
        picks = query.query(rows.astype(np.float64), unlabelled, batch_size=len(sizes))
        cases.append({"rows": plain(rows), "n_neighbours": k, "n_picks": len(sizes), "picks": [int(p) for p in picks]})
    return cases


def mean_shift():
    cases = []
    for seed, sizes, dims, bandwidth in [(18, [30, 20, 10], 2, 3.0), (19, [40, 30], 3, None), (20, [25], 2, 1.0)]:
        rows = blobs(seed, sizes, dims, 8.0)
        estimate = estimate_bandwidth(rows.astype(np.float64))
        found = MeanShift(bandwidth=bandwidth or estimate).fit(rows.astype(np.float64))
        cases.append({"rows": plain(rows), "bandwidth": bandwidth, "centers": plain(found.cluster_centers_),
                      "labels": found.labels_.tolist()})
    return cases


def main():
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    for make in [outliers, uniqueness, k_means, k_medoids, typiclust, mean_shift]:
        path = folder / f"cluster_{make.__name__}.json"
        path.write_text(json.dumps({"tools": TOOLS, "cases": make()}) + "\n", encoding="utf-8")
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
