//! Golden pictures in the batches that people get, as they type it: a run that pauses, `export`, a script that labels, `import
//! --batch`, and golden QA on what came back.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod common;

use std::path::PathBuf;
use std::process::{Command, Output};

use labelloop_core::Seed;
use labelloop_media::encode_png;
use serde_json::{Value, json};

const N_PICTURES: u64 = 80;
const N_OBJECTS: u64 = 6;

/// A project of people whose golden set is three tenths of 80 pictures with six objects each.
struct Fixture {
    _temp: tempfile::TempDir,
    root: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().to_owned();
        let images = root.join("images");
        std::fs::create_dir(&images).unwrap();
        let mut rows = Vec::new();
        let mut annotations = Vec::new();
        for i in 0..N_PICTURES {
            let name = name(i);
            let picture = common::rectangles(i, (96, 72), 24, (45, 40));
            std::fs::write(images.join(&name), encode_png(&picture).unwrap()).unwrap();
            rows.push(
                json!({ "id": i + 1, "file_name": name, "width": 96, "height": 72, "split": "secret" }),
            );
            annotations.extend(objects(i, 0, 0.0, 0.0).into_iter().enumerate().map(|(k, (class, bbox))| {
                let id = i * N_OBJECTS + k as u64 + 1;
                json!({ "id": id, "image_id": i + 1, "category_id": class, "bbox": bbox, "iscrowd": 0 })
            }));
        }
        let coco = json!({ "images": rows, "annotations": annotations, "categories": classes() });
        std::fs::write(root.join("coco.json"), coco.to_string()).unwrap();
        let fixture = Self { _temp: temp, root };
        let (coco, images) = (fixture.path("coco.json"), fixture.path("images"));
        let init = ["init", &fixture.path("p"), "--coco", &coco, "--media", &images];
        words(&fixture.run(&init));
        fixture.configure(&[
            ("golden = 0.05", "golden = 0.3"),
            ("pool = 0.65", "pool = 0.4"),
            ("calibration_rounds = 3", "calibration_rounds = 3\nhoneypots = 16"),
            ("pass_multiple = 2.0", "pass_multiple = 1e6"),
            ("n_permutations = 999", "n_permutations = 199"),
            ("n_bootstrap = 200", "n_bootstrap = 10"),
            ("first_batch = 30", "first_batch = 5"),
            ("plateau_iterations = 3", "plateau_iterations = 50"),
            ("overfit_gap = 0.05", "overfit_gap = 1.0"),
        ]);
        fixture
    }

    fn configure(&self, changes: &[(&str, &str)]) {
        let path = self.root.join("p/labelloop.toml");
        let mut text = std::fs::read_to_string(&path).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{from} in {text}");
            text = text.replacen(from, to, 1);
        }
        std::fs::write(path, text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.root.join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_labelloop")).args(args).output().unwrap()
    }

    fn run_here(&self, args: &[&str]) -> Output {
        self.run(&[args, &["--project", &self.path("p")]].concat())
    }

    fn done_here(&self, args: &[&str]) -> String {
        words(&self.run_here(args))
    }

    fn resume(&self) -> Output {
        self.run(&["run", "--config", &self.path("p/labelloop.toml"), "--resume"])
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.root.join("p").join(path)).unwrap()).unwrap()
    }

    /// Exports the batch, labels what it shows, and takes the answers in.
    fn label(&self, iteration: u64, swap: f64, by: &str) -> String {
        let out = self.path(&format!("out-{iteration}-{by}"));
        self.done_here(&["export", "--out", &out]);
        let mut batch: Value =
            serde_json::from_slice(&std::fs::read(self.root.join(&out).join("batch.json")).unwrap()).unwrap();
        let text = batch.to_string();
        assert!(!text.contains("secret") && !text.contains("golden"), "{text}");
        let mut annotations = Vec::new();
        for image in batch["images"].as_array_mut().unwrap() {
            // Somebody has looked at it.
            image.as_object_mut().unwrap().retain(|key, _| !key.contains("label"));
            let file = image["file_name"].as_str().unwrap();
            let i: u64 = file.trim_end_matches(".png").parse().unwrap();
            for (class, bbox) in objects(i, iteration + 1, 0.4, swap) {
                let id = annotations.len() + 1;
                annotations.push(json!({
                    "id": id, "image_id": image["id"], "category_id": class, "bbox": bbox, "iscrowd": 0,
                }));
            }
        }
        batch["annotations"] = Value::Array(annotations);
        batch["categories"] = classes();
        let back = self.path("back.json");
        std::fs::write(&back, batch.to_string()).unwrap();
        self.done_here(&["import", "--batch", &iteration.to_string(), &back, "--annotator", by])
    }
}

fn name(i: u64) -> String {
    format!("{i:03}.png")
}

fn classes() -> Value {
    json!([{ "id": 1, "name": "cell" }, { "id": 2, "name": "plate" }])
}

/// Objects of a picture as drawn in one round: off by some pixels, of the wrong class as often as said.
fn objects(picture: u64, round: u64, off: f64, swap: f64) -> Vec<(u64, [f64; 4])> {
    let (true_ones, hand) =
        (Seed::new(picture).stream("objects"), Seed::new(round).stream(&picture.to_string()));
    (0..N_OBJECTS)
        .map(|k| {
            let shake = |axis| off * hand.normal(4 * k + axis);
            let side = 14.0 + 10.0 * true_ones.unit(k);
            let (x, y) = (4.0 + 30.0 * (k % 3) as f64, 4.0 + 34.0 * (k / 3) as f64);
            let class = (k % 2) ^ u64::from(hand.stream("swap").unit(k) < swap);
            (class + 1, [x + shake(0), y + shake(1), side + shake(2), side + shake(3)])
        })
        .collect()
}

