//! Rows of COCO files: what bad ones are answered with, and that files and bytes in memory come to the same.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use labelloop_core::ImageSize;
use labelloop_formats::coco::{self, CocoId, CocoRows, ReadOptions};
use labelloop_formats::{FormatError, Result, Strictness, Warning, WarningKind};

fn rows(text: &str) -> Result<CocoRows> {
    coco::rows_from_slice(Path::new("gt.json"), text.as_bytes(), Strictness::Lenient)
}

fn found(text: &str, of: &CocoRows) -> Result<(Vec<labelloop_core::DetectionRow>, Vec<Warning>)> {
    coco::detection_rows_from_slice(Path::new("dt.json"), text.as_bytes(), of, Strictness::Lenient)
}

const TRUTH: &str = r#"{"images": [{"id": "b"}, {"id": 20, "width": 64, "height": 48}, {"id": 3}],
"categories": [{"id": 9, "name": "van"}, {"id": 5, "name": "car"}],
"annotations": [
{"id": 1, "image_id": "b", "category_id": 9, "bbox": [1, 2, 3, 4]},
{"id": 2, "image_id": 20, "category_id": 5, "bbox": [500, 2, 3, 4], "area": 7.5, "iscrowd": 1}]}"#;

#[test]
fn pictures_are_in_the_order_of_ids_and_labels_in_that_of_the_file() {
    let rows = rows(TRUTH).unwrap();
    assert_eq!(rows.image_ids, [CocoId::Int(3), CocoId::Int(20), CocoId::Text("b".to_owned())]);
    assert_eq!(rows.sizes, [None, Some(ImageSize::new(64, 48).unwrap()), None]);
    assert_eq!(
        (rows.schema.names(), rows.category_ids.as_slice()),
        (&["car".to_owned(), "van".to_owned()][..], &[5, 9][..])
    );
    let seen: Vec<_> = rows.labels.iter().map(|l| (l.image, l.class.0, l.area(), l.is_crowd)).collect();
    assert_eq!(seen, [(2, 1, 12.0, false), (1, 0, 7.5, true)]);
    assert_eq!(rows.warnings, [], "a box beyond its picture and missing names are nothing to metrics");
}

#[test]
fn what_costs_a_label_has_its_line() {
    for (from, to, line, said) in [
        (
            "\"image_id\": 20",
            "\"image_id\": 21",
            5,
            "annotations[1].image_id: there is no image 21; left out",
        ),
        ("\"category_id\": 5", "\"category_id\": 6", 5, "class 6 is not in the schema"),
        ("[1, 2, 3, 4]", "[1, 2, 3]", 4, "annotations[0].bbox is [1, 2, 3]: expected four numbers"),
        (
            "[1, 2, 3, 4]",
            "[1, 2, -3, 4]",
            4,
            "annotations[0].bbox: box x 1, y 2, width -3, height 4: expected",
        ),
        (
            "\"area\": 7.5",
            "\"area\": -7.5",
            5,
            "annotations[1].area is -7.5: expected a number of at least 0",
        ),
        ("\"iscrowd\": 1", "\"iscrowd\": 2", 5, "annotations[1].iscrowd is 2: expected 0 or 1"),
    ] {
        let text = TRUTH.replacen(from, to, 1);
        let rows = rows(&text).unwrap();
        assert_eq!((rows.labels.len(), rows.warnings.len()), (1, 1), "{to}");
        assert_eq!(rows.warnings[0].line, Some(line));
        assert!(rows.warnings[0].to_string().contains(said), "{}", rows.warnings[0]);
        let strict = coco::rows_from_slice(Path::new("gt.json"), text.as_bytes(), Strictness::Strict);
        assert!(matches!(strict, Err(FormatError::Refused(first)) if *first == rows.warnings[0]));
    }
}

#[test]
fn labels_that_share_an_id_are_kept_and_told() {
    let rows = rows(&TRUTH.replacen("\"id\": 2,", "\"id\": 1,", 1)).unwrap();
    assert_eq!((rows.labels.len(), rows.warnings.len()), (2, 1));
    assert!(rows.warnings[0].to_string().ends_with("annotations[1]: id 1 is taken; kept all the same"));
}

