"""Greedy selections by other people's programs, as small cases for crates/coreset/tests/golden/select.json.

    pip install apricot-select==0.6.1 submodlib-py==0.0.3 scikit-activeml==1.0.1 coreax==1.0.0
    python conformance/coreset_reference.py crates/coreset/tests/golden/select.json

Each case names the method with its parameters as labelloop's configuration has them, which rows are labelled, and the picks
with their gains, both in the order of picking. Rows are f32, stated as the shortest decimal numbers that give them back.
"""

import importlib.metadata
import json
import sys

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity, rbf_kernel
from sklearn.neighbors import NearestNeighbors

N, K, BANDWIDTH, RADIUS, NEIGHBOURS = 60, 12, 1.5, 1.2, 7
LABELLED = [3, 17, 41]


def rows():
    rng = np.random.default_rng(20)
    centres = rng.normal(size=(6, 4)) * 2.0
    which = rng.choice(6, size=N, p=[0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    return (centres[which] + rng.normal(size=(N, 4)) * 0.6).astype(np.float32)


def case(name, tool, method, picks, gains, labelled=()):
    versioned = f"{tool} {importlib.metadata.version(tool)}"
    picks, gains = [int(p) for p in picks], [float(g) for g in gains]
    return {"name": name, "tool": versioned, "method": method, "labelled": list(labelled), "picks": picks, "gains": gains}


def by_apricot(name, method, similarity, labelled=()):
    from apricot import FacilityLocationSelection

    subset = np.array(labelled, dtype=int) if len(labelled) else None
    chosen = FacilityLocationSelection(K, metric="precomputed", optimizer="lazy", initial_subset=subset).fit(similarity)
    return case(name, "apricot-select", method, chosen.ranking[-K:], chosen.gains[-K:], labelled)


def by_submodlib(name, method, similarity):
    from submodlib import FacilityLocationFunction

    function = FacilityLocationFunction(n=N, mode="dense", sijs=similarity, separate_rep=False)
    chosen = function.maximize(budget=K, optimizer="LazyGreedy", show_progress=False)
    return case(name, "submodlib-py", method, [c[0] for c in chosen], [c[1] for c in chosen])


def nearest_only(x):
    """Row i keeps its similarity to its nearest rows alone, itself included."""
    _, ids = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(x).kneighbors(x)
    full = rbf_kernel(x, gamma=0.5 / BANDWIDTH**2)
    kept = np.zeros_like(full)
    np.put_along_axis(kept, ids, np.take_along_axis(full, ids, axis=1), axis=1)
    return kept


def by_activeml(name, method, strategy, x, labelled, gains_of=lambda utilities: utilities):
    """One pick at a time: of equal utilities the lowest row, where the tool would draw one."""
    y = np.full(N, np.nan)
    y[list(labelled)] = 0
    picks, gains = [], []
    for _ in range(K):
        _, utilities = strategy.query(x, y, batch_size=1, return_utilities=True)
        best = int(np.nanargmax(np.round(utilities[0], 12)))
        picks.append(best)
        gains.append(gains_of(utilities[0][best]))
        y[best] = 0
    return case(name, "scikit-activeml", method, picks, gains, labelled)


def by_coreax(name, x):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    from coreax import Data, SquaredExponentialKernel
    from coreax.solvers import KernelHerding

    solver = KernelHerding(coreset_size=K, kernel=SquaredExponentialKernel(length_scale=BANDWIDTH))
    coreset, _ = solver.reduce(Data(jnp.asarray(x, dtype=jnp.float64)))
    picks = np.asarray(coreset.unweighted_indices)
    # The tool gives no gains: they are those of the equation its documentation states.
    kernel = rbf_kernel(x, gamma=0.5 / BANDWIDTH**2)
    gains = [kernel[p].mean() - kernel[p, picks[:t]].sum() / (t + 1) for t, p in enumerate(picks)]
    return case(name, "coreax", {"method": "kernel-herding", "bandwidth": BANDWIDTH}, picks, gains)


def main(out):
    from skactiveml.pool import CoreSet, MaxHerding, ProbCover

    x32 = rows()
    x = x32.astype(np.float64)
    cosine = np.maximum(cosine_similarity(x), 0.0)
    gaussian = rbf_kernel(x, gamma=0.5 / BANDWIDTH**2)
    rbf = {"rbf": {"bandwidth": BANDWIDTH}}
    facility = {"method": "facility-location"}
    herding = MaxHerding(normalize_samples=False, metric="rbf", metric_dict={"gamma": 0.5 / BANDWIDTH**2}, random_state=0)
    cover = ProbCover(n_classes=2, deltas=[RADIUS], random_state=0)
    cases = [
        by_apricot("facility by cosine", facility, cosine),
        by_apricot("facility by a gaussian", {**facility, "kernel": rbf}, gaussian),
        by_apricot("facility given labelled", {**facility, "kernel": rbf}, gaussian, LABELLED),
        by_submodlib("facility, dense", {**facility, "kernel": rbf}, gaussian),
        # Row i of what apricot takes is what picking row i gives to all others.
        by_apricot("facility, nearest", {**facility, "kernel": rbf, "neighbours": NEIGHBOURS}, nearest_only(x).T),
        by_activeml("max-herding", {"method": "max-herding", "bandwidth": BANDWIDTH}, herding, x, LABELLED),
        by_activeml("prob-cover", {"method": "prob-cover", "radius": {"fixed": RADIUS}}, cover, x, LABELLED),
        by_activeml("k-center", {"method": "k-center"}, CoreSet(random_state=0), x, LABELLED),
        by_coreax("kernel-herding", x),
    ]
    document = {"rows": [[float(str(v)) for v in row] for row in x32], "cases": cases}
    with open(out, "w") as file:
        file.write('{"rows": [\n' + ",\n".join(json.dumps(row) for row in document["rows"]) + "\n],\n")
        file.write('"cases": [\n' + ",\n".join(json.dumps(one) for one in cases) + "\n]}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
