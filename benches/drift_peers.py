"""What other tools say of the rounds that `golden_power --write FOLDER` wrote, beside what the golden check said.

python drift_peers.py FOLDER [--only evidently,...] [--runs N]

A current round is compared with an earlier round that is known to be good (`before0`), the fairest choice for tools that
compare two sets: both have the usual slips. Tools see a table of boxes (class, centre, width, height, area, aspect) and
one of images (boxes, boxes by class). An alarm of

- evidently is its DataDriftPreset with its defaults: half of the columns or more drifted, in either table; `any column`
  asks for one;
- deepchecks is LabelDrift of its vision suite (boxes by class, area, boxes per image) with the default condition;
- class counts is the chi-squared test of homogeneity at .05;
- CVAT's accuracy rule is below .7 at IoU .4 against the reference, from its definition: right classes among matched boxes,
  and among matched, missing and extra ones together.

Each tool needs its own environment (`--only`): evidently 0.7.23 went with pandas 2; deepchecks 0.19.1 with torch 2.0.1,
torchvision 0.15.2, pytorch-ignite, opencv-python-headless below 4.9, scikit-learn below 1.3, category-encoders below 2.7,
setuptools below 81 and numpy 1.26.
"""

import argparse
import json
import pathlib
import time
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")


def objects(frame):
    boxes = frame.dropna(subset=["class"])
    return pd.DataFrame(
        {
            "class": boxes["class"].astype(int).astype(str),
            "x": boxes.x + boxes.w / 2,
            "y": boxes.y + boxes.h / 2,
            "width": boxes.w,
            "height": boxes.h,
            "area": boxes.w * boxes.h,
            "aspect": boxes.w / boxes.h,
        }
    )


def images(frame, classes):
    counts = frame.assign(n=frame["class"].notna()).groupby("image").n.sum().astype(float).to_frame("boxes")
    for c in classes:
        counts[f"class {c}"] = (frame["class"] == c).groupby(frame.image).sum().astype(float)
    return counts.reset_index(drop=True)


def evidently():
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    def drifted(before, now, definition):
        sets = [Dataset.from_pandas(t, data_definition=definition) for t in (now, before)]
        found = Report([DataDriftPreset()]).run(*sets).dict()["metrics"]
        return next(m["value"] for m in found if "DriftedColumnsCount" in m["metric_name"])

    def alarms(reference, before, now, classes):
        a = drifted(
            objects(before),
            objects(now),
            DataDefinition(
                categorical_columns=["class"], numerical_columns=["x", "y", "width", "height", "area", "aspect"]
            ),
        )
        tables = images(before, classes), images(now, classes)
        b = drifted(*tables, DataDefinition(numerical_columns=list(tables[0].columns)))
        return {
            "evidently, defaults": max(a["share"], b["share"]) >= 0.5,
            "evidently, any column": a["count"] + b["count"] > 0,
        }

    return alarms


def deepchecks():
    from deepchecks.vision import BatchOutputFormat, VisionData
    from deepchecks.vision.checks import LabelDrift

    def data(frame, classes):
        # Boxes that stick out to the left or above are refused.
        frame = frame.assign(x=frame.x.clip(lower=0), y=frame.y.clip(lower=0))
        labels = [
            g.dropna(subset=["class"])[["class", "x", "y", "w", "h"]].to_numpy(float) for _, g in frame.groupby("image")
        ]
        names = {int(c): str(int(c)) for c in classes}
        # Labels alone are looked at, yet there have to be pictures.
        pixels = [np.arange(192, dtype=np.uint8).reshape(8, 8, 3)] * len(labels)
        batches = [BatchOutputFormat(images=pixels, labels=labels)]
        return VisionData(batches, task_type="object_detection", label_map=names, reshuffle_data=False)

    def alarms(reference, before, now, classes):
        check = LabelDrift(min_samples=10).add_condition_drift_score_less_than()
        found = check.run(data(before, classes), data(now, classes))
        return {"deepchecks LabelDrift": not all(c.is_pass for c in found.conditions_results)}

    return alarms


def counts():
    from scipy.stats import chi2_contingency

    def alarms(reference, before, now, classes):
        table = np.array([[(f["class"] == c).sum() for c in classes] for f in (before, now)])
        table = table[:, table.sum(0) > 0]
        return {"class counts, chi-squared": table.shape[1] > 1 and chi2_contingency(table).pvalue <= 0.05}

    return alarms


def cvat():
    from scipy.optimize import linear_sum_assignment

    def overlaps(a, b):
        low = np.maximum(a[:, None, :2], b[None, :, :2])
        high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
        shared = np.clip(high - low, 0, None).prod(2)
        return shared / (a[:, 2:].prod(1)[:, None] + b[:, 2:].prod(1)[None] - shared)

    def alarms(reference, before, now, classes):
        n_right = n_matched = n_all = 0
        theirs = dict(tuple(now.groupby("image")))
        for image, truth in reference.groupby("image"):
            t, o = (f.dropna(subset=["class"])[["class", "x", "y", "w", "h"]].to_numpy(float) for f in (truth, theirs[image]))
            iou = overlaps(t[:, 1:], o[:, 1:])
            pairs = [(i, j) for i, j in zip(*linear_sum_assignment(-iou)) if iou[i, j] >= 0.4]
            n_matched += len(pairs)
            n_all += len(t) + len(o) - len(pairs)
            n_right += sum(t[i, 0] == o[j, 0] for i, j in pairs)
        return {
            "CVAT's rule, over matched": n_right < 0.7 * n_matched,
            "CVAT's rule, over all": n_right < 0.7 * n_all,
        }

    return alarms


TOOLS = {"evidently": evidently, "deepchecks": deepchecks, "counts": counts, "cvat": cvat}


def main():
    args = argparse.ArgumentParser()
    args.add_argument("folder", type=pathlib.Path)
    args.add_argument("--only", default=",".join(TOOLS))
    args.add_argument("--runs", type=int, default=100)
    args = args.parse_args()
    tools = {name: TOOLS[name]() for name in args.only.split(",")}
    rows, seconds, n_timed = [], dict.fromkeys(tools, 0.0), 0
    for place in sorted(p.parent for p in args.folder.glob("*/ours.json")):
        about = json.loads((place / "ours.json").read_text())
        frame = pd.read_csv(place / "rounds.csv")
        classes = sorted(frame["class"].dropna().unique())
        said = about["runs"][: args.runs]
        sums = {"golden check, FAIL": [r["verdict"] == "FAIL" for r in said]}
        for run, of_run in frame[frame.run < len(said)].groupby("run"):
            rounds = [of_run[of_run["round"] == r] for r in ("reference", "before0", "current")]
            for name, tool in tools.items():
                start = time.process_time()
                for alarm, is_on in tool(*rounds, classes).items():
                    sums.setdefault(alarm, []).append(bool(is_on))
                seconds[name] += time.process_time() - start
            n_timed += 1
        rows.append((about["name"], {k: float(np.mean(v)) for k, v in sums.items()}))
        if len(rows) == 1:
            print("| current round |", " | ".join(rows[0][1]), "|")
            print("|---|" + "---|" * len(rows[0][1]))
        print(f"| {about['name']} |", " | ".join(f"{v:.2f}" for v in rows[-1][1].values()), "|", flush=True)
    print("\nCPU-ms a round:", {k: round(1e3 * v / n_timed, 1) for k, v in seconds.items()})


main()
