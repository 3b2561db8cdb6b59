//! `eval kitti` as people and scripts call it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

struct Folders {
    dir: tempfile::TempDir,
}

impl Folders {
    /// Sixty frames of two recordings with a car and a pedestrian each; the second recording's cars are not found.
    fn new() -> Self {
        let folders = Self { dir: tempfile::tempdir().unwrap() };
        for i in 0..60 {
            let name = format!("{:02}{i:04}.txt", i / 30);
            let car = "Car 0 0 0.1 100 100 200 180 1.5 1.6 4 1 1.7 15 0.2";
            let person = "Pedestrian 0 1 0.1 300 100 330 180 1.8 0.6 0.8 4 1.7 25 0.2";
            folders.write("gt/label_2", &name, &format!("{car}\n{person}\n"));
            let found =
                if i < 30 { format!("{car} {}\n", 0.5 + f64::from(i) / 100.0) } else { String::new() };
            folders.write("dt", &name, &format!("{found}{person} -3.5\n"));
        }
        folders
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, folder: &str, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(folder)).unwrap();
        std::fs::write(self.path(folder).join(name), text).unwrap();
    }

    fn run(&self, labels: &str, found: &str, flags: &[&str]) -> Output {
        let (labels, found) = (self.path(labels), self.path(found));
        let program = env!("CARGO_BIN_EXE_labelloop");
        Command::new(program).args(["eval", "kitti"]).args([&labels, &found]).args(flags).output().unwrap()
    }
}

fn document(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn classes_are_the_top_of_the_document() {
    let folders = Folders::new();
    let found = document(&folders.run("gt", "dt", &["--json"]));
    let hundred = json!({ "easy": null, "moderate": 100.0, "hard": 100.0 });
    assert_eq!(found["Pedestrian"]["3d"]["R40"], hundred, "the pedestrians are partly occluded");
    assert_eq!(found["Pedestrian"]["aos"]["R11"], hundred);
    assert_eq!(found["Car"]["bbox"]["R40"]["easy"], 50.0);
    assert_eq!(found["Car"]["bev"]["R11"]["hard"], 6.0 / 11.0 * 100.0);
    assert_eq!(found["Cyclist"]["bbox"]["R40"]["easy"], Value::Null);
    let keys: Vec<&String> = found.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["Car", "Cyclist", "Pedestrian", "labelloop"]);
    assert_eq!(found["labelloop"]["frames"], 60);
    assert_eq!(found["labelloop"]["counts"]["Car"]["detections"], 30);
    assert_eq!(found["labelloop"]["counts"]["Pedestrian"]["ignored_labels"]["easy"]["occluded"], 60);
}

#[test]
fn labels_against_themselves_are_perfect_and_a_missing_score_is_told() {
    let folders = Folders::new();
    let output = folders.run("gt", "gt/label_2", &["--json"]);
    assert_eq!(
        document(&output)["Car"]["aos"]["R40"],
        json!({ "easy": 100.0, "moderate": 100.0, "hard": 100.0 })
    );
    assert!(said(&output).contains("warning: 120 predictions have no score: 1 is taken"), "{output:?}");
}

#[test]
fn recordings_can_be_chosen_and_drawn() {
    let folders = Folders::new();
    let found = document(&folders.run("gt", "dt", &["--json", "--sequences", "00"]));
    assert_eq!(
        (&found["labelloop"]["frames"], &found["Car"]["bbox"]["R40"]["easy"]),
        (&json!(30), &json!(72.5))
    );
    let flags = ["--json", "--bootstrap", "50", "--sequence-digits", "2", "--slices"];
    let found = document(&folders.run("gt", "dt", &flags));
    let interval = &found["labelloop"]["ci"]["R40"]["Car"]["bbox"]["easy"];
    assert_eq!(
        (&interval["value"], &interval["n_groups"], &interval["low"]),
        (&json!(50.0), &json!(2), &json!(0.0))
    );
    let slices = found["labelloop"]["slices"].as_array().unwrap();
    assert_eq!(slices[0]["value"], "0 to 20 m");
    assert_eq!(slices[1]["classes"]["Pedestrian"]["3d"]["R40"]["hard"], 100.0);
    let none = folders.run("gt", "dt", &["--json", "--sequences", "99"]);
    assert_eq!(none.status.code(), Some(1));
}

#[test]
fn people_get_a_table() {
    let output = Folders::new().run("gt", "dt", &["--bootstrap", "20", "--slices"]);
    let words = String::from_utf8(output.stdout.clone()).unwrap();
    for part in [
        "R40 moderate",
        "Car         bbox",
        "60 frames: Car 60 labels, 30 detections",
        "intervals of 95%",
        "range 0 to 20 m",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[test]
fn point_clouds_without_pictures_are_told_and_scored_without_the_filter() {
    let folders = Folders::new();
    for i in 0..60 {
        let car = "Car 0 0 -10 0 0 0 0 1.5 1.6 4 1 1.7 15 0.2";
        folders.write("lidar", &format!("{i:06}.txt"), &format!("{car}\n"));
    }
    let output = folders.run("lidar", "lidar", &["--json"]);
    let found = document(&output);
    assert_eq!(found["Car"]["3d"]["R40"]["easy"], Value::Null);
    assert_eq!(found["labelloop"]["warnings"][0]["reason"], "no_box2d");
    assert!(
        said(&output).contains("Car: 60 of 60 labels count at no difficulty, most of them without a 2D box")
    );
    let found = document(&folders.run("lidar", "lidar", &["--json", "--no-filter", "--loose"]));
    assert_eq!(found["Car"]["3d"]["R40"], json!({ "easy": 100.0, "moderate": 100.0, "hard": 100.0 }));
    assert_eq!(
        (&found["Car"]["bbox"]["R40"]["easy"], &found["Car"]["aos"]["R40"]["easy"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn errors_name_file_line_and_value() {
    let folders = Folders::new();
    folders.write("bad", "000000.txt", "\nCar 0 0 nan 1 2 3 4 1 1 1 1 1 1 1 1\n");
    let output = folders.run("gt", "bad", &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = &found["error"];
    assert!(Path::new(error["path"].as_str().unwrap()).ends_with("bad/000000.txt"), "{error}");
    assert_eq!(error["line"], 2);
    assert!(
        error["message"].as_str().unwrap().contains(r#"alpha is "nan": expected a finite number"#),
        "{error}"
    );
}

#[test]
fn folders_that_do_not_belong_together_are_refused_or_told() {
    let folders = Folders::new();
    folders.write("other", "999999.txt", "");
    let output = folders.run("gt", "other", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("expected a file named as one of the 60 label files, such as 000000.txt"));
    folders.write("some", "999999.txt", "");
    folders.write("some", "000000.txt", "");
    let told = said(&folders.run("gt", "some", &["--json"]));
    assert!(
        told.contains("1 files of predictions have no labels")
            && told.contains("59 of 60 frames have no file")
    );
    assert_eq!(folders.run("gt", "nowhere", &[]).status.code(), Some(1));
}