fn words(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn people_are_checked_on_pictures_that_they_cannot_tell_from_the_rest() {
    let f = Fixture::new();
    assert!(said(&f.resume()).contains("waiting"), "the run pauses for people");
    let honeypots = f.json("iterations/iteration_0/honeypots.json");
    assert_eq!(honeypots["picks"].as_array().unwrap().len(), 16, "{honeypots}");
    let status = f.done_here(&["status"]);
    assert!(status.contains("21 samples of batch 0 wait for labels"), "5 and 16: {status}");

    // Two honest rounds: the first against the margins, the second shows the rest of the golden set and some again.
    let told = f.label(0, 0.0, "anna");
    assert!(
        told.contains("labels of 21 pictures taken in") && told.contains("16 of them for golden QA"),
        "{told}"
    );
    assert!(f.label(0, 0.0, "anna").contains("nothing new"), "the same file again changes nothing");
    for iteration in 0..3 {
        if 0 < iteration {
            f.label(iteration, 0.0, "anna");
        }
        let resumed = f.resume();
        assert!(resumed.status.success(), "{}", said(&resumed));
        let qa = f.json(&format!("iterations/iteration_{iteration}/qa.json"));
        let verdict = qa["report"]["verdict"].as_str().unwrap();
        assert!(["PASS", "INCONCLUSIVE", "WARN"].contains(&verdict), "{qa}");
        assert_eq!((&qa["golden_version"], &qa["n_shown"]), (&json!("1"), &json!(16)));
    }

    // Somebody who swaps classes is stopped before training, by name.
    f.label(3, 0.5, "bob");
    let refused = f.resume();
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert!(said(&refused).contains("wrong_class"), "{}", said(&refused));
    let qa = f.json("iterations/iteration_3/qa.json");
    assert_eq!(qa["report"]["attribution"]["annotators"][0]["name"], "bob", "{qa}");
    assert!(!f.root.join("p/iterations/iteration_3/metadata.json").exists(), "nothing was trained");
    assert!(f.done_here(&["doctor"]).contains("no damage and no contradiction"));

    // Who labels again with care goes on, and what was refused stays on record.
    f.label(3, 0.0, "bob");
    assert!(f.resume().status.success());
    let qa = f.json("iterations/iteration_3/qa.json");
    assert_eq!((&qa["refused"]["verdict"], &qa["override_reason"]), (&json!("FAIL"), &Value::Null), "{qa}");
    assert_ne!(qa["report"]["verdict"], "FAIL");

    // Nothing golden was trained on: every picture that was is of the pool.
    let golden: Vec<&Value> = honeypots["picks"].as_array().unwrap().iter().map(|p| &p["id"]).collect();
    let batches: Vec<String> =
        (0..4).map(|i| f.json(&format!("iterations/iteration_{i}/batch.json")).to_string()).collect();
    assert!(golden.iter().all(|id| batches.iter().all(|b| !b.contains(&format!("\"id\":{id}")))));
    let trained = f.json("iterations/iteration_0/metadata.json");
    assert_eq!(trained["n_images"], 5, "the golden ones are not among them: {trained}");
}

#[test]
fn a_corrected_reference_becomes_a_version() {
    let f = Fixture::new();
    f.resume();
    let listed: Value = serde_json::from_str(&f.done_here(&["qa", "version", "--json"])).unwrap();
    assert_eq!((&listed["is_current"], listed["versions"].as_array().unwrap().len()), (&json!(true), 1));
    let honeypots = f.json("iterations/iteration_0/honeypots.json");
    let id = honeypots["picks"][0]["id"].as_str().unwrap().to_owned();
    // What the annotation guide says now: the first object is none.
    let coco: Value = serde_json::from_slice(&std::fs::read(f.root.join("coco.json")).unwrap()).unwrap();
    let is_it =
        |i: &&Value| i["file_name"].as_str().is_some_and(|f| f == id || f.trim_end_matches(".png") == id);
    let image = coco["images"].as_array().unwrap().iter().find(is_it).unwrap();
    let kept: Vec<&Value> = coco["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|a| a["image_id"] == image["id"])
        .skip(1)
        .collect();
    let corrected = json!({ "images": [image], "annotations": kept, "categories": classes() });
    let path = f.path("corrected.json");
    std::fs::write(&path, corrected.to_string()).unwrap();
    let silent = f.run_here(&["qa", "version", "--reason", " ", "--reference", &path]);
    assert_eq!(silent.status.code(), Some(1), "{}", said(&silent));
    let made = f.done_here(&["qa", "version", "--reason", "posters are no plates", "--reference", &path]);
    assert!(made.contains("golden version 2") && made.contains(&format!("1 edited ({id})")), "{made}");
    let listed = f.done_here(&["qa", "version"]);
    assert!(
        listed.contains("posters are no plates") && listed.contains("that of the last version"),
        "{listed}"
    );
    let again = f.run_here(&["qa", "version", "--reason", "once more"]);
    assert!(!again.status.success() && said(&again).contains("version 2"), "{}", said(&again));
}
