//! What happens to files that pycocotools crashes on or misreads: the table of docs/COCO.md, row by row, from files to
//! numbers; and the edge cases of the conformance folder, where it is at hand.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]
#![allow(clippy::print_stderr, reason = "what a run leaves out is to be seen")]
#![allow(clippy::needless_pass_by_value, reason = "values made in place read best that way")]

use std::path::{Path, PathBuf};

use labelloop_benches::problem::evaluate_texts;
use labelloop_formats::Strictness;
use serde_json::{Value, json};

/// AP 1 for a detector that finds one label; floating point makes it this number, in pycocotools too.
const PERFECT: f64 = 0.9999999999999998;

struct Problem {
    labels: Value,
    detections: Value,
}

impl Problem {
    /// One picture, one label, found.
    fn new() -> Self {
        Self {
            labels: json!({
                "images": [{"id": 1, "width": 640, "height": 480, "file_name": "1.jpg"}],
                "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
                "annotations": [label(1, [100, 100, 50, 50])],
            }),
            detections: json!([detection(json!([100, 100, 50, 50]), json!(0.9))]),
        }
    }

    fn with_label(mut self, label: Value) -> Self {
        self.labels["annotations"].as_array_mut().unwrap().push(label);
        self
    }

    fn with_detection(mut self, detection: Value) -> Self {
        self.detections.as_array_mut().unwrap().push(detection);
        self
    }

    /// Twelve statistics and what was said, or the error.
    fn run(&self, strictness: Strictness) -> Result<([f64; 12], Vec<String>), String> {
        // JSON has no such numbers; Python writes them all the same.
        let text = |v: &Value| v.to_string().replace("\"$nan\"", "NaN").replace("\"$inf\"", "Infinity");
        let found =
            evaluate_texts(text(&self.labels).as_bytes(), text(&self.detections).as_bytes(), strictness);
        let (result, warnings) = found.map_err(|e| e.to_string())?;
        Ok((result.stats, warnings.iter().map(ToString::to_string).collect()))
    }

    /// AP, and the one warning where there is one.
    fn lenient(&self) -> (f64, String) {
        let (stats, said) = self.run(Strictness::Lenient).unwrap();
        (stats[0], said.join("; "))
    }

    fn refused(&self, expected: &str) {
        let said = self.run(Strictness::Strict).unwrap_err();
        assert!(said.contains(expected), "{said}");
    }

    fn fine(&self) -> f64 {
        let (stats, said) = self.run(Strictness::Strict).unwrap();
        assert_eq!(said, Vec::<String>::new());
        stats[0]
    }
}

fn label(id: i64, bbox: [i64; 4]) -> Value {
    json!({"id": id, "image_id": 1, "category_id": 1, "bbox": bbox, "area": 2500, "iscrowd": 0})
}

fn detection(bbox: Value, score: Value) -> Value {
    json!({"image_id": 1, "category_id": 1, "bbox": bbox, "score": score})
}

fn without(mut object: Value, field: &str) -> Value {
    object.as_object_mut().unwrap().remove(field);
    object
}

#[test]
fn no_detection_at_all_is_an_ap_of_0() {
    assert_eq!(Problem { detections: json!([]), ..Problem::new() }.fine(), 0.0);
}

#[test]
fn a_label_of_id_0_is_a_label() {
    let mut problem = Problem::new();
    problem.labels["annotations"][0]["id"] = json!(0);
    assert_eq!(problem.fine(), PERFECT);
}

#[test]
fn labels_that_share_an_id_are_kept_and_told() {
    let problem = Problem::new()
        .with_label(label(1, [300, 300, 50, 50]))
        .with_detection(detection(json!([300, 300, 50, 50]), json!(0.8)));
    let (ap, said) = problem.lenient();
    assert!((ap - 1.0).abs() < 1e-9, "{ap}");
    assert!(said.contains("annotations[1]: id 1 is taken; kept all the same"), "{said}");
    problem.refused("id 1 is taken");
}

#[test]
fn a_label_without_area_has_that_of_its_box_and_without_iscrowd_is_no_crowd() {
    for field in ["area", "iscrowd", "id"] {
        let mut problem = Problem::new();
        problem.labels["annotations"][0] = without(label(1, [100, 100, 50, 50]), field);
        assert_eq!(problem.fine(), PERFECT, "{field}");
    }
}

#[test]
fn detections_of_unknown_pictures_and_classes_are_left_out_and_told() {
    for (field, expected) in
        [("image_id", "there is no image 77"), ("category_id", "class 77 is not in the schema")]
    {
        let mut other = detection(json!([100, 100, 50, 50]), json!(0.95));
        other[field] = json!(77);
        let problem = Problem::new().with_detection(other);
        let (ap, said) = problem.lenient();
        assert_eq!(ap, PERFECT);
        assert!(said.contains(expected), "{said}");
        problem.refused(expected);
    }
}

