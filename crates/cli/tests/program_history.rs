//! History, damage and the way back, as people and scripts meet them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use labelloop_core::{
    AnnotationSet, BBox, ClassIdx, Extra, FrozenTest, ImageSize, LabelledBox, SampleRecord,
};
use labelloop_dataset::{BoxPolicy, DatasetDir, GROUND_TRUTH, HUMAN_LABELS, SplitParams};
use serde_json::Value;
use tempfile::TempDir;

fn labelloop(project: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labelloop")).args(args).arg("--project").arg(project).output().unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(text.trim().lines().count(), 1, "one document and nothing else: {text}");
    serde_json::from_str(&text).unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A project with generations 0 (empty), 1 (split) and 2 (a batch of three that came back).
fn project() -> (TempDir, PathBuf, DatasetDir) {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("cells");
    let init = Command::new(env!("CARGO_BIN_EXE_labelloop"))
        .args(["init", project.to_str().unwrap(), "--classes", "red,white"])
        .output()
        .unwrap();
    assert!(init.status.success(), "{}", words(&init));
    let dir = DatasetDir::open(project.join("dataset")).unwrap();
    let mut d = dir.read().unwrap();
    let cell = || LabelledBox::new(ClassIdx(0), BBox::new(1.0, 2.0, 10.0, 10.0).unwrap());
    let samples = (0..40)
        .map(|i| {
            let size = ImageSize::new(64, 48).unwrap();
            let record = SampleRecord::image(&format!("s{i:02}"), format!("s{i:02}.png"), size).unwrap();
            SampleRecord { boxes: Some(vec![cell()]), ..record }
        })
        .collect();
    let set = AnnotationSet { schema: d.schema().clone(), samples, extra: Extra::new() };
    d.import(&set, GROUND_TRUTH, BoxPolicy::default()).unwrap();
    d.split(&SplitParams::default()).unwrap();
    let mut writer = dir.writer().unwrap();
    writer.commit(&d, "split").unwrap();
    let picks = d.unlabeled_pool().ids()[..3].to_vec();
    d.begin_batch(0, &picks).unwrap();
    let labels = picks.iter().map(|id| (id.clone(), Some(vec![cell(), cell()]))).collect();
    d.finish_batch(0, labels, HUMAN_LABELS, "ann").unwrap();
    writer.commit(&d, "batch 0").unwrap();
    drop(writer);
    (folder, project, dir)
}

#[test]
fn generations_are_listed() {
    let (_folder, project, dir) = project();
    let output = labelloop(&project, &["history", "--json"]);
    assert!(output.status.success(), "{}", words(&output));
    let document = json(&output);
    assert_eq!(document["current"], 2);
    let keys: Vec<&str> =
        document["generations"].as_array().unwrap().iter().map(|g| g["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["init", "split", "batch 0"]);
    assert_eq!(document["generations"][2]["digest"], dir.generations().unwrap()[2].digest.as_str());
    let text = words(&labelloop(&project, &["history"]));
    assert!(
        text.lines().count() == 3 && text.lines().all(|l| l.len() > 20) && text.contains("batch 0"),
        "{text}"
    );
}

#[test]
fn two_generations_are_told_apart_and_test_labels_are_not_shown() {
    let (_folder, project, dir) = project();
    let document = json(&labelloop(&project, &["history", "diff", "1", "2", "--json"]));
    assert_eq!((&document["older"], &document["newer"]), (&Value::from(1), &Value::from(2)));
    let diff = &document["diff"];
    assert_eq!(diff["boxes"][HUMAN_LABELS]["added"].as_object().unwrap().len(), 3);
    assert_eq!(diff["statuses"][0]["to"], "annotated");
    assert_eq!(diff["views"]["added"][0], "batch/0");
    let text = words(&labelloop(&project, &["history", "diff", "1", "2"]));
    assert!(text.contains("samples 3 added, 0 removed, 0 changed; objects there 0 to 6"), "{text}");
    assert!(words(&labelloop(&project, &["history", "diff", "2", "2"])).contains("nothing changed"));
    let all = json(&labelloop(&project, &["history", "diff", "0", "2", "--json"]));
    let labels = all["diff"]["boxes"].to_string();
    let test = dir.read().unwrap().members::<FrozenTest>();
    assert!(!test.is_empty() && test.ids().iter().all(|id| !labels.contains(id.as_str())), "{labels}");
    assert_eq!(all["diff"]["boxes"][GROUND_TRUTH]["test"]["n_added"], test.len());
    let unknown = labelloop(&project, &["history", "diff", "1", "9"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(words(&unknown).contains("generation 9 does not exist: expected 0 to 2"), "{}", words(&unknown));
}

#[test]
fn restoring_is_a_new_generation_with_a_reason() {
    let (_folder, project, dir) = project();
    let output =
        labelloop(&project, &["history", "restore", "1", "--reason", "labels of the wrong folder", "--json"]);
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(json(&output)["generation"]["number"], 3);
    let generations = dir.generations().unwrap();
    assert_eq!(generations[3].key, "restore 1: labels of the wrong folder");
    assert_eq!(generations[3].digest, generations[1].digest);
    assert!(dir.read().unwrap().diff(&dir.read_generation(1).unwrap()).unwrap().is_empty());
    assert_eq!(
        labelloop(&project, &["history", "restore", "1"]).status.code(),
        Some(2),
        "a reason is needed"
    );
    assert_eq!(labelloop(&project, &["history", "restore", "1", "--reason", " "]).status.code(), Some(2));
    assert_eq!(labelloop(&project, &["history", "restore", "9", "--reason", "x"]).status.code(), Some(1));
    let held = dir.writer().unwrap();
    let conflict = labelloop(&project, &["history", "restore", "0", "--reason", "x"]);
    assert!(
        conflict.status.code() == Some(1) && words(&conflict).contains("another writer"),
        "{}",
        words(&conflict)
    );
    drop(held);
    assert_eq!(dir.generations().unwrap().len(), 4);
}

#[test]
fn the_doctor_explains_a_folder_that_does_not_open_and_its_advice_works() {
    let (_folder, project, dir) = project();
    assert!(labelloop(&project, &["doctor"]).status.success());
    let views = dir.path().join("generations/000002/views.json");
    std::fs::remove_file(&views).unwrap();
    let output = labelloop(&project, &["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", words(&output));
    let document = json(&output);
    assert_eq!(document["folder"]["whole"], serde_json::json!([0, 1]));
    assert_eq!(document["folder"]["findings"][0]["kind"], "missing_file");
    assert_eq!(document["folder"]["findings"][0]["generation"], 2);
    assert_eq!(document["leaks"], Value::Null);
    let text = words(&labelloop(&project, &["doctor"]));
    assert!(text.contains("views.json") && text.contains("whole generations: 0, 1"), "{text}");
    // What it says to type, typed.
    let advice = document["folder"]["findings"][0]["advice"].as_str().unwrap();
    let command = advice.split('`').nth(1).unwrap();
    assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
    let output = labelloop(&project, &["doctor"]);
    assert!(output.status.success() && words(&output).contains("note: "), "{}", words(&output));
    labelloop(&project, &["history", "restore", "1", "--reason", "damage"]);
    assert!(labelloop(&project, &["doctor"]).status.success());
}

#[test]
fn a_newer_layout_is_refused_politely_by_every_command() {
    let (_folder, project, dir) = project();
    let manifest = dir.path().join("generations/000002/manifest.json");
    std::fs::write(&manifest, r#"{"format":"labelloop-dataset","version":99,"shape":"unknown"}"#).unwrap();
    for args in [&["history"][..], &["status"], &["history", "restore", "1", "--reason", "x"]] {
        let output = labelloop(&project, args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let text = words(&output);
        assert!(
            text.contains("layout version 99") && text.contains("a newer one is needed"),
            "{args:?}: {text}"
        );
    }
    let output = labelloop(&project, &["doctor"]);
    let text = words(&output);
    assert_eq!(output.status.code(), Some(3));
    assert!(text.contains("open it with a newer labelloop: nothing is damaged"), "{text}");
}

#[test]
fn the_doctor_finds_no_dataset_where_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let output = labelloop(folder.path(), &["doctor"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(words(&output).contains("labelloop init"), "{}", words(&output));
    assert_eq!(labelloop(folder.path(), &["history"]).status.code(), Some(1));
}
