"""Evaluates the same two COCO files with every evaluator in turn and prints what each cost.

    python -m pip install numpy pycocotools==2.0.11 faster-coco-eval==1.8.0 hotcoco==1.3.0 \
        ultrafast-pycocotools==0.1.14 vernier==0.5.4
    cargo build --release -p labelloop-benches
    target/release/coco_inputs inputs
    cargo install hotcoco-cli --version 1.3.1 --root hotcoco-cli
    python benches/peers.py inputs/instances.json inputs/detections.json --ours target/release/coco_eval \
        --hotcoco-cli hotcoco-cli/bin/coco-eval

Every run is a process of its own on one thread and one core, and the evaluators take turns: A B C A B C. From two JSON
files to the arrays of precision, recall and scores and the twelve statistics. What is charged:

* ours, and hotcoco's own program: the CPU time of the whole process, from start to exit;
* a Python package: the CPU time inside its process from after the imports until the arrays are there, so neither the
  interpreter nor imports are charged; the whole process stands beside it;
* memory: the peak resident set above that of the same process that stops before it opens a file.

The statistics of all must agree; the largest difference from pycocotools is printed, and whether the arrays are the
same in every bit.
"""

import argparse
import array
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time


def cocoeval_arrays(e):
    return [e.eval["precision"], e.eval["recall"], e.eval["scores"]], e.stats


def with_pycocotools():
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def run(labels, detections, n_threads):
        gt = COCO(labels)
        e = COCOeval(gt, gt.loadRes(detections), "bbox")
        e.evaluate()
        e.accumulate()
        e.summarize()
        return cocoeval_arrays(e)

    return run


def with_faster_coco_eval():
    from faster_coco_eval import COCO, COCOeval_faster

    def run(labels, detections, n_threads):
        gt = COCO(labels)
        e = COCOeval_faster(gt, gt.loadRes(detections), "bbox")
        e.evaluate()
        e.accumulate()
        e.summarize()
        return cocoeval_arrays(e)

    return run


def with_hotcoco():
    from hotcoco import COCO, COCOeval

    def run(labels, detections, n_threads):
        gt = COCO(labels)
        e = COCOeval(gt, gt.load_res(detections), "bbox")
        e.evaluate()
        e.accumulate()
        e.summarize()
        return cocoeval_arrays(e)

    return run


def with_ultrafast():
    from ultrafast_pycocotools import COCO, COCOeval

    def run(labels, detections, n_threads):
        gt = COCO(labels)
        e = COCOeval(gt, gt.loadRes(detections), "bbox")
        e.run()
        return cocoeval_arrays(e)

    return run


def with_vernier():
    from vernier.instance import CocoDataset, evaluate_bbox_grid

    def run(labels, detections, n_threads):
        with open(labels, "rb") as f:
            gt = CocoDataset.from_json(f.read())
        with open(detections, "rb") as f:
            dt = f.read()
        grid = evaluate_bbox_grid(
            gt, dt, parity_mode="strict", max_dets_per_image=100, use_cats=True, num_threads=n_threads
        )
        found = grid.accumulate([1, 10, 100])
        return [found.precision, found.recall, found.scores], found.summarize().stats

    return run


PEERS = {
    "pycocotools": ("pycocotools", with_pycocotools),
    "faster-coco-eval": ("faster-coco-eval", with_faster_coco_eval),
    "hotcoco": ("hotcoco", with_hotcoco),
    "ultrafast-pycocotools": ("ultrafast-pycocotools", with_ultrafast),
    "vernier": ("vernier", with_vernier),
}


def child(name, labels, detections, n_threads):
    """One run of a Python package; the last line on standard error says what it cost and found."""
    import importlib.metadata

    import numpy as np

    package, load = PEERS[name]
    run = load()
    said = {"version": importlib.metadata.version(package)}
    if labels:
        cpu, wall = time.process_time(), time.perf_counter()
        arrays, stats = run(labels, detections, n_threads)
        said["cpu_inside"] = time.process_time() - cpu
        said["wall_inside"] = time.perf_counter() - wall
        said["stats"] = [float(s) for s in stats]
        said["arrays"] = fold(np.ascontiguousarray(a, dtype="<f8").tobytes() for a in arrays)
    print(json.dumps(said), file=sys.stderr)


