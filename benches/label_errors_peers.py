"""Finds the labels that `descriptor_knn --write FOLDER` swapped, with cleanlab, on the same vectors and the same swaps.

python label_errors_peers.py FOLDER   (needs cleanlab, scikit-learn, numpy)

cleanlab's scores (self-confidence and normalised margin) come from class probabilities that never saw the object: those
of scikit-learn's k-nearest neighbours by distance, cross-validated over groups of pictures. `random` ranks by chance.
"""

import json
import pathlib
import sys

import numpy as np
from cleanlab.rank import get_label_quality_scores
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

K = 10
print("| set | vectors | method | AUC | average precision | errors in as many first |")
print("|---|---|---|---|---|---|")
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.npy")):
    vectors, about = np.load(path), json.loads(path.with_suffix(".json").read_text())
    classes, groups = np.array(about["classes"]), np.array(about["groups"])
    found = {}
    for seed, noisy in enumerate(about["noisy"]):
        noisy = np.array(noisy)
        is_wrong = noisy != classes
        known, labels = np.unique(noisy, return_inverse=True)
        scores = {"random": np.random.default_rng(seed).random(len(noisy))}
        for name, weights in [("even votes", "uniform"), ("votes by distance", "distance")]:
            votes = KNeighborsClassifier(K, weights=weights)
            folds = GroupKFold(n_splits=10)
            probabilities = cross_val_predict(votes, vectors, labels, groups=groups, cv=folds, method="predict_proba")
            for method in ["self_confidence", "normalized_margin"]:
                quality = get_label_quality_scores(labels, probabilities, method=method)
                scores[f"cleanlab {method}, {name}"] = 1 - quality
        for name, score in scores.items():
            first = np.argsort(-score, kind="stable")[: is_wrong.sum()]
            row = [roc_auc_score(is_wrong, score), average_precision_score(is_wrong, score), is_wrong[first].mean()]
            found.setdefault(name, []).append(row)
    name, kind = path.stem.split(".", 1)
    for method, rows in found.items():
        auc, precision, first = np.mean(rows, axis=0)
        print(f"| {name} | {kind} | {method} | {auc:.3f} | {precision:.3f} | {first:.2f} |", flush=True)