#[test]
fn a_size_stated_wrongly_is_said_and_the_picture_kept() {
    let rows = rows(&TRUTH.replacen("\"width\": 64", "\"width\": 0", 1)).unwrap();
    assert_eq!((rows.image_ids.len(), rows.sizes[1], rows.warnings.len()), (3, None, 1));
    assert!(matches!(rows.warnings[0].kind, WarningKind::Refused { .. }));
}

#[test]
fn files_that_are_not_coco_are_errors() {
    assert!(matches!(rows("{"), Err(FormatError::Syntax { line: 1, .. })));
    assert!(matches!(rows("[]"), Err(FormatError::Syntax { .. })));
    assert!(matches!(rows("{}"), Err(FormatError::Structure { .. })));
    let nameless = TRUTH.replacen("\"van\"", "\"CAR\"", 1);
    assert!(matches!(rows(&nameless), Err(FormatError::Schema { .. })));
    let missing = Path::new("there is no such file.json");
    assert!(matches!(coco::read_rows(missing, Strictness::Lenient), Err(FormatError::Io { .. })));
    let of = rows(TRUTH).unwrap();
    assert!(matches!(found("{\"a\": 1}", &of), Err(FormatError::Structure { .. })));
    assert!(matches!(
        coco::read_detection_rows(missing, &of, Strictness::Lenient),
        Err(FormatError::Io { .. })
    ));
}

#[test]
fn scores_that_are_none_cost_their_detection() {
    let of = rows(TRUTH).unwrap();
    let text = r#"[{"image_id": 3, "category_id": 5, "bbox": [1, 2, 3, 4], "score": 1.5},
        {"image_id": 3, "category_id": 5, "bbox": [1, 2, 3, 4], "score": NaN},
        {"image_id": "b", "category_id": 9, "bbox": [1, 2, 3, 4], "score": 0.25}]"#;
    let (detections, warnings) = found(text, &of).unwrap();
    assert_eq!(detections.iter().map(labelloop_core::DetectionRow::score).collect::<Vec<_>>(), [1.5, 0.25]);
    assert_eq!((detections[1].image, detections[1].class.0), (2, 1));
    let said: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("line 2: 1 numbers are NaN or infinite"), "{}", said[0]);
    assert!(said[1].contains("line 2: top level[1].score is \"N\": expected a number"), "{}", said[1]);
}

#[test]
fn files_and_bytes_in_memory_come_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gt.json");
    for text in [TRUTH.to_owned(), TRUTH.replacen("\"image_id\": 20", "\"image_id\": 21", 1)] {
        std::fs::write(&path, &text).unwrap();
        let from_file = coco::read_rows(&path, Strictness::Lenient).unwrap();
        let from_slice = coco::rows_from_slice(&path, text.as_bytes(), Strictness::Lenient).unwrap();
        assert_eq!(from_file, from_slice);
    }
}

#[test]
fn rows_are_the_labels_that_the_lossless_reader_gives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gt.json");
    let named = TRUTH.replacen("\"id\": \"b\"", "\"id\": \"b\", \"file_name\": \"b.png\"", 1).replacen(
        "\"id\": 20",
        "\"id\": 20, \"file_name\": \"20.png\"",
        1,
    );
    std::fs::write(&path, named).unwrap();
    let dataset = coco::read(&path, &ReadOptions::default()).unwrap();
    let rows = coco::read_rows(&path, Strictness::Strict).unwrap();
    assert_eq!((&dataset.set.schema, &dataset.category_ids), (&rows.schema, &rows.category_ids));
    for sample in &dataset.set.samples {
        let id = &dataset.image_ids[&sample.id];
        let place = rows.image_ids.iter().position(|other| other == id).unwrap();
        let here: Vec<_> = rows.labels.iter().filter(|row| row.image as usize == place).collect();
        let boxes = sample.boxes.as_ref().unwrap();
        assert_eq!(here.len(), boxes.len());
        for (row, label) in here.iter().zip(boxes) {
            let label_says = (label.class, label.bbox, label.effective_area(), label.is_crowd);
            assert_eq!((row.class, row.bbox, row.area(), row.is_crowd), label_says);
        }
    }
}