#[test]
fn labels_of_unknown_pictures_and_classes_are_left_out_and_told() {
    for (field, expected) in
        [("image_id", "there is no image 77"), ("category_id", "class 77 is not in the schema")]
    {
        let mut other = label(2, [100, 100, 50, 50]);
        other[field] = json!(77);
        let problem = Problem::new().with_label(other);
        let (ap, said) = problem.lenient();
        assert_eq!(ap, PERFECT);
        assert!(said.contains(expected), "{said}");
        problem.refused(expected);
    }
}

#[test]
fn numbers_that_are_none_cost_their_detection() {
    for (bbox, score) in [
        (json!([100, 100, 50, 50]), json!("$nan")),
        (json!([100, 100, 50, 50]), json!("$inf")),
        (json!(["$nan", 100, 50, 50]), json!(0.5)),
    ] {
        let problem = Problem::new().with_detection(detection(bbox, score));
        let (ap, said) = problem.lenient();
        assert_eq!(ap, PERFECT);
        assert!(said.contains("NaN or infinite"), "{said}");
        problem.refused("NaN or infinite");
    }
}

#[test]
fn a_box_of_negative_size_costs_its_detection() {
    let problem = Problem::new().with_detection(detection(json!([150, 100, -50, 50]), json!(0.95)));
    assert_eq!(problem.lenient().0, PERFECT);
    problem.refused("sizes of at least 0");
}

#[test]
fn a_detection_without_score_or_box_is_left_out_and_told() {
    for field in ["score", "bbox"] {
        let other = without(detection(json!([100, 100, 50, 50]), json!(0.95)), field);
        let problem = Problem::new().with_detection(other);
        let expected = format!("field {field:?} is missing");
        let (ap, said) = problem.lenient();
        assert_eq!(ap, PERFECT);
        assert!(said.contains(&expected), "{said}");
        problem.refused(&expected);
    }
}

#[test]
fn scores_may_be_any_numbers() {
    let mut problem = Problem::new().with_detection(detection(json!([300, 300, 50, 50]), json!(-7.5)));
    problem.detections[0]["score"] = json!(-3.0);
    assert_eq!(problem.fine(), PERFECT);
    problem.detections[1]["score"] = json!(42.0);
    assert_eq!(problem.fine(), 0.5);
}

#[test]
fn ids_may_be_texts_and_large() {
    for id in [json!("x"), json!(9_007_199_254_740_993i64), json!(-4), json!(0)] {
        let mut problem = Problem::new();
        problem.labels["images"][0]["id"] = id.clone();
        problem.labels["annotations"][0]["image_id"] = id.clone();
        problem.detections[0]["image_id"] = id;
        assert_eq!(problem.fine(), PERFECT);
    }
}

/// Cases of the conformance folder in which we decide otherwise, with the AP here. All are in the tests above.
const DECIDED_OTHERWISE: [(&str, f64); 12] = [
    ("empty_dt_list", 0.0),
    ("dt_unknown_image", 0.0),
    ("ann_id_0", PERFECT),
    ("ann_id_0_and_1", 1.0),
    ("dup_ann_ids", 1.0),
    ("iscrowd_missing", PERFECT),
    ("area_missing", PERFECT),
    ("nan_score", 0.0),
    ("inf_score", 0.0),
    ("score_missing", 0.0),
    ("dt_has_segm_only_bbox_eval", 0.0),
    ("neg_w_dt", 0.0),
];

#[test]
fn the_edge_cases_of_the_conformance_folder_agree_or_are_decided() {
    let Some(path) = conformance("eval2d/edge_cases.json") else { return };
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let mut n_agreeing = 0;
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let part = |key: &str| case[key].clone();
        let labels = json!({"images": part("images"), "annotations": part("annotations"), "categories": part("categories")});
        let (stats, _) = Problem { labels, detections: part("detections") }.run(Strictness::Lenient).unwrap();
        match DECIDED_OTHERWISE.iter().find(|(decided, _)| *decided == name) {
            Some((_, ap)) => assert_eq!(stats[0], *ap, "{name}"),
            None => {
                let expected: [f64; 12] = serde_json::from_value(part("pycocotools")).unwrap();
                assert_eq!(stats.map(f64::to_bits), expected.map(f64::to_bits), "{name}");
                n_agreeing += 1;
            }
        }
    }
    assert_eq!((cases.len(), n_agreeing), (46, 46 - DECIDED_OTHERWISE.len()));
}

/// A file of the conformance folder beside the project, or of that named by an environment variable.
fn conformance(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("LABELLOOP_SHARED").map_or(beside, PathBuf::from);
    let path = shared.join("conformance").join(name);
    if !path.exists() {
        eprintln!("left out: {} is not there", path.display());
    }
    path.exists().then_some(path)
}
