//! YOLO folders: round trips within 1e-9 pixels, and what bad folders are answered with.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;

use common::{assert_same_boxes, enriched, lost, plain_label, rich_label, set, settled};
use labelloop_core::{AnnotationSet, ClassSchema, SampleId};
use labelloop_formats::yolo::{self, Part};
use labelloop_formats::{FormatError, Imported, Lost, MediaMode, ReadOptions, Strictness, WarningKind};
use proptest::prelude::*;

fn strict() -> ReadOptions {
    ReadOptions { strictness: Strictness::Strict, ..ReadOptions::default() }
}

fn part(id: &SampleId) -> Option<Part> {
    Some(if id.as_str().len().is_multiple_of(2) { Part::Val } else { Part::Train })
}

fn write(dir: &Path, set: &AnnotationSet) -> labelloop_formats::Result<Vec<labelloop_formats::Warning>> {
    yolo::write(dir, set, &part, Path::new("."), MediaMode::None)
}

/// A folder with one 64 x 48 image, this label and this list of names.
fn folder(names: &str, label: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("train/labels")).unwrap();
    fs::write(root.join("image_sizes.tsv"), "train/images/a.jpg\t64\t48\n").unwrap();
    fs::write(root.join("train/labels/a.txt"), label).unwrap();
    fs::write(root.join("dataset.yaml"), format!("train: ../train/images\nnc: 2\nnames: {names}\n")).unwrap();
    folder
}

fn read(folder: &tempfile::TempDir) -> labelloop_formats::Result<Imported> {
    yolo::read(&folder.path().join("dataset.yaml"), &ReadOptions::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn boxes_come_back_within_a_billionth_of_a_pixel(set in set(plain_label, false)) {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("out");
        prop_assert_eq!(write(&dir, &set).unwrap(), vec![]);
        let back = yolo::read(&dir.join("dataset.yaml"), &strict()).unwrap();
        assert_same_boxes(&settled(set), &settled(back.set), 1e-9);
    }

    #[test]
    fn no_label_file_panics(text in "[0-9a-z. \\n-]{0,80}") {
        let _ = read(&folder("[a, b]", &text));
        let _ = read(&folder(&text, ""));
    }
}

#[test]
fn everything_lost_is_counted() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let tree = set(rich_label, false).prop_map(enriched).new_tree(&mut runner).unwrap();
    let set = proptest::strategy::ValueTree::current(&tree);
    let labels = || set.samples.iter().flat_map(|s| s.boxes.iter().flatten());
    let folder = tempfile::tempdir().unwrap();
    let warnings = lost(&write(&folder.path().join("out"), &set).unwrap());
    let n = |what: Lost| warnings.iter().find(|(_, w, _)| *w == what).map_or(0, |(_, _, n)| *n);
    assert_eq!(n(Lost::Groups), set.samples.len());
    assert_eq!(n(Lost::Captures), set.samples.len());
    assert_eq!(n(Lost::SampleFields), set.samples.len());
    assert_eq!(n(Lost::FileFields), 1);
    assert_eq!(n(Lost::Areas), labels().filter(|l| l.area.is_some()).count());
    assert_eq!(n(Lost::CrowdMarks), labels().filter(|l| l.is_crowd).count());
    assert_eq!(n(Lost::Annotators), labels().filter(|l| l.annotator.is_some()).count());
    assert_eq!(n(Lost::LabelFields), labels().map(|l| l.extra.len()).sum::<usize>());
}

#[test]
fn unlabelled_is_left_out_and_empty_is_an_empty_file() {
    let folder = tempfile::tempdir().unwrap();
    let image = |id: &str| {
        let size = labelloop_core::ImageSize::new(4, 4).unwrap();
        labelloop_core::SampleRecord::image(id, format!("{id}.jpg"), size).unwrap()
    };
    let mut set = AnnotationSet {
        schema: ClassSchema::new(["a"]).unwrap(),
        samples: vec![image("one"), image("two")],
        extra: Default::default(),
    };
    let dir = folder.path().join("out");
    assert!(matches!(write(&dir, &set), Err(FormatError::NothingToWrite { n_samples: 2, .. })));
    assert!(!dir.exists());
    set.samples[0].boxes = Some(vec![]);
    let warnings = lost(&write(&dir, &set).unwrap());
    assert_eq!(warnings, [(labelloop_formats::Format::Yolo, Lost::UnlabelledSamples, 1)]);
    assert_eq!(fs::read_to_string(dir.join("train/labels/one.txt")).unwrap(), "");
    assert!(!dir.join("train/labels/two.txt").exists());
    assert!(matches!(write(&dir, &set), Err(FormatError::Occupied { .. })));
}

#[test]
fn media_are_copied_or_linked_and_their_headers_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend([0, 0, 0, 64, 0, 0, 0, 48]);
    fs::write(folder.path().join("a.png"), &png).unwrap();
    let size = labelloop_core::ImageSize::new(64, 48).unwrap();
    let mut sample = labelloop_core::SampleRecord::image("a", "a.png", size).unwrap();
    sample.boxes = Some(vec![]);
    let set = AnnotationSet {
        schema: ClassSchema::new(["a"]).unwrap(),
        samples: vec![sample],
        extra: Default::default(),
    };
    for (name, mode) in [("copy", MediaMode::Copy), ("link", MediaMode::Link)] {
        let dir = folder.path().join(name);
        yolo::write(&dir, &set, &|_| Some(Part::Train), folder.path(), mode).unwrap();
        assert_eq!(fs::read(dir.join("train/images/a.png")).unwrap(), png);
        fs::remove_file(dir.join("image_sizes.tsv")).unwrap();
        let back = yolo::read(&dir.join("dataset.yaml"), &strict()).unwrap();
        assert_eq!(back.set.samples[0].size, Some(size));
    }
    let gone = yolo::write(
        &folder.path().join("gone"),
        &set,
        &|_| Some(Part::Train),
        Path::new("nowhere"),
        MediaMode::Copy,
    );
    assert!(matches!(gone, Err(FormatError::Io { .. })));
    assert!(!folder.path().join("gone").exists());
}

