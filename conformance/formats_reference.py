"""Annotation files by the tools themselves, and our files read by them.

    python -m venv fmt && fmt/bin/pip install fiftyone mongomock pycocotools label-studio-sdk datumaro
    cargo build -p labelloop-formats --example convert
    fmt/bin/python conformance/formats_reference.py write crates/formats/tests/golden/tools
    fmt/bin/python conformance/formats_reference.py check target/debug/examples/convert

`write` makes the golden files that `crates/formats/tests/tools.rs` reads. `check` lets `convert` write every format and
compares what the tools read with what went in. FiftyOne wants a MongoDB server; mongomock stands in for it, in memory, so
nothing is installed or contacted.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

CLASSES = ["car", "van", "person"]
# File, width, height, and class, left, top, width, height of each box; the second picture was looked at and is empty.
CONTENT = [
    ("a.png", 64, 48, [("van", 8, 6, 20, 30), ("car", 30, 10, 32, 16)]),
    ("b.png", 40, 32, []),
    ("c.png", 96, 80, [("car", 16, 20, 40, 50)]),
]


def png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" * (1 + 3 * width) for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def pictures(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, width, height, _ in CONTENT:
        (folder / name).write_bytes(png(width, height))
    return folder


# ---------------------------------------------------------------- FiftyOne on a database in memory


def fiftyone():
    os.environ.update(
        FIFTYONE_DATABASE_URI="mongodb://localhost:27017",
        FIFTYONE_DATABASE_VALIDATION="false",
        FIFTYONE_DATABASE_NAME="conformance",
        FIFTYONE_DO_NOT_TRACK="1",
        FIFTYONE_DISABLE_SERVICES="1",
    )
    import motor.motor_asyncio  # noqa: F401 (must see the real client)
    import mongoengine.connection
    import mongomock
    import mongomock.store
    import pymongo

    store = mongomock.store.ServerStore()

    class Client(mongomock.MongoClient):
        _closed = False
        delegate = None

        def __init__(self, *args, **kwargs):
            kwargs.pop("appname", None)
            super().__init__(*args, **{**kwargs, "_store": store})

    pymongo.MongoClient = pymongo.mongo_client.MongoClient = mongoengine.connection.MongoClient = Client
    import fiftyone as fo

    fo.config.show_progress_bars = False
    return fo


def fiftyone_set(fo, media, grouped=False, unlabelled=False):
    dataset = fo.Dataset(overwrite=True, name=f"made-{grouped}-{unlabelled}")
    dataset.default_classes = CLASSES
    group = fo.Group() if grouped else None
    if grouped:
        dataset.add_group_field("group", default="left")
    for i, (name, width, height, boxes) in enumerate(CONTENT[:2] if grouped else CONTENT):
        sample = fo.Sample(filepath=str(media / name), tags=["night"] if i == 0 else [])
        sample.metadata = fo.ImageMetadata(width=width, height=height, num_channels=3, size_bytes=1)
        if grouped:
            sample["group"] = group.element(["left", "right"][i])
        sample["ground_truth"] = fo.Detections(
            detections=[
                fo.Detection(
                    label=label,
                    bounding_box=[x / width, y / height, w / width, h / height],
                    tags=["hard"] if label == "van" else [],
                )
                for label, x, y, w, h in boxes
            ]
        )
        dataset.add_sample(sample)
    if unlabelled:
        unlabelled = fo.Sample(filepath=str(media / "a.png").replace("a.png", "d.png"))
        (media / "d.png").write_bytes(png(32, 32))
        unlabelled.metadata = fo.ImageMetadata(width=32, height=32)
        dataset.add_sample(unlabelled)
    return dataset


def write_fiftyone(out):
    fo = fiftyone()
    media = pictures(Path(tempfile.mkdtemp()))
    dataset, labelled = fiftyone_set(fo, media, unlabelled=True), fiftyone_set(fo, media)
    types = fo.types
    for name, kind, kwargs in [
        ("fiftyone", types.FiftyOneDataset, {}),
        ("fiftyone_coco", types.COCODetectionDataset, {"label_field": "ground_truth"}),
        ("fiftyone_yolov5", types.YOLOv5Dataset, {"label_field": "ground_truth", "split": "val", "classes": CLASSES}),
        ("fiftyone_voc", types.VOCDetectionDataset, {"label_field": "ground_truth"}),
        ("fiftyone_kitti", types.KITTIDetectionDataset, {"label_field": "ground_truth"}),
        ("fiftyone_cvat", types.CVATImageDataset, {"label_field": "ground_truth"}),
    ]:
        view = dataset if name == "fiftyone" else labelled
        view.export(export_dir=str(out / name), dataset_type=kind, export_media=True, **kwargs)
    grouped = fiftyone_set(fo, media, grouped=True)
    grouped.export(export_dir=str(out / "fiftyone_groups"), dataset_type=types.FiftyOneDataset, export_media=True)
    return fo.__version__


# ---------------------------------------------------------------- Datumaro


def datumaro_set(parts=False):
    import datumaro as dm
    import numpy as np

    items = []
    for name, width, height, boxes in CONTENT:
        shapes = [
            dm.Bbox(x, y, w, h, label=CLASSES.index(label), id=10 * len(items) + i + 1, group=0,
                    attributes={"occluded": False, "truncated": False, "difficult": False})
            for i, (label, x, y, w, h) in enumerate(boxes)
        ]
        media = dm.Image.from_numpy(data=np.zeros((height, width, 3), dtype=np.uint8))
        subset = "val" if name == "c.png" and parts else "train"
        items.append(dm.DatasetItem(id=Path(name).stem, subset=subset, media=media, annotations=shapes))
    return dm.Dataset.from_iterable(items, categories=CLASSES)


def write_datumaro(out):
    import datumaro as dm

    for name in ["coco_instances", "yolo_ultralytics", "voc_detection", "kitti_detection", "cvat"]:
        datumaro_set(parts=name == "yolo_ultralytics").export(str(out / f"datumaro_{name}"), name, save_media=True, image_ext=".png")
    return dm.__version__


# ---------------------------------------------------------------- Label Studio


def write_label_studio(out):
    import label_studio_sdk
    from label_studio_sdk.converter.imports.coco import convert_coco_to_ls
    from label_studio_sdk.converter.imports.yolo import convert_yolo_to_ls

    work = Path(tempfile.mkdtemp())
    (work / "instances.json").write_text(json.dumps(coco()))
    target = out / "label_studio_from_coco"
    target.mkdir(parents=True)
    convert_coco_to_ls(str(work / "instances.json"), str(target / "tasks.json"), "annotations", image_root_url="/data/local-files/?d=")
    (work / "yolo/labels").mkdir(parents=True)
    pictures(work / "yolo/images")
    (work / "yolo/classes.txt").write_text("\n".join(CLASSES))
    for name, width, height, boxes in CONTENT:
        lines = [
            f"{CLASSES.index(c)} {(x + w / 2) / width} {(y + h / 2) / height} {w / width} {h / height}"
            for c, x, y, w, h in boxes
        ]
        (work / f"yolo/labels/{Path(name).stem}.txt").write_text("\n".join(lines))
    target = out / "label_studio_from_yolo"
    target.mkdir(parents=True)
    convert_yolo_to_ls(str(work / "yolo"), str(target / "tasks.json"), out_type="predictions", image_root_url="/data/local-files/?d=", image_ext=".png")
    from importlib.metadata import version

    return version("label-studio-sdk")


def coco():
    annotations = [
        {"id": 10 * i + j, "image_id": i, "category_id": 1 + CLASSES.index(c), "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0}
        for i, (_, _, _, boxes) in enumerate(CONTENT, 1)
        for j, (c, x, y, w, h) in enumerate(boxes)
    ]
    return {
        "images": [{"id": i, "file_name": f, "width": w, "height": h} for i, (f, w, h, _) in enumerate(CONTENT, 1)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES, 1)],
        "annotations": annotations,
    }


def write(out):
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    versions = {
        "fiftyone (on mongomock)": write_fiftyone(out),
        "datumaro": write_datumaro(out),
        "label-studio-sdk": write_label_studio(out),
    }
    # The tests know the sizes; only YOLO readers look at the pictures themselves.
    for picture in out.rglob("*.png"):
        if "yolo" not in str(picture):
            picture.unlink()
    # Where the files were made says nothing.
    for file in out.rglob("*"):
        if file.suffix in {".yaml", ".xml", ".json", ".txt"}:
            file.write_text(file.read_text().replace(str(out.absolute()), "/export"))
    lines = [f"- {name} {version}" for name, version in versions.items()]
    text = "Written by `conformance/formats_reference.py write`, from content made up there, with:\n\n" + "\n".join(lines)
    (out / "SOURCE.md").write_text("# Files by the tools themselves\n\n" + text + "\n")


# ---------------------------------------------------------------- our files, read by the tools


def wanted():
    return {Path(f).stem: sorted((c, x, y, w, h) for c, x, y, w, h in boxes) for f, _, _, boxes in CONTENT}


def close(found, slack=0.02, empty_may_be_missing=False):
    expected = wanted()
    if empty_may_be_missing:
        expected = {k: v for k, v in expected.items() if v or k in found}
    assert set(found) == set(expected), (sorted(found), sorted(expected))
    for name, boxes in expected.items():
        mine = sorted(found[name])
        assert len(mine) == len(boxes), (name, mine, boxes)
        for a, b in zip(mine, boxes):
            assert a[0] == b[0] and all(abs(p - q) <= slack for p, q in zip(a[1:], b[1:])), (name, a, b)


def by_datumaro(folder, name):
    import datumaro as dm

    dataset = dm.Dataset.import_from(str(folder), name)
    labels = dataset.categories()[dm.AnnotationType.label]
    found = {}
    for item in dataset:
        boxes = [a for a in item.annotations if isinstance(a, dm.Bbox)]
        found[Path(item.id).name] = [(labels[a.label].name, a.x, a.y, a.w, a.h) for a in boxes]
    return found


def by_fiftyone(fo, kind, **kwargs):
    dataset = fo.Dataset.from_dir(dataset_type=kind, **kwargs)
    found = {}
    for sample in dataset:
        size = next((w, h) for f, w, h, _ in CONTENT if f == Path(sample.filepath).name)
        field = next((f for f in ("ground_truth", "detections") if sample.has_field(f)), None)
        detections = sample[field].detections if field and sample[field] else []
        found[Path(sample.filepath).stem] = [
            (d.label, d.bounding_box[0] * size[0], d.bounding_box[1] * size[1], d.bounding_box[2] * size[0], d.bounding_box[3] * size[1])
            for d in detections
        ]
    return found


def by_pycocotools(path):
    from pycocotools.coco import COCO

    data = COCO(str(path))
    names = {c["id"]: c["name"] for c in data.loadCats(data.getCatIds())}
    found = {}
    for image in data.loadImgs(data.getImgIds()):
        annotations = data.loadAnns(data.getAnnIds(imgIds=[image["id"]]))
        found[Path(image["file_name"]).stem] = [(names[a["category_id"]], *a["bbox"]) for a in annotations]
    return found


def check(convert):
    work = Path(tempfile.mkdtemp())
    (work / "instances.json").write_text(json.dumps(coco()))
    media = pictures(work / "media")

    def ours(to, name):
        out = work / name
        subprocess.run([convert, "coco", str(work / "instances.json"), to, str(out)], check=True, stderr=subprocess.DEVNULL)
        return out

    results = []

    def case(name, found, **kwargs):
        try:
            close(found(), **kwargs)
            results.append((name, "equal"))
        except Exception as error:  # every case is reported
            results.append((name, f"DIFFERS: {type(error).__name__}: {str(error)[:300]} {str(error.__cause__)[:300]}"))

    ours_coco = ours("coco", "ours.json")
    case("coco, pycocotools", lambda: by_pycocotools(ours_coco))
    fo = fiftyone()
    case("coco, fiftyone", lambda: by_fiftyone(fo, fo.types.COCODetectionDataset, data_path=str(media), labels_path=str(ours_coco), include_id=True))
    folder = work / "dm_coco"
    (folder / "annotations").mkdir(parents=True)
    shutil.copy(ours_coco, folder / "annotations/instances_train.json")
    pictures(folder / "images/train")
    case("coco, datumaro", lambda: by_datumaro(folder, "coco_instances"))

    yolo = ours("yolo", "yolo")
    pictures(yolo / "train/images")
    case("yolo, fiftyone", lambda: by_fiftyone(fo, fo.types.YOLOv5Dataset, dataset_dir=str(yolo), yaml_path="dataset.yaml", split="train"))
    ultra = work / "ultra"
    (ultra / "labels").mkdir(parents=True)
    shutil.copytree(yolo / "train/labels", ultra / "labels/train")
    pictures(ultra / "images/train")
    for part in ["images/val", "labels/val"]:
        (ultra / part).mkdir(parents=True)
    os.rename(ultra / "images/train/c.png", ultra / "images/val/c.png")
    os.rename(ultra / "labels/train/c.txt", ultra / "labels/val/c.txt")
    names = (yolo / "dataset.yaml").read_text().split("names:")[1]
    (ultra / "train.txt").write_text("./images/train/a.png\n./images/train/b.png\n")
    (ultra / "val.txt").write_text("./images/val/c.png\n")
    (ultra / "data.yaml").write_text(f"train: train.txt\nval: val.txt\nnames:{names}")
    case("yolo, datumaro (yolo_ultralytics)", lambda: by_datumaro(ultra, "yolo"))

    voc = ours("voc", "voc")
    pictures(voc / "JPEGImages")
    (voc / "ImageSets/Main").mkdir(parents=True)
    (voc / "ImageSets/Main/train.txt").write_text("a\nb\nc\n")
    case("voc, datumaro", lambda: by_datumaro(voc, "voc_detection"))
    case("voc, fiftyone", lambda: by_fiftyone(fo, fo.types.VOCDetectionDataset, data_path=str(media), labels_path=str(voc / "Annotations")))

    kitti = ours("kitti", "kitti")
    pictures(kitti / "image_2")
    case("kitti, fiftyone", lambda: by_fiftyone(fo, fo.types.KITTIDetectionDataset, data_path=str(media), labels_path=str(kitti / "label_2")))
    dm_kitti = work / "dm_kitti/training"
    dm_kitti.mkdir(parents=True)
    shutil.copytree(kitti / "label_2", dm_kitti / "label_2")
    pictures(dm_kitti / "image_2")
    case("kitti, datumaro", lambda: by_datumaro(work / "dm_kitti", "kitti_detection"))

    cvat = ours("cvat", "cvat.xml")
    case("cvat, fiftyone", lambda: by_fiftyone(fo, fo.types.CVATImageDataset, data_path=str(media), labels_path=str(cvat)))
    (work / "dm_cvat").mkdir()
    shutil.copy(cvat, work / "dm_cvat/default.xml")
    pictures(work / "dm_cvat/images")
    case("cvat, datumaro", lambda: by_datumaro(work / "dm_cvat", "cvat"))

    export = ours("fiftyone", "fiftyone")
    pictures(export)
    case("fiftyone, fiftyone", lambda: by_fiftyone(fo, fo.types.FiftyOneDataset, dataset_dir=str(export)))

    tasks = ours("label-studio", "tasks.json")
    case("label-studio, label-studio-sdk (to coco)", lambda: by_converter(tasks, work / "ls"))
    for name, result in results:
        print(f"{name:45} {result}")
    if any(result != "equal" for _, result in results):
        sys.exit(1)


def by_converter(tasks, out):
    from label_studio_sdk.converter import Converter

    config = tasks.with_suffix(".config.xml").read_text()
    converter = Converter(config, project_dir=None, download_resources=False)
    converter.convert_to_coco(str(tasks), str(out), is_dir=False, output_image_dir=str(out / "images"))
    # The converter puts a digest before the names of files.
    return {name.split("__")[-1]: boxes for name, boxes in by_pycocotools(out / "result.json").items()}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", folder]:
            write(Path(folder))
        case ["check", program]:
            check(program)
        case _:
            sys.exit(__doc__)
