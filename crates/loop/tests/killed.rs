//! A run that is killed with SIGKILL, at every step boundary and at random instants inside steps, and resumed each
//! time, leaves the same bytes as a run that was not disturbed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::files;
use labelloop_core::{Progress, Seed};
use labelloop_embed::Descriptor;
use labelloop_loop::state::{Phase, Step};
use labelloop_loop::{Begin, Event, Observer, Project, Run};

const FOLDER: &str = "LABELLOOP_KILLED_FOLDER";
const STEPS: &str = "LABELLOOP_KILLED_AFTER_STEPS";

/// Not a test of its own: the other tests run it as a child process.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let n_steps = std::env::var(STEPS).ok().and_then(|n| n.parse::<usize>().ok());
    let project = Project::open(Path::new(&folder)).unwrap();
    let observer = Fatal { left: std::sync::Mutex::new(n_steps) };
    let phase = Run::begin(&project, Begin::Resume, &observer).unwrap().go().unwrap();
    assert!(matches!(phase, Phase::Finished { .. }), "{phase:?}");
}

/// Kills its own process after a number of steps.
struct Fatal {
    left: std::sync::Mutex<Option<usize>>,
}

impl Progress for Fatal {
    fn advance(&self, _: &str, _: u64, _: u64) {}
}

impl Observer for Fatal {
    fn event(&self, _: &Event) {}

    fn step_done(&self, _: u32, _: Step) {
        let mut left = self.left.lock().unwrap();
        *left = left.map(|n| n - 1);
        if *left == Some(0) {
            let me = std::process::id().to_string();
            Command::new("kill").args(["-9", &me]).status().unwrap();
            std::thread::sleep(Duration::from_secs(60));
        }
    }
}

#[test]
fn killed_at_every_step_boundary_and_resumed() {
    let scratch = tempfile::tempdir().unwrap();
    let (calm, killed) = (scratch.path().join("calm"), scratch.path().join("killed"));
    common::project(&calm, &common::config());
    copy(&calm, &killed);
    assert!(spawn(&calm, None).wait().unwrap().success());
    let mut n_kills = 0;
    while !spawn(&killed, Some(1)).wait().unwrap().success() {
        n_kills += 1;
        assert!(n_kills <= 40, "the run does not get on");
    }
    assert!(15 <= n_kills, "two iterations have sixteen steps, {n_kills} were killed");
    assert_same(&calm, &killed);
}

#[test]
fn killed_inside_steps_and_resumed() {
    let scratch = tempfile::tempdir().unwrap();
    let (calm, killed) = (scratch.path().join("calm"), scratch.path().join("killed"));
    common::project(&calm, &common::config());
    copy(&calm, &killed);
    let begun = std::time::Instant::now();
    assert!(spawn(&calm, None).wait().unwrap().success());
    // Lives are long enough to get on and short enough to end inside a step.
    let longest = (begun.elapsed() / 3).max(Duration::from_millis(60));
    let chance = Seed::new(5);
    for i in 0..60 {
        let mut process = spawn(&killed, None);
        std::thread::sleep(longest.mul_f64(chance.unit(i)));
        process.kill().unwrap();
        if process.wait().unwrap().success() {
            break;
        }
    }
    assert!(spawn(&killed, None).wait().unwrap().success());
    assert_same(&calm, &killed);
}

fn spawn(folder: &Path, n_steps: Option<usize>) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(FOLDER, folder);
    if let Some(n) = n_steps {
        command.env(STEPS, n.to_string());
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn copy(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn assert_same(calm: &Path, killed: &Path) {
    let (a, b) = (files(calm), files(killed));
    let names = |m: &BTreeMap<PathBuf, Vec<u8>>| m.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    let n_row_bytes = 4 * Descriptor::default().n_dims();
    for (name, bytes) in &a {
        // Vectors stand in the order in which they were done, which threads decide, killed or not.
        let is_same = match name.extension().and_then(|ending| ending.to_str()) {
            Some("f32") => sorted(bytes, n_row_bytes) == sorted(&b[name], n_row_bytes),
            Some("keys") => sorted(bytes, 64) == sorted(&b[name], 64),
            _ => b[name] == *bytes,
        };
        assert!(is_same, "{} differs", name.display());
    }
}

/// Records of one length, sorted.
fn sorted(bytes: &[u8], n_bytes: usize) -> Vec<&[u8]> {
    let mut records: Vec<&[u8]> = bytes.chunks(n_bytes).collect();
    records.sort_unstable();
    records
}
