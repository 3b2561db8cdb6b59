//! `qa golden` on files as labelling tools write them.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use labelloop_core::Seed;
use serde_json::{Value, json};

const N_IMAGES: u64 = 30;

/// 30 images with six objects of two classes each; `jitter` is by how many pixels edges are off.
fn round(seed: u64, jitter: f64) -> Value {
    let noise = Seed::new(seed);
    let annotation = |k: u64| {
        let off = |i: u64| jitter * noise.normal(4 * k + i);
        let (left, top) = (20.0 + 90.0 * (k % 6) as f64, 100.0);
        let bbox = [left + off(0), top + off(1), 60.0 + off(2), 50.0 + off(3)];
        json!({ "id": k + 1, "image_id": k / 6, "category_id": 1 + k % 2, "bbox": bbox, "iscrowd": 0 })
    };
    let image = |i: u64| json!({ "id": i, "file_name": format!("g{i:02}.png"), "width": 640, "height": 480 });
    json!({
        "images": (0..N_IMAGES).map(image).collect::<Vec<_>>(),
        "annotations": (0..6 * N_IMAGES).map(annotation).collect::<Vec<_>>(),
        "categories": [{ "id": 1, "name": "car" }, { "id": 2, "name": "van" }],
    })
}

struct Golden {
    folder: tempfile::TempDir,
}