#[test]
fn names_are_a_list_or_a_map_and_always_text() {
    for names in ["[no, '7']", "{0: no, 1: 7}", "\n  - no\n  - 7", "\n  1: 7\n  0: \"no\""] {
        let folder = folder(names, "1 0.5 0.5 0.5 0.5\r\n\r\n0 0.5 0.5 0.1 0.1 0.75");
        let back = read(&folder).unwrap();
        assert_eq!(back.warnings, []);
        assert_eq!(back.set.schema.names(), ["no", "7"]);
        let labels = back.set.samples[0].boxes.as_ref().unwrap();
        assert_eq!(labels[0].bbox.to_xywh(), [16.0, 12.0, 32.0, 24.0]);
        assert_eq!(labels[1].extra["score"], "0.75");
    }
    let gap = read(&folder("{0: a, 2: b}", ""));
    assert!(matches!(gap, Err(FormatError::Structure { .. })), "{gap:?}");
    assert!(matches!(read(&folder("5", "")), Err(FormatError::Syntax { line: 3, .. })));
    assert!(matches!(read(&folder("[a, A]", "")), Err(FormatError::Schema { .. })));
}

#[test]
fn a_class_number_without_a_name_is_never_made_up() {
    let folder = folder("[a, b]", "0 0.5 0.5 0.5 0.5\n2 0.5 0.5 0.5 0.5\n");
    let back = read(&folder).unwrap();
    assert_eq!((back.set.n_boxes(), back.set.schema.n_classes()), (1, 2));
    assert_eq!(back.warnings[0].line, Some(2));
    assert!(matches!(&back.warnings[0].kind, WarningKind::UnknownClass { found, .. } if found == "2"));
    let refused = yolo::read(&folder.path().join("dataset.yaml"), &strict());
    assert!(matches!(refused, Err(FormatError::Refused(_))));
}

#[test]
fn bad_lines_are_named_and_left_out() {
    for bad in [
        "0 0.5 0.5 0.5",
        "x 0 0 0 0",
        "-1 0 0 0 0",
        "0 a 0 0 0",
        "0 NaN 0 0 0",
        "0 0.5 0.5 -1 1",
        "0 1 2 3 4 5 6",
    ] {
        let back = read(&folder("[a, b]", &format!("0 0.5 0.5 0.1 0.1\n{bad}\n"))).unwrap();
        assert_eq!((back.set.n_boxes(), back.warnings.len()), (1, 1), "{bad}");
        assert_eq!(back.warnings[0].line, Some(2), "{bad}");
    }
    let outside = read(&folder("[a, b]", "0 1.5 0.5 0.1 0.1")).unwrap();
    assert_eq!(outside.set.n_boxes(), 1);
    assert!(matches!(outside.warnings[0].kind, WarningKind::OutsideImage { .. }));
}

#[test]
fn classes_are_matched_by_name_to_a_given_schema() {
    let folder = folder("[b, bird]", "0 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.5 0.5\n");
    let options =
        ReadOptions { schema: Some(ClassSchema::new(["a", "b"]).unwrap()), ..ReadOptions::default() };
    let back = yolo::read(&folder.path().join("dataset.yaml"), &options).unwrap();
    assert_eq!(back.set.samples[0].boxes.as_ref().unwrap()[0].class.0, 1);
    assert!(back.warnings[0].to_string().contains("class bird is not in the schema"));
}

#[test]
fn folders_outside_and_missing_are_named() {
    let folder = folder("[a, b]", "");
    let yaml = folder.path().join("dataset.yaml");
    for (train, expected) in [("/etc", "leads out"), ("../../etc", "leads out"), ("gone", "is missing")] {
        fs::write(&yaml, format!("train: {train}\nnames: [a]\n")).unwrap();
        let back = yolo::read(&yaml, &ReadOptions::default()).unwrap();
        assert!(back.warnings[0].to_string().contains(expected), "{}", back.warnings[0]);
    }
    fs::write(&yaml, "names: [a]\nnc: 3\n").unwrap();
    let back = yolo::read(&yaml, &ReadOptions::default()).unwrap();
    assert_eq!(back.warnings[0].kind, WarningKind::ClassCount { claimed: 3, listed: 1 });
    fs::write(folder.path().join("train/labels/b.txt"), "").unwrap();
    fs::write(&yaml, "train: train/images\nnames: [a]\n").unwrap();
    let back = yolo::read(&yaml, &ReadOptions::default()).unwrap();
    assert!(matches!(back.warnings[0].kind, WarningKind::NotRead { count: 1, .. }));
}

#[test]
fn hostile_yaml_is_an_error() {
    let folder = folder("[a, b]", "");
    let yaml = folder.path().join("dataset.yaml");
    let bomb =
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n";
    for text in
        ["[".repeat(100_000), format!("{bomb}names: [*c, *c]"), "names: {a: b}".to_owned(), String::new()]
    {
        fs::write(&yaml, text).unwrap();
        let error = yolo::read(&yaml, &ReadOptions::default()).unwrap_err();
        assert!(matches!(error, FormatError::Syntax { .. }), "{error}");
    }
}
