//! `qa plan` and `qa chart` as people run them.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId, Seed};
use labelloop_qa::{AnnotatorModel, GoldenImage, GoldenParams, History, HistoryEntry, golden_check};
use serde_json::{Value, json};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labelloop")).args(args).output().unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| unreachable!("{e}: {output:?}"))
}

fn words(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

const QUICK: [&str; 8] =
    ["--sizes", "10,40", "--runs", "20", "--permutations", "99", "--drift", "missed=0.1"];

#[test]
fn a_plan_says_how_many_images_find_a_drift() {
    let plan = document(&run(&[&["--json", "qa", "plan"], &QUICK[..]].concat()));
    assert_eq!(plan["rows"][0]["drift"], json!({ "missed": 0.1 }));
    assert_eq!((plan["rows"][0]["smallest"].as_u64(), plan["smallest"].as_u64()), (Some(40), Some(40)));
    let cells = plan["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells.iter().map(|c| c["n_images"].as_u64().unwrap()).collect::<Vec<_>>(), [10, 40]);
    assert_eq!((plan["n_calibration"].as_u64(), plan["power"].as_f64()), (Some(3), Some(0.8)));
    let words = words(&run(&[&["qa", "plan"], &QUICK[..]].concat()));
    for part in ["missed 10%", "false alarms", "needed for 80%", "40 images find each of these drifts"] {
        assert!(words.contains(part), "{words}");
    }
}

#[test]
fn a_plan_does_not_depend_on_threads() {
    let of = |n: &str| run(&[&["--json", "--threads", n, "qa", "plan"], &QUICK[..]].concat()).stdout;
    assert_eq!(of("1"), of("2"));
}

#[test]
fn wrong_plans_are_refused_with_what_was_expected() {
    for (args, expected) in [
        (&["--drift", "lost=0.1"][..], "expected one of swapped, shrunk"),
        (&["--sizes", "50,20"], "sizes is 20: expected ascending"),
        (&["--power", "2"], "power is 2: expected"),
        (&["--calibration", "a.json"], "--reference"),
        (&["--miss", "1.5"], "miss is 1.5: expected a number from 0 to 1"),
    ] {
        let output = run(&[&["qa", "plan"], args].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(expected), "{args:?}: {error}");
    }
}

/// 30 golden images with six objects each.
struct Golden {
    ids: Vec<SampleId>,
    schema: ClassSchema,
    truth: Vec<LabelledBox>,
}

impl Golden {
    fn new() -> Self {
        let object = |k: u32| {
            let place = BBox::new(20.0 + 100.0 * f64::from(k), 100.0, 60.0, 50.0).unwrap();
            LabelledBox::new(ClassIdx(k % 2), place)
        };
        Self {
            ids: (0..30).map(|i| SampleId::new(format!("g{i:02}.png")).unwrap()).collect(),
            schema: ClassSchema::new(["car", "van"]).unwrap(),
            truth: (0..6).map(object).collect(),
        }
    }

    fn images<'a>(&'a self, labels: &'a [Vec<LabelledBox>]) -> Vec<GoldenImage<'a>> {
        let size = ImageSize::new(640, 480).unwrap();
        self.ids.iter().zip(labels).map(|(id, boxes)| GoldenImage { id, size, boxes }).collect()
    }

    fn label(&self, people: AnnotatorModel, seed: u64) -> Vec<Vec<LabelledBox>> {
        let truth = vec![self.truth.clone(); self.ids.len()];
        let people = people.check().unwrap();
        self.images(&truth).iter().map(|i| people.annotate(i, 2, Seed::new(seed))).collect()
    }

    fn coco(&self, labels: &[Vec<LabelledBox>]) -> Value {
        let images = self.ids.iter().zip(0..);
        let images: Vec<Value> = images
            .map(|(id, i)| json!({ "id": i, "file_name": id.as_str(), "width": 640, "height": 480 }))
            .collect();
        let boxes = labels.iter().enumerate().flat_map(|(i, boxes)| boxes.iter().map(move |b| (i, b)));
        let annotations: Vec<Value> = boxes
            .enumerate()
            .map(|(k, (i, b))| {
                let bbox = b.bbox.to_xywh();
                json!({ "id": k + 1, "image_id": i, "category_id": 1 + b.class.0, "bbox": bbox, "iscrowd": 0 })
            })
            .collect();
        let categories = json!([{ "id": 1, "name": "car" }, { "id": 2, "name": "van" }]);
        json!({ "images": images, "annotations": annotations, "categories": categories })
    }

    /// A history of five quiet rounds and of `n_drifted` in which every box is drawn too small.
    fn history(&self, n_drifted: u64, folder: &Path) -> PathBuf {
        let truth = vec![self.truth.clone(); self.ids.len()];
        let usual = AnnotatorModel::default();
        let calibration: Vec<_> = (100..103).map(|k| self.label(usual, k)).collect();
        let calibration: Vec<_> = calibration.iter().map(|l| self.images(l)).collect();
        let mut history = History::default();
        for iteration in 0..5 + n_drifted {
            let scale = if iteration < 5 { 1.0 } else { 0.985 };
            let current = self.label(AnnotatorModel { scale, ..usual }, iteration);
            let params = GoldenParams { n_permutations: 99, ..GoldenParams::default() };
            let (truth, current) = (self.images(&truth), self.images(&current));
            let report = golden_check(&truth, &calibration, &current, &self.schema, &params).unwrap();
            history.upsert(HistoryEntry::of(iteration, "1", &report)).unwrap();
        }
        let path = folder.join("history.json");
        std::fs::write(&path, serde_json::to_string(&history).unwrap()).unwrap();
        path
    }
}

#[test]
fn a_plan_takes_images_and_slips_from_ones_own_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let golden = Golden::new();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let truth = vec![golden.truth.clone(); golden.ids.len()];
    std::fs::write(path("r.json"), golden.coco(&truth).to_string()).unwrap();
    let careless = AnnotatorModel { swap: 0.2, ..AnnotatorModel::default() };
    for k in ["a.json", "b.json"] {
        let labels = golden.label(careless, k.len() as u64 + u64::from(k.as_bytes()[0]));
        std::fs::write(path(k), golden.coco(&labels).to_string()).unwrap();
    }
    let (reference, a, b) = (path("r.json"), path("a.json"), path("b.json"));
    let own = ["--reference", &reference, "--calibration", &a, &b];
    let plan = document(&run(&[&["--json", "qa", "plan"], &QUICK[..], &own].concat()));
    assert_eq!((plan["objects_per_image"].as_f64(), plan["n_calibration"].as_u64()), (Some(6.0), Some(2)));
    let swap = plan["people"]["swap"].as_f64().unwrap();
    assert!((swap - 0.2).abs() < 0.08, "{swap}");
    let told = [&["--json", "qa", "plan"], &QUICK[..], &own, &["--swap", "0.01"]].concat();
    assert_eq!(document(&run(&told))["people"]["swap"].as_f64(), Some(0.01), "what is given goes before");
}

#[test]
fn a_chart_shows_a_slow_drift_and_stops_with_status_3() {
    let folder = tempfile::tempdir().unwrap();
    let golden = Golden::new();
    let quiet = golden.history(0, folder.path());
    let quiet = run(&["--json", "qa", "chart", quiet.to_str().unwrap()]);
    assert_eq!(quiet.status.code(), Some(0), "{quiet:?}");
    let chart = document(&quiet);
    assert_eq!(chart["points"].as_array().unwrap().len(), 5);
    assert_eq!(chart["signals"].as_array().unwrap().len(), 0, "{chart}");
    let path = golden.history(6, folder.path());
    let drifted = run(&["qa", "chart", path.to_str().unwrap()]);
    assert_eq!(drifted.status.code(), Some(3), "{drifted:?}");
    let words = String::from_utf8(drifted.stdout).unwrap();
    for part in
        ["golden set 1: 11 rounds", "a false alarm in 20 rounds has probability 0.05", "log_size down by"]
    {
        assert!(words.contains(part), "{words}");
    }
}

#[test]
fn a_chart_of_a_project_is_that_of_its_history() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = folder.path().join("metrics");
    std::fs::create_dir_all(&metrics).unwrap();
    let path = Golden::new().history(0, folder.path());
    std::fs::rename(&path, metrics.join("golden_qa_history.json")).unwrap();
    let chart = document(&run(&["--json", "qa", "chart", "--project", folder.path().to_str().unwrap()]));
    assert_eq!((chart["golden_version"].as_str(), chart["n_rounds"].as_u64()), (Some("1"), Some(20)));
}

#[test]
fn charts_of_nothing_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.json");
    let file = path.to_str().unwrap();
    let refusal = |args: &[&str]| {
        let output = run(&[&["qa", "chart"], args].concat());
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refusal(&[file]).contains("expected a history of golden checks"));
    std::fs::write(&path, "[]").unwrap();
    assert!(refusal(&[file]).contains("the history has no golden version"));
    std::fs::write(&path, "{}").unwrap();
    assert!(refusal(&[file]).contains("no history of golden checks"));
    assert!(refusal(&[]).contains("HISTORY.json"));
    let path = Golden::new().history(0, folder.path());
    let found = refusal(&[path.to_str().unwrap(), "--golden-version", "7"]);
    assert!(found.contains("no golden version 7: expected one of 1"), "{found}");
}