def fold(arrays):
    digest = hashlib.sha256()
    for a in arrays:
        digest.update(a)
    return digest.hexdigest()[:16]


def measure(command, n_threads, cores):
    """CPU time and wall of a child process and its peak memory; what it wrote on both streams."""
    env = dict(os.environ)
    for key in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        env[key] = str(n_threads)

    def pin():
        os.sched_setaffinity(0, cores)

    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        wall = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, env=env, preexec_fn=pin)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - wall
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        texts = out.read(), err.read()
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{texts[1]}")
    # wait4's usage is that of this one child, the difference of RUSAGE_CHILDREN before and after.
    return {"cpu": usage.ru_utime + usage.ru_stime, "wall": wall, "peak_kib": usage.ru_maxrss}, texts


class Peer:
    charged = "cpu_inside"

    def __init__(self, name):
        self.name, self.version = name, ""

    def command(self, files, n_threads):
        labels, detections = files or ("", "")
        return [sys.executable, __file__, "--child", self.name, labels, detections, str(n_threads)]

    def understand(self, texts):
        said = json.loads(texts[1].strip().splitlines()[-1])
        self.version = said.pop("version")
        return said


class Ours:
    name, charged, version = "labelloop", "cpu", ""

    def __init__(self, program):
        self.program = program

    def command(self, files, n_threads):
        labels, detections = files or ("none", "none")
        return [self.program, labels, detections] + ([] if files else ["--nothing"])

    def understand(self, texts):
        return {"stats": json.loads(texts[0])} if texts[0].strip() else {}

    def fold_arrays(self, files):
        with tempfile.NamedTemporaryFile() as out:
            subprocess.run([self.program, *files, "--arrays", out.name], check=True, stdout=subprocess.DEVNULL)
            data = out.read()
        arrays, at = [], 0
        for _ in range(3):
            (n,) = array.array("Q", data[at : at + 8])
            arrays.append(data[at + 8 : at + 8 + 8 * n])
            at += 8 + 8 * n
        return fold(arrays)


class HotcocoProgram:
    """The crate without Python: its program prints the statistics with 15 digits and keeps the arrays to itself."""

    name, charged, version = "hotcoco (program)", "cpu", ""

    def __init__(self, program):
        self.program = program
        self.version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split()[-1]

    def command(self, files, n_threads):
        if not files:
            return [self.program, "--version"]
        return [self.program, "eval", "--gt", files[0], "--dt", files[1], "--iou-type", "bbox"]

    def understand(self, texts):
        said = [line for text in texts for line in text.splitlines() if line.startswith("stats: ")]
        return {"stats": json.loads(said[0].removeprefix("stats: ")), "arrays": "unknown"} if said else {}


def rounds_of(contenders, files, args, n_threads, cores):
    """Runs by name; contenders take turns, pycocotools in the first rounds only."""
    runs = {c.name: [] for c in contenders}
    for i in range(args.rounds):
        for c in contenders:
            if i < (args.slow_rounds if c.name in args.slow else args.rounds):
                cost, texts = measure(c.command(files, n_threads), n_threads, cores)
                runs[c.name].append(cost | c.understand(texts))
    return runs


def median(runs, key):
    return statistics.median(r[key] for r in runs)


def table(contenders, runs, idle, ours):
    rows = [
        "| evaluator | version | runs | CPU charged | times ours | least / most | CPU of the process | peak MB above idle |",
        "|---|---|---|---|---|---|---|---|",
    ]
    base = median(runs[ours.name], ours.charged) if ours else None
    for c in sorted(contenders, key=lambda c: median(runs[c.name], c.charged)):
        mine = runs[c.name]
        charged = [r[c.charged] for r in mine]
        ratio = f"{median(mine, c.charged) / base:.2f}" if base else "-"
        peak = (median(mine, "peak_kib") - idle[c.name]["peak_kib"]) * 1024 / 1e6
        rows.append(
            f"| {c.name} | {c.version} | {len(mine)} | {median(mine, c.charged):.3f} s | {ratio} "
            f"| {min(charged):.3f} / {max(charged):.3f} | {median(mine, 'cpu'):.3f} s | {peak:.1f} |"
        )
    return "\n".join(rows)


