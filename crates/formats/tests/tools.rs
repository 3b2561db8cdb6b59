//! Files by the tools themselves (`golden/tools`, see `SOURCE.md` there) are read as what they were made of.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use labelloop_core::AnnotationSet;
use labelloop_formats::{
    Imported, ReadOptions, Result, Warning, WarningKind, coco, cvat, fiftyone, kitti, label_studio, voc, yolo,
};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tools").join(name)
}

fn options() -> ReadOptions {
    ReadOptions::default()
}

type Boxes = BTreeMap<String, Option<Vec<(String, [f64; 4])>>>;

/// By the picture's own name; boxes by class in the order of their left edges.
fn boxes(set: &AnnotationSet) -> Boxes {
    let of = |s: &labelloop_core::SampleRecord| {
        let name = s.file_name.rsplit('/').next().unwrap().split('.').next().unwrap().to_owned();
        let named = |l: &labelloop_core::LabelledBox| {
            (set.schema.name(l.class).unwrap().to_owned(), l.bbox.to_xywh())
        };
        let labels = s.boxes.as_ref().map(|labels| {
            let mut labels: Vec<_> = labels.iter().map(named).collect();
            labels.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap());
            labels
        });
        (name, labels)
    };
    set.samples.iter().map(of).collect()
}

fn assert_content(imported: &Imported, empty: bool, slack: f64) {
    let van = ("van", [8.0, 6.0, 20.0, 30.0]);
    let cars = [("car", [30.0, 10.0, 32.0, 16.0]), ("car", [16.0, 20.0, 40.0, 50.0])];
    let mut expected = BTreeMap::from([("a", vec![van, cars[0]]), ("c", vec![cars[1]])]);
    if empty {
        expected.insert("b", Vec::new());
    }
    let found = boxes(&imported.set);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, labels) in expected {
        let theirs = found[name].as_ref().unwrap_or_else(|| panic!("{name} is unlabelled"));
        assert_eq!(theirs.len(), labels.len(), "{name}");
        for ((class, bbox), (expected_class, expected_box)) in theirs.iter().zip(labels) {
            assert_eq!(class, expected_class);
            assert!(bbox.iter().zip(expected_box).all(|(a, b)| (a - b).abs() <= slack), "{name}: {bbox:?}");
        }
    }
}

/// Nothing of weight may be said of a file that a tool made.
fn only(warnings: &[Warning], expected: &[&str]) {
    let said: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let fine = said.len() == expected.len() && said.iter().zip(expected).all(|(s, e)| s.contains(e));
    assert!(fine, "{said:?}");
}

fn coco_file(path: &str) -> Imported {
    let read = coco::read(&golden(path), &coco::ReadOptions::default()).unwrap();
    Imported { set: read.set, warnings: read.warnings }
}

#[test]
fn coco_of_fiftyone_and_datumaro() {
    for path in ["fiftyone_coco/labels.json", "datumaro_coco_instances/annotations/instances_train.json"] {
        let read = coco_file(path);
        only(&read.warnings, &[]);
        assert_content(&read, true, 1e-9);
    }
    // Classes that no label has are classes all the same.
    let read = coco_file("datumaro_coco_instances/annotations/instances_train.json");
    assert_eq!(read.set.schema.names(), ["car", "van", "person"]);
}

#[test]
fn yolo_of_fiftyone_and_datumaro() {
    for path in ["fiftyone_yolov5/dataset.yaml", "datumaro_yolo_ultralytics/data.yaml"] {
        let read = yolo::read(&golden(path), &options()).unwrap();
        only(&read.warnings, &[]);
        assert_eq!(read.set.schema.names(), ["car", "van", "person"]);
        assert_content(&read, true, 1e-3);
        assert_eq!(
            read.set.samples.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(),
            ["a", "b", "c"],
            "{path}"
        );
    }
}

#[test]
fn voc_of_fiftyone_and_datumaro() {
    let read = voc::read(&golden("fiftyone_voc/labels"), &options()).unwrap();
    only(&read.warnings, &["took the 2 that occur", "3 of annotation/source not read"]);
    assert_content(&read, true, 0.0);
    // Datumaro writes no file for a picture without objects.
    let read = voc::read(&golden("datumaro_voc_detection"), &options()).unwrap();
    assert_content(&read, false, 0.0);
}

#[test]
fn kitti_of_fiftyone_and_datumaro() {
    let read = kitti::read(&golden("fiftyone_kitti/labels"), &options()).unwrap();
    only(&read.warnings, &["took the 2 that occur"]);
    assert_content(&read, true, 0.01);
    let read = kitti::read(&golden("datumaro_kitti_detection/train"), &options()).unwrap();
    assert_content(&read, false, 0.01);
}

