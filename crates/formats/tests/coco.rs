//! COCO: exact round trips, and what bad files are answered with.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};

use common::{enriched, plain_label, rich_label, set, settled};
use labelloop_formats::coco::{self, CocoId, ReadOptions, WriteOptions};
use labelloop_formats::{FormatError, Result, Strictness, WarningKind, WithoutAnnotations};
use proptest::prelude::*;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instances.json");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn read(text: &str) -> Result<coco::CocoDataset> {
    coco::read(&file(text).1, &ReadOptions::default())
}

fn strict() -> ReadOptions {
    ReadOptions { strictness: Strictness::Strict, ..ReadOptions::default() }
}

/// One image, one class and these annotations, one on each line from line 4.
fn with_annotations(annotations: &[&str]) -> String {
    format!(
        "{{\"images\": [{{\"id\": 1, \"file_name\": \"a.jpg\", \"width\": 64, \"height\": 48}}],\n\
         \"categories\": [{{\"id\": 5, \"name\": \"car\"}}],\n\"annotations\": [\n{}]}}",
        annotations.join(",\n")
    )
}

fn only_warning(text: &str) -> WarningKind {
    let (_keep, path) = file(text);
    let error = coco::read(&path, &strict()).unwrap_err();
    let FormatError::Refused(refused) = error else { panic!("{error}") };
    let dataset = coco::read(&path, &ReadOptions::default()).unwrap();
    assert_eq!(dataset.warnings[0], *refused, "strict and lenient reading agree on the first");
    assert_eq!(dataset.warnings.len(), 1, "{:?}", dataset.warnings);
    dataset.warnings[0].kind.clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_goes_out_comes_back_equal(set in set(rich_label, true).prop_map(enriched)) {
        let (_keep, path) = file("");
        prop_assert_eq!(coco::write(&path, &set, &WriteOptions::default()).unwrap(), vec![]);
        let back = coco::read(&path, &strict()).unwrap();
        prop_assert_eq!(settled(back.set), settled(set));
    }

    #[test]
    fn a_second_trip_gives_the_same_bytes_in_any_order(set in set(plain_label, true), turn in 0..6usize) {
        let (_keep, path) = file("");
        coco::write(&path, &set, &WriteOptions::default()).unwrap();
        let first = std::fs::read(&path).unwrap();
        let mut turned = coco::read(&path, &strict()).unwrap().set;
        let n = turned.samples.len();
        turned.samples.rotate_left(turn % n);
        coco::write(&path, &turned, &WriteOptions::default()).unwrap();
        prop_assert_eq!(std::fs::read(&path).unwrap(), first);
    }

    #[test]
    fn no_text_panics(text in "[\\[\\]{}\":,0-9a-z \\n-]{0,60}") {
        let _ = read(&text);
        let _ = read(&with_annotations(&[&text]));
        let _ = read(&with_annotations(&[&format!("{{\"id\": 1, \"image_id\": 1, \"bbox\": {text}}}")]));
    }
}

#[test]
fn ids_categories_and_unknown_fields_are_written_back() {
    let text = r#"{"info": {"n": 1.0e2},
"images": [{"id": 9, "file_name": "b.jpg", "width": 4, "height": 4, "group": 17, "license": 3},
 {"id": "x", "file_name": "a.jpg", "width": 4, "height": 4, "coco_url": null}],
"categories": [{"id": 90, "name": "van", "supercategory": "vehicle"}, {"id": 3, "name": "car", "color": [1, 2]}],
"annotations": [{"id": 70, "image_id": "x", "category_id": 90, "bbox": [0, 1, 2, 3], "segmentation": [[0.50, 1]], "iscrowd": 1, "area": 5.5}]}"#;
    let (_keep, path) = file(text);
    let first = coco::read(&path, &strict()).unwrap();
    assert_eq!(first.set.schema.names(), ["car", "van"]);
    assert_eq!(first.category_ids, [3, 90]);
    assert_eq!(first.image_ids["a"], CocoId::Text("x".to_owned()));
    assert_eq!(first.set.samples[0].group.as_str(), "17");
    assert_eq!(first.set.samples[0].boxes, Some(vec![]));
    let label = &first.set.samples[1].boxes.as_ref().unwrap()[0];
    assert_eq!(
        (label.area, label.is_crowd, label.extra["segmentation"].as_str()),
        (Some(5.5), true, "[[0.50, 1]]")
    );

    coco::write(&path, &first.set, &WriteOptions::default()).unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    for kept in
        ["1.0e2", "\"group\": 17", "\"coco_url\": null", "[[0.50, 1]]", "\"id\": 70", "\"color\": [1, 2]"]
    {
        assert!(written.contains(kept), "{kept} in {written}");
    }
    assert_eq!(coco::read(&path, &strict()).unwrap().image_ids, first.image_ids);
}