def agreement(contenders, runs, ours, files):
    """Largest difference of any statistic from the reference, and which arrays are the same in every bit."""
    reference = "pycocotools" if runs.get("pycocotools") else contenders[0].name
    expected = runs[reference][0]
    lines, worst = [], 0.0
    for c in contenders:
        found = runs[c.name][0]
        difference = max(abs(a - b) for a, b in zip(found["stats"], expected["stats"], strict=True))
        same_stats = found["stats"] == expected["stats"]
        folded = found.get("arrays") or ours.fold_arrays(files)
        same = {"unknown": "not shown", expected["arrays"]: "the same bits"}.get(folded, "other bits")
        lines.append(f"{c.name}: statistics differ by {difference:.3g} ({same_stats=}), arrays: {same}")
        worst = max(worst, difference)
    lines.append(f"against {reference}: AP {expected['stats'][0]!r}; largest difference {worst:.3g}")
    return "\n".join(lines), worst


def two_threads(contenders, runs, files, args):
    rows = ["| evaluator | wall, 1 thread | wall, 2 threads | times as fast |", "|---|---|---|---|"]
    # Wall times are only comparable where both are taken in the same minutes, so one thread is measured again.
    one, two = {c.name: [] for c in contenders}, {c.name: [] for c in contenders}
    for _ in range(args.rounds):
        for c in contenders:
            for n, into in ((1, one), (2, two)):
                cost, texts = measure(c.command(files, n), n, {0, 1})
                into[c.name].append(cost | c.understand(texts))
    for c in contenders:
        key = "wall_inside" if c.charged == "cpu_inside" else "wall"
        a, b = median(one[c.name], key), median(two[c.name], key)
        rows.append(f"| {c.name} | {a:.3f} s | {b:.3f} s | {a / b:.2f} |")
    return "\n".join(rows)


def parsed():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("labels")
    p.add_argument("detections")
    p.add_argument("--ours", help="the program coco_eval, built with --release")
    p.add_argument("--hotcoco-cli", help="the program coco-eval of the crate hotcoco-cli")
    p.add_argument("--peers", default=",".join(PEERS), help="names, separated by commas")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--slow", default="pycocotools,faster-coco-eval", help="evaluators that run --slow-rounds only")
    p.add_argument("--slow-rounds", type=int, default=3)
    p.add_argument("--two-threads", action="store_true", help="also compare wall times on one and two threads")
    p.add_argument("--runs", help="write every run into this JSON file")
    return p.parse_args()


def main():
    if sys.argv[1:2] == ["--child"]:
        return child(*sys.argv[2:5], int(sys.argv[5]))
    args = parsed()
    args.slow = args.slow.split(",")
    files = args.labels, args.detections
    ours = Ours(args.ours) if args.ours else None
    contenders = [Peer(name) for name in args.peers.split(",") if name]
    contenders += [HotcocoProgram(args.hotcoco_cli)] if args.hotcoco_cli else []
    contenders += [ours] if ours else []
    idle = {}
    for c in contenders:
        cost, texts = measure(c.command(None, 1), 1, {0})
        c.understand(texts)
        idle[c.name] = cost
    runs = rounds_of(contenders, files, args, 1, {0})
    text, worst = agreement(contenders, runs, ours, files)
    print(table(contenders, runs, idle, ours), text, sep="\n\n")
    if args.two_threads:
        print("\n" + two_threads([c for c in contenders if c.name not in args.slow], runs, files, args))
    if args.runs:
        with open(args.runs, "w") as out:
            json.dump({"idle": idle, "runs": runs}, out)
    # hotcoco and others may differ in the last place; more than that means another problem was evaluated.
    sys.exit(worst > 1e-12)


if __name__ == "__main__":
    main()
