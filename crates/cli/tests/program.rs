//! The program as people and scripts call it: exit statuses, one JSON document, errors with their place.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn labelloop(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labelloop")).args(args).output().unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(text.trim().lines().count(), 1, "one document and nothing else: {text}");
    serde_json::from_str(&text).unwrap()
}

fn path(p: &Path) -> &str {
    p.to_str().unwrap()
}

/// A COCO file with `n` pictures of one class, each its own group, and a box that moves from picture to picture.
fn write_coco(file: &Path, n: usize) {
    let images: Vec<Value> = (1..=n)
        .map(|i| serde_json::json!({ "id": i, "file_name": format!("{i:03}.png"), "width": 64, "height": 48, "group": format!("g{i}") }))
        .collect();
    let annotations: Vec<Value> = (1..=n)
        .map(|i| serde_json::json!({ "id": i, "image_id": i, "category_id": 1, "bbox": [i % 30, 5, 20, 16], "area": 320, "iscrowd": 0 }))
        .collect();
    let document = serde_json::json!({ "images": images, "annotations": annotations, "categories": [{ "id": 1, "name": "cell" }] });
    std::fs::write(file, document.to_string()).unwrap();
}

fn write_pictures(folder: &Path, n: usize) {
    std::fs::create_dir_all(folder).unwrap();
    let size = labelloop_core::ImageSize::new(64, 48).unwrap();
    for i in 1..=n {
        let mut picture = labelloop_media::RgbImage::filled(size, [(i % 7 * 20) as u8, 90, 120]);
        for y in 5..21 {
            for x in (i % 30) as u32..(i % 30) as u32 + 20 {
                picture.set(x, y, [230, 40, (x * 3) as u8]);
            }
        }
        labelloop_media::save_png(&picture, &folder.join(format!("{i:03}.png"))).unwrap();
    }
}

#[test]
fn perfect_detections_score_as_pycocotools_scores_them() {
    let dir = tempfile::tempdir().unwrap();
    let (gt, dt) = (dir.path().join("gt.json"), dir.path().join("dt.json"));
    write_coco(&gt, 1);
    let found: Vec<Value> = (1..=1)
        .map(|i| serde_json::json!({ "image_id": i, "category_id": 1, "bbox": [i % 30, 5, 20, 16], "score": 0.9 }))
        .collect();
    std::fs::write(&dt, Value::Array(found).to_string()).unwrap();
    let arrays = dir.path().join("arrays.npz");
    let output = labelloop(&[
        "eval",
        "coco",
        path(&gt),
        path(&dt),
        "--json",
        "--per-image",
        "--arrays",
        path(&arrays),
    ]);
    assert!(output.status.success(), "{output:?}");
    let document = json(&output);
    assert_eq!(document["stats"][0], 0.9999999999999998);
    assert_eq!(document["stats"][4], -1.0, "pycocotools says -1 where no such object exists");
    assert_eq!(document["images"][0], serde_json::json!({ "id": 1, "tp": 1, "fp": 0, "fn": 0 }));
    assert!(arrays.exists());
}

