//! `eval coco` and `eval compare` as people and scripts call them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

fn labelloop(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labelloop")).args(args).output().unwrap()
}

fn document(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(text.trim().lines().count(), 1, "one document and nothing else: {text}");
    serde_json::from_str(&text).unwrap()
}

fn words(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    /// Thirty pictures of ten drives with a cell and every third with a large vessel; `night` in every second picture,
    /// `occluded` stated for every annotation.
    fn new() -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        let images: Vec<Value> = (1..=30)
            .map(|i| json!({ "id": i, "file_name": format!("{i}.png"), "width": 400, "height": 300, "drive": i / 3, "night": i % 2 == 0 }))
            .collect();
        let mut annotations = Vec::new();
        for i in 1..=30 {
            let mut add = |class: i32, bbox: [i32; 4]| {
                let id = annotations.len() + 1;
                annotations.push(json!({ "id": id, "image_id": i, "category_id": class, "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0, "occluded": if i % 4 == 0 { "yes" } else { "no" } }));
            };
            add(1, [i, 5, 20, 16]);
            if i % 3 == 0 {
                add(2, [150, 100, 120, 120]);
            }
        }
        let categories =
            json!([{ "id": 1, "name": "cell" }, { "id": 2, "name": "vessel" }, { "id": 9, "name": "ghost" }]);
        files.write(
            "gt.json",
            &json!({ "images": images, "annotations": annotations, "categories": categories }),
        );
        // The first detector shifts boxes in later pictures and never sees a vessel; the second is perfect.
        let cell = |i: i32, shift: i32| json!({ "image_id": i, "category_id": 1, "bbox": [i + shift, 5, 20, 16], "score": 0.5 + f64::from(i) / 100.0 });
        let vessel =
            |i: i32| json!({ "image_id": i, "category_id": 2, "bbox": [150, 100, 120, 120], "score": 0.9 });
        let a: Vec<Value> = (1..=30).map(|i| cell(i, if i < 20 { 0 } else { 12 })).collect();
        let mut b: Vec<Value> = (1..=30).map(|i| cell(i, 0)).collect();
        b.extend((1..=10).map(|i| vessel(i * 3)));
        files.write("a.json", &Value::Array(a));
        files.write("b.json", &Value::Array(b));
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, document: &Value) {
        std::fs::write(self.path(name), document.to_string()).unwrap();
    }

    fn read(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn run(&self, what: &str, names: &[&str], flags: &[&str]) -> Output {
        let paths: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        let mut args = vec!["eval", what];
        args.extend(paths.iter().map(|p| text(p)));
        args.extend(flags);
        labelloop(&args)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn everything_that_can_be_asked_for_is_in_the_document() {
    let files = Files::new();
    let (failures, curves) = (files.path("failures.json"), files.path("curves.json"));
    let flags = [
        "--json",
        "--per-image",
        "--tide",
        "--slices",
        "--slice-by",
        "night",
        "--slice-by",
        "occluded",
        "--calibration",
        "--confusion",
        "--bootstrap",
        "50",
        "--group",
        "drive",
        "--min-score",
        "0.5",
        "--failures",
        text(&failures),
        "--curves",
        text(&curves),
    ];
    let found = document(&files.run("coco", &["gt.json", "a.json"], &flags));
    assert_eq!(found["stats"].as_array().unwrap().len(), 12);
    assert_eq!(found["images"].as_array().unwrap().len(), 30);
    let (cell, vessel) = (&found["classes"][0], &found["classes"][1]);
    assert_eq!(
        (cell["id"].as_i64(), cell["gt"].as_i64(), cell["name"].as_str()),
        (Some(1), Some(30), Some("cell"))
    );
    assert_eq!((vessel["ap"].as_f64(), found["classes"][2]["ap"].as_f64()), (Some(0.0), None));
    assert!(cell["ci"]["ap"]["low"].as_f64() < cell["ap"].as_f64() && cell["ece"].is_f64());
    assert_eq!(found["ci"]["ap"]["n_groups"], 11, "drives are drawn, not pictures");
    assert_eq!(found["errors"]["kinds"]["localisation"]["count"], 11);
    assert_eq!(found["errors"]["kinds"]["missed"]["count"], 10);
    assert_eq!(found["errors"]["false_negatives"]["count"], 21);
    let slice = |by: &str, value: &str| {
        let rows = found["slices"].as_array().unwrap();
        rows.iter().find(|r| r["by"] == by && r["value"] == value).unwrap_or(&Value::Null).clone()
    };
    assert_eq!(
        (slice("size", "large")["fn_"].as_i64(), slice("night", "true")["n_images"].as_i64()),
        (Some(10), Some(15))
    );
    assert!(
        slice("occluded", "yes")["recall"]["value"].is_f64() && slice("night", "false")["ap"]["low"].is_f64()
    );
    assert_eq!(found["calibration"]["n_detections"], 30);
    assert_eq!(found["confusion"]["names"], json!(["cell", "vessel", "ghost", "background"]));
    assert_eq!(found["confusion"]["counts"][0], json!([19, 0, 0, 11]));
    assert_eq!(files.read("failures.json").as_array().unwrap().len(), 11 + 21);
    assert_eq!(files.read("curves.json")[0]["points"].as_array().unwrap().len(), 30);
}

#[test]
fn words_hold_the_twelve_lines_then_the_classes() {
    let files = Files::new();
    let flags = ["--tide", "--slices", "--calibration", "--bootstrap", "20"];
    let said = words(&files.run("coco", &["gt.json", "a.json"], &flags));
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with(" Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.")
    );
    assert!(
        lines[13].starts_with("class") && lines[14].starts_with("cell") && lines[15].starts_with("vessel"),
        "{said}"
    );
    assert_eq!(lines[16], "(1 classes have no label)");
    for part in ["localisation", "slice", "size large", "calibration of 30 detections", "intervals of 95%"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn two_detectors_are_compared_class_by_class() {
    let files = Files::new();
    let names = ["gt.json", "a.json", "b.json"];
    let flags = ["--json", "--slices", "--slice-by", "night", "--group", "drive", "--bootstrap", "400"];
    let found = document(&files.run("compare", &names, &flags));
    assert!(found["ap"]["p_value"].as_f64() < Some(0.02) && 0.0 < found["ap50"]["low"].as_f64().unwrap());
    let classes = found["classes"].as_array().unwrap();
    let of: Vec<_> = classes.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(of, ["cell", "vessel"]);
    for class in classes {
        assert!(class["p_value"].as_f64() <= class["p_adjusted"].as_f64(), "{class}");
    }
    assert!(found["slices"].as_array().unwrap().iter().any(|s| s["by"] == "night" && s["value"] == "true"));
    assert_eq!(
        (found["correction"].as_str(), found["least_p_value"].as_f64()),
        (Some("holm"), Some(2.0 / 401.0))
    );
    let bh = document(&files.run("compare", &names, &["--json", "--correction", "bh", "--bootstrap", "50"]));
    assert_eq!(bh["correction"], "benjamini_hochberg");
    let same =
        document(&files.run("compare", &["gt.json", "a.json", "a.json"], &["--json", "--bootstrap", "20"]));
    assert_eq!((same["ap"]["difference"].as_f64(), same["ap"]["p_value"].as_f64()), (Some(0.0), Some(1.0)));
}

#[test]
fn a_comparison_says_when_it_could_not_have_shown_anything() {
    let files = Files::new();
    let names = ["gt.json", "a.json", "b.json"];
    let said = words(&files.run("compare", &names, &["--bootstrap", "30"]));
    assert!(said.contains("--bootstrap 80 could") && said.contains("vessel"), "{said}");
    let said = words(&files.run("compare", &names, &["--bootstrap", "200"]));
    assert!(!said.contains("could"), "{said}");
}

#[test]
fn a_field_that_nothing_has_is_wrong_usage() {
    let files = Files::new();
    let output = files.run("coco", &["gt.json", "a.json"], &["--slice-by", "weather"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--slice-by weather"));
    let output = files.run("compare", &["gt.json", "a.json", "b.json"], &["--correction", "none"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn pictures_without_file_names_and_scores_beyond_one_count() {
    let files = Files::new();
    let image = |id: &Value| json!({ "id": id });
    let label = |id: i32, image: &Value| json!({ "id": id, "image_id": image, "category_id": 1, "bbox": [0, 0, 50, 50], "area": 2500, "iscrowd": 0 });
    let ids = [json!(0), json!("0"), json!("north gate"), json!(-7)];
    let labels: Vec<Value> = (0..).zip(&ids).map(|(i, id)| label(i, id)).collect();
    let images: Vec<Value> = ids.iter().map(image).collect();
    files.write(
        "bare.json",
        &json!({ "images": images, "annotations": labels, "categories": [{ "id": 1, "name": "cell" }] }),
    );
    let found = |id: &Value, score: f64| json!({ "image_id": id, "category_id": 1, "bbox": [0, 0, 50, 50], "score": score });
    let detections: Vec<Value> =
        ids.iter().zip([-3.0, 0.5, 0.75, 12.0]).map(|(id, s)| found(id, s)).collect();
    files.write("bare_dt.json", &Value::Array(detections));
    let output = files.run("coco", &["bare.json", "bare_dt.json"], &["--per-image", "--json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("2 scores are not from 0 to 1; AP and AR rank them"), "{said}");
    let document = document(&output);
    assert_eq!(document["stats"][0], json!(1.0));
    let mut seen: Vec<String> =
        document["images"].as_array().unwrap().iter().map(|row| row["id"].to_string()).collect();
    seen.sort();
    assert_eq!(seen, ["\"0\"", "\"north gate\"", "-7", "0"]);
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let files = Files::new();
    let (labels, detections) = (files.path("gt.json"), files.path("a.json"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_labelloop"))
        .args(["eval", "coco", text(&labels), text(&detections)])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