#[test]
fn any_field_can_name_the_group() {
    let text = r#"{"images": [{"id": 1, "file_name": "a.jpg", "width": 4, "height": 4, "board": "b7", "group": "g"}],
        "categories": [{"id": 1, "name": "car"}], "annotations": []}"#;
    let (_keep, path) = file(text);
    let by = |key: Option<&str>| {
        let options = ReadOptions { group_key: key.map(str::to_owned), ..ReadOptions::default() };
        coco::read(&path, &options).unwrap().set.samples[0].group.to_string()
    };
    assert_eq!([by(Some("board")), by(Some("group")), by(Some("none")), by(None)], ["b7", "g", "a", "a"]);
}

#[test]
fn images_without_annotations_mean_what_the_caller_says() {
    let (_keep, path) = file(&with_annotations(&[]));
    let options =
        ReadOptions { images_without_annotations: WithoutAnnotations::Unlabelled, ..ReadOptions::default() };
    assert_eq!(coco::read(&path, &options).unwrap().set.samples[0].boxes, None);
    assert_eq!(coco::read(&path, &ReadOptions::default()).unwrap().set.samples[0].boxes, Some(vec![]));
}

#[test]
fn bad_annotations_are_named_and_left_out() {
    let good = r#"{"id": 1, "image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4]}"#;
    let bad = [
        (r#"{"id": 2, "image_id": 1, "category_id": 5}"#, "annotations[1]: field \"bbox\" is missing"),
        (
            r#"{"id": 2, "image_id": 1, "category_id": 5, "bbox": [1, 2, -3, 4]}"#,
            "annotations[1].bbox: box x 1",
        ),
        (
            r#"{"id": 2, "image_id": 1, "category_id": 5, "bbox": [1, 2, 3]}"#,
            "annotations[1].bbox is [1, 2, 3]",
        ),
        (r#"{"id": 2, "image_id": 1, "category_id": 5, "bbox": [1e999, 2, 3, 4]}"#, "annotations[1].bbox is"),
        (
            r#"{"id": 2, "image_id": 1, "category_id": 6, "bbox": [1, 2, 3, 4]}"#,
            "class 6 is not in the schema",
        ),
        (r#"{"id": 2, "image_id": 8, "category_id": 5, "bbox": [1, 2, 3, 4]}"#, "there is no image 8"),
        (
            r#"{"id": 2, "image_id": [], "category_id": 5, "bbox": [1, 2, 3, 4]}"#,
            "annotations[1].image_id is []",
        ),
        (r#"{"id": 2, "image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4], "iscrowd": 2}"#, "iscrowd is 2"),
        (r#"{"id": 2, "image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4], "area": -1}"#, "area is -1"),
        ("[]", "annotations[1] is []: expected an object"),
    ];
    for (annotation, expected) in bad {
        let (_keep, path) = file(&with_annotations(&[good, annotation]));
        let FormatError::Refused(warning) = coco::read(&path, &strict()).unwrap_err() else { panic!() };
        assert_eq!(warning.line, Some(5), "{warning}");
        assert!(warning.to_string().contains(expected), "{warning}");
        let lenient = coco::read(&path, &ReadOptions::default()).unwrap();
        assert_eq!((lenient.set.n_boxes(), lenient.warnings), (1, vec![*warning]));
    }
}

#[test]
fn labels_that_share_an_id_are_kept_and_told() {
    let label = r#"{"id": 1, "image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4]}"#;
    let (_keep, path) = file(&with_annotations(&[label, label]));
    let lenient = coco::read(&path, &ReadOptions::default()).unwrap();
    assert_eq!(lenient.set.n_boxes(), 2);
    assert!(lenient.warnings[0].to_string().ends_with("annotations[1]: id 1 is taken; kept all the same"));
    assert!(matches!(coco::read(&path, &strict()), Err(FormatError::Refused(_))));
    // What is written has ids of its own again.
    coco::write(&path, &lenient.set, &coco::WriteOptions::default()).unwrap();
    assert_eq!(coco::read(&path, &strict()).unwrap().set.n_boxes(), 2);
}

#[test]
fn not_a_number_costs_one_box_and_not_the_file() {
    let nan = r#"{"id": 2, "image_id": 1, "category_id": 5, "bbox": [NaN, 2, 3, 4]}"#;
    let dataset = read(&with_annotations(&[nan])).unwrap();
    assert_eq!(dataset.set.n_boxes(), 0);
    assert!(matches!(dataset.warnings[0].kind, WarningKind::NotFinite { count: 1 }));
    assert_eq!(dataset.warnings[0].line, Some(4));
    assert!(matches!(dataset.warnings[1].kind, WarningKind::InvalidValue { .. }));
}

#[test]
fn a_box_beyond_its_picture_is_kept() {
    let text = with_annotations(&[r#"{"id": 1, "image_id": 1, "category_id": 5, "bbox": [60, 2, 30, 4]}"#]);
    assert_eq!(only_warning(&text), WarningKind::OutsideImage { place: "annotations[0].bbox".to_owned() });
    assert_eq!(read(&text).unwrap().set.n_boxes(), 1);
}

#[test]
fn bad_images_are_named_and_left_out_with_their_labels() {
    let second = [
        (r#"{"id": 2, "file_name": "../a.jpg"}"#, "leads out of its folder"),
        (r#"{"id": 2, "file_name": "/etc/a.jpg"}"#, "leads out of its folder"),
        (r#"{"id": 2, "file_name": "C:\\a.jpg"}"#, "leads out of its folder"),
        (r#"{"id": 2, "file_name": "a\u0000.jpg"}"#, "leads out of its folder"),
        (r#"{"id": 2, "file_name": "a.jpg"}"#, "file \"a.jpg\" is taken"),
        (r#"{"id": 2}"#, "field \"file_name\" is missing"),
        (r#"{"id": 1, "file_name": "b.jpg"}"#, "id 1 is taken"),
        (r#"{"file_name": "b.jpg"}"#, "field \"id\" is missing"),
        (r#"{"id": 2.5, "file_name": "b.jpg"}"#, "images[1].id is 2.5"),
        (r#"{"id": 99999999999999999999, "file_name": "b.jpg"}"#, "images[1].id is 9999"),
    ];
    for (image, expected) in second {
        let text = format!(
            r#"{{"images": [{{"id": 1, "file_name": "a.jpg", "width": 4, "height": 4}}, {image}],
            "categories": [{{"id": 1, "name": "car"}}], "annotations": []}}"#
        );
        let dataset = read(&text).unwrap();
        assert_eq!((dataset.set.samples.len(), dataset.warnings.len()), (1, 1), "{image}");
        assert!(dataset.warnings[0].to_string().contains(expected), "{}", dataset.warnings[0]);
        only_warning(&text);
    }
    let text = r#"{"images": [{"id": 1, "file_name": "../a.jpg"}], "categories": [{"id": 1, "name": "car"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}]}"#;
    assert_eq!(read(text).unwrap().warnings[1].kind, WarningKind::DroppedWithImage { n_boxes: 1 });
}

#[test]
fn an_image_without_a_size_is_kept() {
    let text = r#"{"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "c"}], "annotations": []}"#;
    assert!(matches!(only_warning(text), WarningKind::MissingField { field: "width", .. }));
    assert_eq!(read(text).unwrap().set.samples[0].size, None);
    let text = text.replace("\"a.jpg\"", "\"a.jpg\", \"width\": 0, \"height\": 3");
    assert!(matches!(only_warning(&text), WarningKind::Refused { .. }));
}

#[test]
fn files_that_are_not_coco_are_errors() {
    assert!(matches!(read("[]"), Err(FormatError::Syntax { line: 1, .. })));
    assert!(matches!(read("{\"images\": [],\n \"images\": []}"), Err(FormatError::Syntax { line: 2, .. })));
    assert!(matches!(read("{\"images\": 1, \"categories\": []}"), Err(FormatError::Schema { .. })));
    assert!(matches!(read("{}"), Err(FormatError::Structure { .. })));
    let twins = r#"{"images": [], "categories": [{"id": 1, "name": "Car"}, {"id": 2, "name": "car"}]}"#;
    assert!(matches!(read(twins), Err(FormatError::Schema { .. })));
    let missing = coco::read(Path::new("no such file"), &ReadOptions::default());
    assert!(matches!(missing, Err(FormatError::Io { .. })));
}

#[test]
fn deep_nesting_is_kept_or_refused_but_never_fatal() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let text = with_annotations(&[]).replacen('{', &format!("{{\"deep\": {deep}, "), 1);
    let _ = read(&text);
    assert!(read(&"[".repeat(1_000_000)).is_err());
    assert!(read(&"{\"images\":".repeat(100_000)).is_err());
}

#[test]
fn marks_carriage_returns_and_bad_bytes() {
    let text = with_annotations(&[]).replace('\n', "\r\n");
    assert_eq!(read(&format!("\u{feff}{text}")).unwrap().warnings, []);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    std::fs::write(&path, b"{\n\"a\": \"\xff\"}").unwrap();
    let error = coco::read(&path, &ReadOptions::default()).unwrap_err();
    assert!(matches!(error, FormatError::NotUtf8 { line: 2, .. }), "{error}");
}

#[test]
fn detections_that_do_not_belong_are_named() {
    let dataset = read(&with_annotations(&[])).unwrap();
    let text = r#"[{"image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4], "score": 0.5},
{"image_id": 2, "category_id": 5, "bbox": [1, 2, 3, 4], "score": 0.5},
{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
{"image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4], "score": 1.5},
{"image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4]}]"#;
    let (_keep, path) = file(text);
    let (found, warnings) = coco::read_detections(&path, &dataset).unwrap();
    assert_eq!(found["a"].len(), 1);
    assert_eq!(warnings.iter().map(|w| w.line.unwrap()).collect::<Vec<_>>(), [2, 3, 4, 5]);
    let refused = coco::read_detections_with(&path, &dataset, Strictness::Strict);
    assert!(matches!(refused, Err(FormatError::Refused(_))));
}

#[test]
fn a_set_that_contradicts_itself_is_not_written() {
    let (_keep, path) = file("old");
    let mut set = read(&with_annotations(&[])).unwrap().set;
    set.samples[0].extra.insert("k".to_owned(), "{".to_owned());
    let write = |set: &labelloop_core::AnnotationSet| coco::write(&path, set, &WriteOptions::default());
    assert!(matches!(write(&set), Err(FormatError::InvalidExtra { .. })));
    set.samples[0].extra.clear();
    set.samples.push(set.samples[0].clone());
    assert!(matches!(write(&set), Err(FormatError::DuplicateSample { .. })));
    set.samples.pop();
    let bbox = labelloop_core::BBox::new(0.0, 0.0, 1.0, 1.0).unwrap();
    set.samples[0].boxes = Some(vec![labelloop_core::LabelledBox::new(labelloop_core::ClassIdx(1), bbox)]);
    assert!(matches!(write(&set), Err(FormatError::ClassOutOfRange { class: 1, .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
}