#[test]
fn cvat_of_fiftyone_and_datumaro() {
    for path in ["fiftyone_cvat/labels.xml", "datumaro_cvat/train.xml"] {
        let read = cvat::read(&golden(path), &options()).unwrap();
        only(&read.warnings, &[]);
        assert_content(&read, true, 0.01);
    }
}

#[test]
fn tasks_and_proposals_of_label_studios_converter() {
    let read = label_studio::read(&golden("label_studio_from_coco/tasks.json"), &options()).unwrap();
    only(&read.warnings, &[]);
    assert_eq!(read.set.schema.names(), ["car", "van", "person"]);
    assert_content(&read, true, 1e-9);
    let path = golden("label_studio_from_yolo/tasks.json");
    let tasks = label_studio::read(&path, &options()).unwrap();
    assert!(tasks.set.samples.iter().all(|s| s.boxes.is_none()), "proposals are no labels");
    // The converter gives its proposals no score, so none is one of ours; that is told.
    let (found, warnings) = label_studio::read_predictions(&path, &options()).unwrap();
    assert_eq!((found.len(), warnings.len()), (0, 3));
}

#[test]
fn fiftyones_own_export_with_tags() {
    let read = fiftyone::read(&golden("fiftyone"), &options()).unwrap();
    only(&read.warnings, &[]);
    assert_eq!(read.set.schema.names(), ["car", "van", "person"]);
    let by_name: BTreeMap<_, _> = read.set.samples.iter().map(|s| (s.id.as_str(), s)).collect();
    assert_eq!(by_name["data/d"].boxes, None, "nobody looked at it");
    assert_eq!(by_name["data/b"].boxes.as_deref(), Some(&[][..]));
    assert_eq!(by_name["data/a"].extra["tags"], "[\"night\"]");
    let van =
        by_name["data/a"].boxes.as_ref().unwrap().iter().find(|l| l.extra.contains_key("tags")).unwrap();
    assert_eq!(van.extra["tags"], "[\"hard\"]");
    assert!(van.extra["_id"].contains("$oid"));
    let labelled = read.set.samples.iter().filter(|s| s.boxes.is_some()).cloned().collect();
    let set = AnnotationSet { samples: labelled, ..read.set };
    assert_content(&Imported { set, warnings: Vec::new() }, true, 1e-9);
}

#[test]
fn fiftyones_groups_are_captures_with_slices() {
    let read = fiftyone::read(&golden("fiftyone_groups"), &options()).unwrap();
    only(&read.warnings, &[]);
    let [left, right] = &read.set.samples[..] else { panic!("{:?}", read.set.samples) };
    assert_eq!(left.capture, right.capture);
    assert_eq!([left.slice.as_str(), right.slice.as_str()], ["left", "right"]);
}

#[test]
fn what_tools_wrote_is_written_again_without_loss() {
    let folder = tempfile::tempdir().unwrap();
    let same = |first: &AnnotationSet, back: Result<Imported>| {
        let back = back.unwrap();
        assert!(back.warnings.is_empty(), "{:?}", back.warnings);
        let sorted = |set: &AnnotationSet| {
            let mut samples = set.samples.clone();
            samples.sort_by(|a, b| a.id.cmp(&b.id));
            samples
        };
        let (a, b) = (sorted(first), sorted(&back.set));
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(&b) {
            assert_eq!((&a.id, &a.extra, &a.capture, &a.slice), (&b.id, &b.extra, &b.capture, &b.slice));
            let extras = |s: &labelloop_core::SampleRecord| -> Vec<_> {
                s.boxes.iter().flatten().map(|l| (l.class, l.extra.clone())).collect()
            };
            assert_eq!(extras(a), extras(b));
        }
    };
    for name in ["fiftyone", "fiftyone_groups"] {
        let first = fiftyone::read(&golden(name), &options()).unwrap().set;
        let out = folder.path().join(name);
        assert_eq!(fiftyone::write(&out, &first).unwrap(), []);
        same(&first, fiftyone::read(&out, &options()));
    }
    let first = label_studio::read(&golden("label_studio_from_coco/tasks.json"), &options()).unwrap().set;
    let out = folder.path().join("tasks.json");
    assert_eq!(label_studio::write(&out, &first, &Default::default()).unwrap(), []);
    same(&first, label_studio::read(&out, &options()));
    let first = cvat::read(&golden("datumaro_cvat/train.xml"), &options()).unwrap().set;
    let out = folder.path().join("cvat.xml");
    let lost = cvat::write(&out, &first).unwrap();
    assert!(lost.iter().all(|w| matches!(w.kind, WarningKind::NotCarried { .. })) && lost.is_empty());
    same(&first, cvat::read(&out, &options()));
}