impl Golden {
    fn new() -> Self {
        let golden = Self { folder: tempfile::tempdir().unwrap() };
        golden.write("reference", &round(0, 0.0).to_string());
        (1..4).for_each(|k| golden.write(&format!("before{k}"), &round(k, 1.5).to_string()));
        golden
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.json"))
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn check(&self, current: &str) -> Output {
        self.write("current", current);
        self.run(&["before1", "before2", "before3"])
    }

    fn run(&self, calibration: &[&str]) -> Output {
        let calibration: Vec<PathBuf> = calibration.iter().map(|name| self.path(name)).collect();
        golden(&self.path("reference"), &calibration, &self.path("current"), "coco")
    }
}

fn golden(reference: &Path, calibration: &[PathBuf], current: &Path, format: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_labelloop"));
    command.args(["--json", "qa", "golden", "--format", format, "--reference"]).arg(reference);
    for path in calibration {
        command.arg("--calibration").arg(path);
    }
    command.arg("--current").arg(current).output().unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| unreachable!("{e}: {output:?}"))
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn classes_go_by_name_and_not_by_their_place_in_the_file() {
    let golden = Golden::new();
    let mut same = round(9, 1.5);
    // The same labels from a tool that lists its classes the other way round.
    same["categories"] = json!([{ "id": 7, "name": "van" }, { "id": 8, "name": "car" }]);
    for a in same["annotations"].as_array_mut().unwrap() {
        a["category_id"] = json!(if a["category_id"] == json!(1) { 8 } else { 7 });
    }
    let quiet = report(&golden.check(&same.to_string()));
    let wrong = |r: &Value| {
        let rows = r["statistics"].as_array().unwrap();
        rows.iter().find(|row| row["statistic"] == "wrong_class").unwrap()["current"].as_f64().unwrap()
    };
    assert_eq!(wrong(&quiet), 0.0, "{quiet}");
    // Every object of the other class: the numbers are those of the reference, the names are not.
    let mut swapped = round(9, 1.5);
    swapped["categories"] = json!([{ "id": 1, "name": "van" }, { "id": 2, "name": "car" }]);
    let output = golden.check(&swapped.to_string());
    assert_eq!((output.status.code(), wrong(&report(&output))), (Some(3), 1.0));
}

#[test]
fn a_class_that_the_reference_does_not_know_is_refused_by_name() {
    let golden = Golden::new();
    let mut slip = round(9, 1.5);
    slip["categories"][1]["name"] = json!("vans");
    let said = refusal(&golden.check(&slip.to_string()));
    assert!(said.contains("current.json") && said.contains("did you mean \"van\""), "{said}");
}

#[test]
fn a_box_that_cannot_be_read_is_not_taken_for_missed() {
    let golden = Golden::new();
    let mut broken = round(9, 1.5);
    broken["annotations"][3]["bbox"][0] = json!("HERE");
    let said = refusal(&golden.check(&broken.to_string().replace("\"HERE\"", "NaN")));
    assert!(said.contains("annotations[3].bbox") && said.contains("would count as missed"), "{said}");
}

#[test]
fn images_have_to_be_those_of_the_reference() {
    let golden = Golden::new();
    let mut few = round(9, 1.5);
    few["images"].as_array_mut().unwrap().pop();
    few["annotations"].as_array_mut().unwrap().truncate(6 * 29);
    let said = refusal(&golden.check(&few.to_string()));
    assert!(said.contains("lacks 1 of the 30 reference samples, first g29"), "{said}");
    let mut many = round(9, 1.5);
    let stranger = json!({ "id": 99, "file_name": "stranger.png", "width": 640, "height": 480 });
    many["images"].as_array_mut().unwrap().push(stranger);
    let said = refusal(&golden.check(&many.to_string()));
    assert!(said.contains("first stranger"), "{said}");
}

#[test]
fn little_evidence_is_inconclusive_and_says_why() {
    let golden = Golden::new();
    golden.write("current", &round(9, 1.5).to_string());
    let one = report(&golden.run(&["before1"]));
    assert_eq!(one["verdict"], "INCONCLUSIVE");
    assert!(one["notes"].to_string().contains("one_calibration_round"), "{one}");
    let mut empty = round(0, 0.0);
    empty["annotations"] = json!([]);
    for name in ["reference", "before1", "before2", "current"] {
        golden.write(name, &empty.to_string());
    }
    let nothing = report(&golden.run(&["before1", "before2"]));
    assert_eq!((&nothing["verdict"], &nothing["p_value"]), (&json!("INCONCLUSIVE"), &Value::Null));
    assert!(nothing["notes"].to_string().contains("no_reference_objects"), "{nothing}");
}

#[test]
fn a_round_that_came_back_empty_fails_and_names_it() {
    let golden = Golden::new();
    let mut empty = round(0, 0.0);
    empty["annotations"] = json!([]);
    let output = golden.check(&empty.to_string());
    let found = report(&output);
    assert_eq!((output.status.code(), &found["verdict"]), (Some(3), &json!("FAIL")));
    assert_eq!(found["attribution"]["statistic"], "left_empty");
    assert!(!found["notes"].to_string().contains("too_few"), "a set that saw it is large enough: {found}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let golden = Golden::new();
    golden.write("current", &round(9, 1.5).to_string());
    assert!(refusal(&golden.run(&["nowhere"])).contains("nowhere.json"));
}

/// Tasks of Label Studio with one person's rectangles, in percent of the picture.
fn tasks(seed: u64, jitter: f64, annotator: &str) -> Value {
    let noise = Seed::new(seed);
    let rectangle = |k: u64| {
        let off = |i: u64| jitter * noise.normal(4 * k + i);
        let value = json!({
            "x": 5.0 + 15.0 * (k % 6) as f64 + off(0), "y": 20.0 + off(1), "width": 10.0 + off(2), "height": 12.0 + off(3),
            "rotation": 0, "rectanglelabels": [if k.is_multiple_of(2) { "car" } else { "van" }],
        });
        json!({
            "id": format!("r{k}"), "type": "rectanglelabels", "from_name": "label", "to_name": "image",
            "original_width": 640, "original_height": 480, "image_rotation": 0, "value": value,
        })
    };
    let task = |i: u64| {
        let result: Vec<Value> = (6 * i..6 * i + 6).map(rectangle).collect();
        json!({
            "id": i + 1, "data": { "image": format!("g{i:02}.png") },
            "annotations": [{ "id": i + 1, "completed_by": { "email": annotator }, "result": result }],
        })
    };
    (0..N_IMAGES).map(task).collect()
}

#[test]
fn label_studio_says_who_drifted_and_which_task_nobody_answered() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, tasks: &Value| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, tasks.to_string()).unwrap();
        path
    };
    let reference = write("reference.json", &tasks(0, 0.0, "expert"));
    let before = [write("a.json", &tasks(1, 0.2, "ann")), write("b.json", &tasks(2, 0.2, "bea"))];
    // Ann labels the first half as ever, and Bea confuses the classes of the second.
    let mut now = tasks(3, 0.2, "ann");
    for task in &mut now.as_array_mut().unwrap()[15..] {
        task["annotations"][0]["completed_by"]["email"] = json!("bea");
        for drawn in task["annotations"][0]["result"].as_array_mut().unwrap() {
            drawn["value"]["rectanglelabels"] = json!(["car"]);
        }
    }
    let output = golden(&reference, &before, &write("now.json", &now), "label-studio");
    let found = report(&output);
    assert_eq!((output.status.code(), &found["attribution"]["statistic"]), (Some(3), &json!("wrong_class")));
    assert_eq!(found["attribution"]["annotators"][0]["name"], "bea", "{found}");
    now[7]["annotations"] = json!([]);
    let said = refusal(&golden(&reference, &before, &write("now.json", &now), "label-studio"));
    assert!(said.contains("lacks 1 of the 30 reference samples, first g07"), "{said}");
}

