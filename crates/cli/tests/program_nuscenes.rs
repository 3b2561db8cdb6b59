//! `eval nuscenes` as people and scripts call it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    /// Twelve samples of three scenes with a car and a cone each; the cars of the last scene are not found.
    fn new() -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        let (mut labels, mut found, mut scenes) = (json!({}), json!({}), json!({}));
        for i in 0..12 {
            let token = format!("{i:02}");
            let (car, cone) =
                (cuboid(&token, "car", 10.0 + f64::from(i)), cuboid(&token, "traffic_cone", 5.0));
            labels[&token] = json!([car, cone, cuboid(&token, "car", 70.0)]);
            found[&token] = json!([scored(&cone, 0.9)]);
            if i < 8 {
                found[&token].as_array_mut().unwrap().push(scored(&car, 0.5 + f64::from(i) / 100.0));
            }
            scenes[&token] = json!(format!("scene-{}", i / 4));
        }
        files.write("gt.json", &json!({ "meta": {}, "results": labels, "scenes": scenes }));
        files.write("found.json", &json!({ "meta": { "use_lidar": true }, "results": found }));
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

    fn run(&self, labels: &str, found: &str, flags: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_labelloop"));
        command.args(["eval", "nuscenes"]).arg(self.path(labels)).arg(self.path(found)).args(flags);
        command.output().unwrap()
    }
}

fn cuboid(token: &str, name: &str, x: f64) -> Value {
    json!({
        "sample_token": token, "translation": [600.0 + x, 1600.0, 1.0], "size": [1.9, 4.6, 1.7],
        "rotation": [1, 0, 0, 0], "velocity": [1, 0], "detection_name": name, "ego_translation": [x, 0, 0],
        "attribute_name": if name == "car" { "vehicle.moving" } else { "" }, "num_pts": 9
    })
}

fn scored(cuboid: &Value, score: f64) -> Value {
    let mut scored = cuboid.clone();
    scored["detection_score"] = json!(score);
    scored
}

fn document(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn numbers_are_in_the_document() {
    let files = Files::new();
    let objects = files.path("objects.json");
    let flags = ["--json", "--bootstrap", "50", "--objects", objects.to_str().unwrap()];
    let output = files.run("gt.json", "found.json", &flags);
    let found = document(&output);
    // Two thirds of the cars with a precision of 1: recalls .11 to .66 of .11 to 1.
    let car = &found["classes"]["car"];
    assert!((car["ap"].as_f64().unwrap() - 56.0 / 90.0).abs() < 1e-12, "{car}");
    assert_eq!(
        car["ap_by_distance"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["0.5", "1.0", "2.0", "4.0"]
    );
    assert_eq!((&car["n_labels"], &car["filtered_labels"]["out_of_range"]), (&json!(12), &json!(12)));
    assert_eq!((&car["ATE"], &car["AAE"]), (&json!(0.0), &json!(0.0)));
    let cone = &found["classes"]["traffic_cone"];
    assert_eq!(
        (&cone["ap"], &cone["AOE"], &cone["AVE"], &cone["AAE"]),
        (&json!(1.0), &Value::Null, &Value::Null, &Value::Null)
    );
    assert!((found["mAP"].as_f64().unwrap() - (1.0 + 56.0 / 90.0) / 10.0).abs() < 1e-12);
    assert!(found["NDS"].is_f64() && found["tp_errors"]["ATE"].is_f64());
    assert_eq!(found["ci"]["NDS"]["n_groups"], 3, "scenes are drawn, not samples");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no label that counts of truck"), "{said}");
    let became = &files.read("objects.json")["00"];
    assert_eq!(
        (&became["labels"][0]["kind"], &became["labels"][2]["kind"]),
        (&json!("found"), &json!("filtered"))
    );
    assert_eq!(became["detections"][0]["kind"], "true_positive");
}

#[test]
fn people_get_a_table() {
    let files = Files::new();
    let output = files.run("gt.json", "found.json", &["--present-classes", "--bootstrap", "20"]);
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(words.starts_with("mAP 0.811  NDS "), "{words}");
    assert!(words.contains("AP@0.5") && words.contains("intervals of 95% from 3 groups"), "{words}");
}

#[test]
fn bad_files_are_told_with_their_place() {
    let files = Files::new();
    let mut bad = files.read("found.json");
    bad["results"]["03"][0]["size"] = json!([1, 0, 1]);
    files.write("bad.json", &bad);
    let output = files.run("gt.json", "bad.json", &["--json"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success()
            && said.contains("bad.json, line 1: results.03[0]")
            && said.contains("length"),
        "{said}"
    );
    assert!(document(&files.run("gt.json", "bad.json", &["--json", "--lenient"]))["mAP"].is_f64());

    let mut strange = files.read("found.json");
    strange["results"]["99"] = json!([]);
    files.write("strange.json", &strange);
    let output = files.run("gt.json", "strange.json", &[]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("sample 99"));
}

#[test]
fn nobody_is_fooled_by_a_range_that_is_not_known() {
    let files = Files::new();
    let mut labels = files.read("gt.json");
    for list in labels["results"].as_object_mut().unwrap().values_mut() {
        list.as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(|b| _ = b.as_object_mut().unwrap().remove("ego_translation"));
    }
    files.write("far.json", &labels);
    let output = files.run("far.json", "found.json", &["--json"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("distance from the vehicle is unknown"), "{said}");
    let all = document(&files.run("far.json", "found.json", &["--json", "--no-range-filter"]));
    assert_eq!(all["classes"]["car"]["n_labels"], 24);
}