#[test]
fn a_missing_file_is_named_and_ends_with_1() {
    let output = labelloop(&["eval", "coco", "nowhere.json", "dt.json", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let error = &json(&output)["error"];
    assert_eq!((error["kind"].as_str(), error["path"].as_str()), (Some("failed"), Some("nowhere.json")));
}

#[test]
fn broken_json_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let gt = dir.path().join("gt.json");
    std::fs::write(&gt, "{\n\"images\": [,]\n}").unwrap();
    let output = labelloop(&["eval", "coco", path(&gt), "dt.json", "--json"]);
    assert_eq!(json(&output)["error"]["line"], 2);
}

#[test]
fn wrong_usage_ends_with_2() {
    assert_eq!(labelloop(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(labelloop(&["select", "no-such-method", "e.npy"]).status.code(), Some(2));
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("labelloop.toml");
    std::fs::write(&config, "[project]\nname = 'a'\nmedia = 'm'\n[training]\nepoch = 3\n").unwrap();
    let output = labelloop(&["run", "--config", path(&config), "--json"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(json(&output)["error"]["line"], 5);
}

#[test]
fn a_coco_file_is_split_by_group_and_the_same_way_again() {
    let dir = tempfile::tempdir().unwrap();
    let (gt, a, b) = (dir.path().join("gt.json"), dir.path().join("a.json"), dir.path().join("b.json"));
    write_coco(&gt, 40);
    for out in [&a, &b] {
        assert!(labelloop(&["split", path(&gt), "--out", path(out)]).status.success());
    }
    assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
    let splits: Value = serde_json::from_slice(&std::fs::read(&a).unwrap()).unwrap();
    let count = |name: &str| splits["images"].as_object().unwrap().values().filter(|s| *s == name).count();
    assert_eq!([count("test"), count("val"), count("golden"), count("pool")], [6, 6, 2, 26]);
    write_coco(&gt, 3);
    let few = labelloop(&["split", path(&gt), "--out", path(&a), "--json"]);
    assert_eq!(few.status.code(), Some(1));
    assert!(
        json(&few)["error"]["message"].as_str().unwrap().contains('4'),
        "it says how many groups are needed"
    );
}

#[test]
fn zcore_select_and_neighbors_work_on_arrays() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let rows = ndarray::Array2::from_shape_fn((50, 4), |(r, c)| ((r * 7 + c * 13) % 31) as f32);
    ndarray_npy::write_npy(file("e.npy"), &rows).unwrap();
    let (e, out) = (file("e.npy"), file("out.npy"));
    assert!(labelloop(&["zcore", path(&e), "--out", path(&out), "--draws", "200"]).status.success());
    let scores: ndarray::Array1<f32> = ndarray_npy::read_npy(&out).unwrap();
    assert_eq!(scores.len(), 50);
    for method in ["zcore", "k-center", "uniqueness", "random"] {
        let output = labelloop(&["select", method, path(&e), "-k", "5", "--out", path(&out), "--json"]);
        assert!(output.status.success(), "{method}: {output:?}");
        let ids: ndarray::Array1<i64> = ndarray_npy::read_npy(&out).unwrap();
        assert_eq!(ids.len(), 5);
    }
    let labelled = file("labelled.npy");
    ndarray_npy::write_npy(&labelled, &ndarray::array![0i64, 1]).unwrap();
    let args =
        ["select", "k-center", path(&e), "-k", "48", "--labeled", path(&labelled), "--out", path(&out)];
    assert!(labelloop(&args).status.success());
    let ids: ndarray::Array1<i64> = ndarray_npy::read_npy(&out).unwrap();
    assert!(ids.iter().all(|id| 2 <= *id));
    assert!(labelloop(&["neighbors", path(&e), path(&e), "-k", "1", "--out", path(&out)]).status.success());
    let ids: ndarray::Array2<i64> = ndarray_npy::read_npy(&out).unwrap();
    assert_eq!(ids.dim(), (50, 1));
}

#[test]
fn drifted_golden_labels_end_with_3() {
    let dir = tempfile::tempdir().unwrap();
    let (reference, current) = (dir.path().join("r.json"), dir.path().join("c.json"));
    write_coco(&reference, 120);
    let mut round: Value = serde_json::from_slice(&std::fs::read(&reference).unwrap()).unwrap();
    // Every third picture comes back empty.
    let kept: Vec<Value> =
        round["annotations"].as_array().unwrap().iter().skip(1).step_by(3).cloned().collect();
    round["annotations"] = Value::Array(kept);
    std::fs::write(&current, round.to_string()).unwrap();
    let args = ["qa", "golden", "--reference", path(&reference), "--current", path(&current), "--json"];
    let output = labelloop(&args);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(json(&output)["verdict"], "FAIL");
}

#[test]
fn a_label_that_the_detector_contradicts_is_suspected() {
    let dir = tempfile::tempdir().unwrap();
    let (gt, dt) = (dir.path().join("gt.json"), dir.path().join("dt.json"));
    write_coco(&gt, 6);
    // Every label is confirmed; picture 4 has one object more than its label says.
    let mut found: Vec<Value> = (1..=6)
        .map(|i| serde_json::json!({ "image_id": i, "category_id": 1, "bbox": [i % 30, 5, 20, 16], "score": 0.9 }))
        .collect();
    found
        .push(serde_json::json!({ "image_id": 4, "category_id": 1, "bbox": [40, 30, 20, 16], "score": 0.8 }));
    std::fs::write(&dt, Value::Array(found).to_string()).unwrap();
    let output = labelloop(&["qa", "suspects", path(&gt), path(&dt), "--json"]);
    assert!(output.status.success(), "{output:?}");
    let document = json(&output);
    assert_eq!(document["n_suspects"], 1);
    let suspect = &document["suspects"][0];
    assert_eq!((suspect["kind"].as_str(), suspect["image"].as_str()), (Some("overlooked"), Some("004")));
    assert_eq!((&suspect["suspicion"], &suspect["label_idx"]), (&serde_json::json!(0.8), &Value::Null));
    let refused = labelloop(&["qa", "suspects", path(&gt), path(&dt), "--min-score", "2", "--json"]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn the_doctor_tells_of_pictures_on_both_sides_of_the_split() {
    let dir = tempfile::tempdir().unwrap();
    let (coco, images, project) =
        (dir.path().join("gt.json"), dir.path().join("images"), dir.path().join("p"));
    write_coco(&coco, 40);
    write_pictures(&images, 40);
    // The same picture under every name: whatever the split, its sides look alike.
    for i in 2..=40 {
        std::fs::copy(images.join("001.png"), images.join(format!("{i:03}.png"))).unwrap();
    }
    assert!(labelloop(&["init", path(&project), "--coco", path(&coco), "--simulate"]).status.success());
    let import = labelloop(&["import", path(&coco), "--project", path(&project), "--json"]);
    assert!(import.status.success(), "{import:?}");
    let unsplit = labelloop(&["doctor", "--project", path(&project), "--json"]);
    assert_eq!(json(&unsplit)["leaks"], Value::Null, "without a split there are no sides");
    let merged = labelloop(&["split", "--project", path(&project), "--json"]);
    assert_eq!(merged.status.code(), Some(1), "merged into one group there is nothing to split");
    assert!(json(&merged)["error"]["message"].as_str().unwrap().contains("39 were merged"));
    let split = labelloop(&["split", "--project", path(&project), "--near-duplicates", "report"]);
    assert!(split.status.success(), "{split:?}");
    let output = labelloop(&["doctor", "--project", path(&project), "--json"]);
    assert!(output.status.success(), "a warning is no refusal: {output:?}");
    let leaks = &json(&output)["leaks"];
    // 6 test, 6 val, 2 golden, 26 pool: all pairs of different splits.
    assert_eq!(leaks["n_pairs"], 6 * 6 + 6 * 2 + 6 * 26 + 6 * 2 + 6 * 26 + 2 * 26);
    assert_eq!(
        (leaks["between"].as_array().unwrap().len(), leaks["between"][0]["worst"][0]["by"].as_str()),
        (6, Some("content"))
    );
    assert_eq!(leaks["merge"][0].as_array().unwrap().len(), 40, "all groups should be one");
}

#[test]
fn a_project_runs_from_a_coco_folder_to_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let (coco, images, project) =
        (dir.path().join("gt.json"), dir.path().join("images"), dir.path().join("p"));
    write_coco(&coco, 40);
    write_pictures(&images, 40);
    assert!(labelloop(&["init", path(&project), "--coco", path(&coco), "--simulate"]).status.success());
    let file = project.join("labelloop.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text
        .replace("max_iterations = 10", "max_iterations = 2")
        .replace("n_random_features = 600", "n_random_features = 64");
    std::fs::write(&file, text).unwrap();
    let before = std::fs::read_dir(&project).unwrap().count();
    let plan = labelloop(&["run", "--config", path(&file), "--dry-run", "--json"]);
    assert_eq!(json(&plan)["dry_run"], true);
    assert_eq!(std::fs::read_dir(&project).unwrap().count(), before, "a dry run writes nothing");
    let output = labelloop(&["run", "--config", path(&file), "--json", "--quiet"]);
    assert!(output.status.success(), "{output:?}");
    assert!(!json(&output)["records"].as_array().unwrap().is_empty());
    assert!(output.stderr.is_empty(), "quiet is quiet: {output:?}");
    assert!(project.join("report.html").exists());
    assert_eq!(
        labelloop(&["run", "--config", path(&file)]).status.code(),
        Some(2),
        "a second fresh start is refused"
    );
    assert!(labelloop(&["doctor", "--project", path(&project)]).status.success());
    assert!(labelloop(&["status", "--project", path(&project), "--json"]).status.success());
    let test = ["eval", "--test", "--reason", "release", "--project", path(&project), "--json"];
    assert!(labelloop(&test).status.success());
    let again = ["eval", "--test", "--reason", "once more", "--project", path(&project), "--json"];
    assert_eq!(labelloop(&again).status.code(), Some(3), "the budget is one look");
}

#[test]
fn never_waiting_and_requiring_people_exclude_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (coco, project) = (dir.path().join("gt.json"), dir.path().join("p"));
    write_coco(&coco, 10);
    assert!(labelloop(&["init", path(&project), "--coco", path(&coco)]).status.success());
    let file = project.join("labelloop.toml");
    assert_eq!(labelloop(&["run", "--config", path(&file), "--auto"]).status.code(), Some(2));
    assert_eq!(
        labelloop(&["run", "--config", path(&file), "--resume", "--start-iteration", "1"]).status.code(),
        Some(2)
    );
}
