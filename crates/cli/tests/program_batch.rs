//! A batch on its way to people and back, as they type it: `init`, `import`, `split`, `select`, `export`, `import --batch`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use labelloop_media::{RgbImage, encode_png};
use serde_json::{Value, json};

/// A project whose first batch was selected.
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
        let rows: Vec<Value> = (0..40)
            .map(|i| {
                let name = format!("{i:02}.png");
                std::fs::write(images.join(&name), encode_png(&scene(i)).unwrap()).unwrap();
                json!({ "id": i + 1, "file_name": name, "width": 96, "height": 72 })
            })
            .collect();
        let classes = json!([{ "id": 1, "name": "cell" }, { "id": 2, "name": "plate" }]);
        let coco = json!({ "images": rows, "annotations": [], "categories": classes });
        std::fs::write(root.join("coco.json"), coco.to_string()).unwrap();
        let fixture = Self { _temp: temp, root };
        let (coco, images) = (fixture.path("coco.json"), fixture.path("images"));
        fixture.done(&["init", &fixture.path("p"), "--coco", &coco, "--media", &images]);
        fixture.done_here(&["import", &coco]);
        fixture.done_here(&["split"]);
        fixture.done_here(&["select"]);
        fixture
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

    fn done(&self, args: &[&str]) -> String {
        words(&self.run(args))
    }

    fn done_here(&self, args: &[&str]) -> String {
        words(&self.run_here(args))
    }

    fn n_generations(&self) -> usize {
        self.done_here(&["history"]).lines().count()
    }
}

fn words(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn scene(seed: u64) -> RgbImage {
    common::rectangles(seed, (96, 72), 24, (45, 40))
}

/// What a person draws in Label Studio.
fn annotation(class: Option<&str>) -> Value {
    let rectangle = |class| {
        json!({
            "from_name": "label", "to_name": "image", "type": "rectanglelabels",
            "original_width": 96, "original_height": 72,
            "value": { "x": 25, "y": 25, "width": 50, "height": 50, "rotation": 0, "rectanglelabels": [class] },
        })
    };
    let result: Vec<Value> = class.map(rectangle).into_iter().collect();
    json!([{ "id": 9, "completed_by": 7, "updated_at": "2026-11-20T10:05:00Z", "result": result }])
}

fn tasks(path: &str) -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(Path::new(path)).unwrap()).unwrap()
}

#[test]
fn a_batch_goes_to_label_studio_and_comes_back() {
    let f = Fixture::new();
    assert!(f.done_here(&["status"]).contains("wait for labels: labelloop export"));
    let out = f.path("batch");
    f.done_here(&["export", "--format", "label-studio", "--media", "copy", "--out", &out]);
    let mut tasks = tasks(&f.path("batch/tasks.json"));
    let pictures = std::fs::read_dir(f.path("batch/images")).unwrap().count();
    assert!(!tasks.is_empty() && pictures == tasks.len());
    let config = std::fs::read_to_string(f.path("batch/label_studio_config.xml")).unwrap();
    assert!(config.contains("cell") && config.contains("plate"));

    // A class that is no class of the project: refused by name, and nothing has changed.
    let (back, before) = (f.path("back.json"), f.n_generations());
    let import = ["import", "--batch", "0", back.as_str(), "--format", "label-studio"];
    tasks[0]["annotations"] = annotation(Some("cel"));
    std::fs::write(&back, Value::Array(tasks.clone()).to_string()).unwrap();
    let refused = f.run_here(&import);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("back.json") && said.contains("\"cel\"") && said.contains("did you mean \"cell\""),
        "{said}"
    );
    assert_eq!(f.n_generations(), before);

    tasks[0]["annotations"] = annotation(Some("cell"));
    tasks[1]["annotations"] = annotation(None);
    std::fs::write(&back, Value::Array(tasks).to_string()).unwrap();
    assert!(f.done_here(&import).contains("1 annotated, 1 verified empty"));
    assert_eq!(f.n_generations(), before + 1, "labels land in one commit");
    f.done_here(&import);
    assert_eq!(f.n_generations(), before + 1, "the same file again changes nothing");
    let diff = f.done_here(&["history", "diff", &(before - 1).to_string(), &before.to_string()]);
    assert!(
        diff.contains("selected to annotated: 1") && diff.contains("selected to verified_empty: 1"),
        "{diff}"
    );
    assert!(f.done_here(&["doctor"]).contains("no damage and no contradiction"));
}