/// A KITTI folder with eight cars in each of 40 scans; `shift` is by how many metres they are too far away.
fn scans(folder: &Path, seed: u64, shake: f64, shift: f64) -> PathBuf {
    for part in ["label_2", "calib", "velodyne"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
    }
    std::fs::write(folder.join("classes.txt"), "Car\n").unwrap();
    let noise = Seed::new(seed);
    let line = |k: u64| {
        let off = |i: u64| shake * noise.normal(7 * k + i);
        let (x, z) = (-14.0 + 4.0 * (k % 8) as f64 + off(0), 20.0 + shift + off(1));
        let [h, w, l] = [1.5, 1.6, 4.0].map(|side| side + 0.3 * off(side as u64));
        format!(
            "Car 0.00 0 0.00 -1 -1 -1 -1 {h:.3} {w:.3} {l:.3} {x:.3} {:.3} {z:.3} {:.3}\n",
            1.6 + off(5),
            0.2 * off(6)
        )
    };
    for scan in 0..40 {
        let name = format!("{scan:06}");
        let lines: String = (8 * scan..8 * scan + 8).map(line).collect();
        std::fs::write(folder.join("label_2").join(format!("{name}.txt")), lines).unwrap();
        std::fs::write(folder.join("velodyne").join(format!("{name}.bin")), [0; 16]).unwrap();
        let calibration = "P2: 700 0 600 0 0 700 180 0 0 0 1 0\nR0_rect: 1 0 0 0 1 0 0 0 1\nTr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 -0.3\n";
        std::fs::write(folder.join("calib").join(format!("{name}.txt")), calibration).unwrap();
    }
    folder.to_owned()
}

#[test]
fn cuboids_of_kitti_folders_are_compared_in_the_frame_of_the_sensor() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let reference = scans(&at("reference"), 0, 0.0, 0.0);
    let before = [scans(&at("a"), 1, 0.1, 0.0), scans(&at("b"), 2, 0.1, 0.0), scans(&at("c"), 3, 0.1, 0.0)];
    let quiet = golden(&reference, &before, &scans(&at("quiet"), 4, 0.1, 0.0), "kitti");
    assert_eq!(quiet.status.code(), Some(0), "{quiet:?}");
    let output = golden(&reference, &before, &scans(&at("far"), 5, 0.1, 0.3), "kitti");
    let found = report(&output);
    assert_eq!((output.status.code(), &found["kind"]), (Some(3), &json!("point_cloud")), "{found}");
    assert_eq!(found["attribution"]["statistic"], "shift_x", "forward, as the lidar has it: {found}");
}
