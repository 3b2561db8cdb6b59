//! `labelloop split` with near-duplicates, and `labelloop leaks`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use labelloop_media::{RgbImage, encode_jpeg, encode_png};
use serde_json::{Value, json};

fn labelloop(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labelloop")).args(args).output().unwrap()
}

fn document(out: &Output) -> Value {
    serde_json::from_slice(&out.stdout).unwrap()
}

fn words(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn scene(seed: u64) -> RgbImage {
    common::rectangles(seed, (96, 72), 24, (45, 40))
}

/// `n` pictures of their own groups; the last two are copies of the first two, by another name and as JPEG.
struct Fixture {
    _temp: tempfile::TempDir,
    coco: PathBuf,
    images: PathBuf,
    root: PathBuf,
}

fn fixture(n: usize, split: impl Fn(usize) -> Value) -> Fixture {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().to_owned();
    let (coco, images) = (root.join("coco.json"), root.join("images"));
    std::fs::create_dir(&images).unwrap();
    let mut rows = Vec::new();
    for i in 0..n {
        let (name, bytes) = match i {
            _ if i == n - 2 => (format!("{i:02}.png"), encode_png(&scene(0)).unwrap()),
            _ if i == n - 1 => (format!("{i:02}.jpg"), encode_jpeg(&scene(1), 70).unwrap()),
            _ => (format!("{i:02}.png"), encode_png(&scene(i as u64)).unwrap()),
        };
        std::fs::write(images.join(&name), bytes).unwrap();
        rows.push(json!({
            "id": i + 1, "file_name": name, "width": 96, "height": 72, "group": format!("g{i:02}"), "split": split(i),
        }));
    }
    let boxes: Vec<Value> = (1..=n)
        .map(|i| json!({ "id": i, "image_id": i, "category_id": 1, "bbox": [5, 5, 20, 16] }))
        .collect();
    let document =
        json!({ "images": rows, "annotations": boxes, "categories": [{ "id": 1, "name": "cell" }] });
    std::fs::write(&coco, document.to_string()).unwrap();
    Fixture { _temp: temp, coco, images, root }
}

fn p(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn split_of(splits: &Value, id: &str) -> String {
    splits["images"][id].as_str().unwrap().to_owned()
}

/// A salt under which the copies are on two sides when nobody looks.
fn salt_that_leaks(f: &Fixture) -> String {
    let mut salts = (0..50).map(|i| format!("salt-{i}"));
    let tears = |salt: &String| {
        let out = f.root.join("blind.json");
        assert!(labelloop(&["split", p(&f.coco), "--out", p(&out), "--salt", salt]).status.success());
        let splits: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
        split_of(&splits, "00") != split_of(&splits, "38")
    };
    salts.find(tears).unwrap()
}

#[test]
fn near_duplicates_are_merged_refused_or_reported() {
    let f = fixture(40, |_| Value::Null);
    let salt = salt_that_leaks(&f);
    let out = f.root.join("splits.json");
    let run = |how: &str| {
        let _ = std::fs::remove_file(&out);
        let given =
            ["split", p(&f.coco), "--out", p(&out), "--images", p(&f.images), "--salt", &salt, "--json"];
        labelloop(&[&given[..], &["--near-duplicates", how]].concat())
    };
    let merged = run("merge");
    assert!(merged.status.success(), "{merged:?}");
    let merged = document(&merged);
    assert_eq!(merged["near_duplicates"]["merged"], json!({ "g38": "g00", "g39": "g01" }));
    assert_eq!(split_of(&merged, "00"), split_of(&merged, "38"));
    assert_eq!(split_of(&merged, "01"), split_of(&merged, "39"));
    assert_eq!(merged["near_duplicates"]["across"], json!([]));
    assert_eq!(merged["report"]["assignment"].as_object().unwrap().len(), 38);

    let refused = run("refuse");
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let message = document(&refused)["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("00 (") && message.contains("38 (") && message.contains("same bytes"),
        "{message}"
    );
    assert!(!out.exists(), "nothing is written");

    let reported = document(&run("report"));
    assert_eq!(reported["near_duplicates"]["across"][0]["first"], "00");
    assert_ne!(split_of(&reported, "00"), split_of(&reported, "38"));
}

#[test]
fn near_duplicates_without_pictures_are_wrong_usage() {
    let f = fixture(8, |_| Value::Null);
    let out = f.root.join("splits.json");
    let run = labelloop(&["split", p(&f.coco), "--out", p(&out), "--near-duplicates", "merge"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("--images"), "{run:?}");
    let run = labelloop(&["split", p(&f.coco), "--out", p(&out), "--images", "nowhere"]);
    assert_eq!(run.status.code(), Some(2));
}

#[test]
fn an_audit_finds_every_kind_of_leak_and_ends_with_3() {
    let f = fixture(12, |i| match i {
        0..=5 => json!("train"),
        11 => json!("val"),
        7 => Value::Null,
        _ => json!("test"),
    });
    let text = std::fs::read_to_string(&f.coco).unwrap();
    // A drive on both sides, and a file that is named twice.
    let text = text.replace("\"g08\"", "\"g02\"").replace("\"09.png\"", "\"03.png\"");
    std::fs::write(&f.coco, text).unwrap();
    let out = labelloop(&["leaks", p(&f.coco), "--images", p(&f.images), "--json"]);
    assert_eq!(out.status.code(), Some(3), "{out:?}");
    let found = document(&out);
    let counts = ["n_groups", "n_file_names", "n_contents", "n_near_duplicates"].map(|k| found[k].clone());
    assert_eq!(counts, [json!(1), json!(1), json!(1), json!(1)], "{found}");
    assert_eq!(found["unsplit"], json!(["07.png"]));
    assert_eq!((&found["verdict"], &found["splits"]["train"]["n_samples"]), (&json!("leak"), &json!(6)));
    let out = labelloop(&["leaks", p(&f.coco), "--images", p(&f.images)]);
    let text = words(&out);
    for line in [
        "group g02 is in 2 splits: 08.png (test), 02.png (train)",
        "file 03.png is in 2 splits: 03.png#10 (test), 03.png#4 (train)",
        "the same bytes",
        "01.png (train) and 11.jpg (val) look alike: hashes differ in",
        "verdict: leak",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
}

#[test]
fn a_clean_split_is_told_and_pictures_are_optional() {
    let f = fixture(12, |i| if i % 2 == 0 { json!("train") } else { json!("test") });
    let out = labelloop(&["leaks", p(&f.coco)]);
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    assert!(words(&out).contains("no leak found") && words(&out).contains("were not compared"));
    let out = labelloop(&["leaks", p(&f.coco), "--images", p(&f.images)]);
    assert_eq!(out.status.code(), Some(0), "copies are on one side: {out:?}");
    let out = labelloop(&["leaks", p(&f.coco), "--split-key", "fold"]);
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("fold"), "{out:?}");
}

#[test]
fn two_files_are_two_splits() {
    let (a, b) = (fixture(6, |_| Value::Null), fixture(6, |_| Value::Null));
    let (train, val) = (a.root.join("train.json"), a.root.join("val.json"));
    std::fs::copy(&a.coco, &train).unwrap();
    std::fs::copy(&b.coco, &val).unwrap();
    let out = labelloop(&["leaks", p(&train), p(&val), "--json"]);
    assert_eq!(out.status.code(), Some(3));
    let found = document(&out);
    assert_eq!((&found["n_file_names"], &found["n_groups"]), (&json!(6), &json!(6)), "{found}");
    assert_eq!(found["splits"].as_object().unwrap().keys().collect::<Vec<_>>(), ["train", "val"]);
}

#[test]
fn bad_files_are_named_with_their_place_and_names_stay_in_their_folder() {
    let f = fixture(6, |_| json!("train"));
    std::fs::write(&f.coco, "{\n\"images\": [,]\n}").unwrap();
    let out = labelloop(&["leaks", p(&f.coco)]);
    assert_eq!(out.status.code(), Some(1));
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(message.contains("coco.json") && message.contains("line 2"), "{message}");
    let rows = json!({ "images": [
        { "id": 1, "file_name": "../../etc/passwd", "split": "a" },
        { "id": 2, "file_name": "/etc/passwd", "split": "b" },
    ] });
    std::fs::write(&f.coco, rows.to_string()).unwrap();
    let out = labelloop(&["leaks", p(&f.coco), "--images", p(&f.images), "--json"]);
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    assert_eq!(document(&out)["unread"].as_object().unwrap().len(), 2);
    assert_eq!(labelloop(&["leaks", "nowhere.json"]).status.code(), Some(1));
}

#[test]
fn a_project_merges_before_it_splits_and_keeps_late_copies_out() {
    let f = fixture(40, |_| Value::Null);
    let project = f.root.join("project");
    let run = labelloop(&["init", p(&project), "--coco", p(&f.coco), "--media", p(&f.images), "--simulate"]);
    assert!(run.status.success(), "{run:?}");
    assert!(labelloop(&["import", p(&f.coco), "--project", p(&project)]).status.success());
    let split = labelloop(&["split", "--project", p(&project), "--json"]);
    assert!(split.status.success(), "{split:?}");
    let split = document(&split);
    assert_eq!(split["merged"], json!({ "g38": "g00", "g39": "g01" }));
    let clean = labelloop(&["leaks", "--project", p(&project)]);
    assert_eq!(clean.status.code(), Some(0), "{clean:?}");

    // A copy of a val picture arrives late, in a group that has a split already.
    let side = |name: &str| {
        let assignment = split["report"]["assignment"].as_object().unwrap();
        assignment.iter().find(|(g, s)| *s == name && *g != "g00" && *g != "g01").unwrap().0.clone()
    };
    let (val, pool) = (side("val"), side("pool"));
    let seen = format!("{}.png", &val[1..]);
    std::fs::copy(f.images.join(&seen), f.images.join("late.png")).unwrap();
    let late = json!({
        "images": [{ "id": 99, "file_name": "late.png", "width": 96, "height": 72, "group": pool }],
        "annotations": [], "categories": [{ "id": 1, "name": "cell" }],
    });
    let file = f.root.join("late.json");
    std::fs::write(&file, late.to_string()).unwrap();
    assert!(labelloop(&["import", p(&file), "--project", p(&project)]).status.success());
    let refused = labelloop(&["split", "--project", p(&project), "--near-duplicates", "refuse"]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let split = document(&labelloop(&["split", "--project", p(&project), "--json"]));
    assert_eq!(split["quarantine"]["late"]["frozen"], json!(val[1..]), "{split}");
    assert_eq!(split["quarantine"]["late"]["split"], "val");
    let status = words(&labelloop(&["status", "--project", p(&project)]));
    assert!(status.contains("Kept out:        1"), "{status}");
    let found = labelloop(&["leaks", "--project", p(&project), "--json"]);
    assert_eq!(found.status.code(), Some(0), "{found:?}");
    assert_eq!(document(&found)["n_kept_out"], 1);
}
