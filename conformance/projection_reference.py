"""Compares `labelloop project` with scikit-learn on its digits (1,797 x 64).

python projection_reference.py LABELLOOP   (needs numpy and scikit-learn; LABELLOOP is the program)

PCA: largest difference of coordinates, signs aside, relative to the largest coordinate. t-SNE: trustworthiness (Venna and
Kaski 2001, scikit-learn's), and how often the 5 nearest rows in the plane name the digit, beside scikit-learn's TSNE with
the same perplexity and steps from PCA; both with every row fitted, and ours with a third of the rows only placed.
"""

import csv
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

program = sys.argv[1]
rows, digits = load_digits(return_X_y=True)
rows = rows.astype(np.float32)


def ours(folder, *more):
    out = folder / "map.csv"
    start = time.process_time()
    subprocess.run([program, "project", str(folder / "rows.npy"), "--out", str(out), "--quiet", *more], check=True)
    with out.open() as file:
        lines = list(csv.DictReader(file))
    plane = np.array([[float(line["x"]), float(line["y"])] for line in lines])
    return plane, np.array([line["is_fitted"] == "true" for line in lines]), time.process_time() - start


def quality(plane):
    votes = cross_val_score(KNeighborsClassifier(5), plane, digits, cv=LeaveOneOut(), n_jobs=2)
    return trustworthiness(rows, plane, n_neighbors=5), votes.mean()


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    np.save(folder / "rows.npy", rows)
    plane, _, _ = ours(folder)
    expected = PCA(2, svd_solver="full").fit_transform(rows.astype(np.float64))
    signs = np.sign((plane * expected).sum(axis=0))
    off = np.abs(plane * signs - expected).max() / np.abs(expected).max()
    print(f"PCA: largest difference {off:.1e} of the largest coordinate")
    assert off < 1e-9

    print("| layout | trustworthiness | 5 nearest name the digit | divergence |\n|---|---|---|---|")
    print("| PCA | {:.3f} | {:.3f} | |".format(*quality(plane)))
    reference = TSNE(2, perplexity=30, init="pca", learning_rate="auto", max_iter=1000, random_state=0)
    theirs = quality(reference.fit_transform(rows))
    print("| scikit-learn TSNE | {:.3f} | {:.3f} | {:.3f} |".format(*theirs, reference.kl_divergence_))
    plane, _, _ = ours(folder, "--method", "tsne")
    again, _, _ = ours(folder, "--method", "tsne", "--threads", "1")
    assert (plane == again).all()
    own = quality(plane)
    print("| t-SNE | {:.3f} | {:.3f} | |".format(*own))
    assert own[0] > theirs[0] - 0.005 and own[1] > theirs[1] - 0.01

    plane, is_fitted, _ = ours(folder, "--method", "tsne", "--max-rows", "1200")
    near = KNeighborsClassifier(5).fit(plane[is_fitted], digits[is_fitted])
    print(f"| t-SNE of 1,200 rows, {(~is_fitted).sum()} placed: these alone | | {near.score(plane[~is_fitted], digits[~is_fitted]):.3f} | |")
