//! A writer process is killed at random moments; whatever it leaves must open and be one of its commits.
//!
//! `LABELLOOP_KILLS` is the number of kills of each kind, for more than the few of an ordinary run.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::schema;
use labelloop_core::Seed;
use labelloop_dataset::{Dataset, DatasetDir, GROUND_TRUTH, SplitParams};
use tempfile::TempDir;

const FOLDER: &str = "LABELLOOP_KILL_TEST_FOLDER";
const WORK: &str = "LABELLOOP_KILL_TEST_WORK";
const DONE: &str = "done ";
const N_SAMPLES: usize = 120;

/// How many kills there are to be.
fn n_kills(few: u64) -> u64 {
    std::env::var("LABELLOOP_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(few)
}

/// Content of a generation as a function of a number, so that the parent can tell whole commits from mixtures.
fn fill(d: &mut Dataset, number: u64) {
    d.set_info("number", number.into());
    let scores = d.samples().keys().map(|id| (id.clone(), number as f64)).collect::<BTreeMap<_, _>>();
    d.set_scores("number", scores).unwrap();
}

/// The number that a snapshot was filled with, in all of its parts.
fn number_of(d: &Dataset) -> u64 {
    let number = d.info()["number"].as_u64().unwrap();
    assert!(d.scores("number").unwrap().values().all(|v| *v == number as f64));
    assert_eq!((d.samples().len(), d.scores("number").unwrap().len()), (N_SAMPLES, N_SAMPLES));
    let pool = d.unlabeled_pool();
    assert_eq!(d.boxes(GROUND_TRUTH, &pool.ids()[0]).unwrap().unwrap().len(), 1);
    number
}

/// A folder with generations 1 and 2, filled with their numbers, and the time that a commit takes.
fn folder() -> (TempDir, DatasetDir, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let dir = DatasetDir::init(folder.path(), "demo", &schema()).unwrap();
    let mut d = crate::common::dataset(N_SAMPLES);
    d.split(&SplitParams::default()).unwrap();
    let mut writer = dir.writer().unwrap();
    let mut took = Duration::ZERO;
    for number in 1..3 {
        fill(&mut d, number);
        let start = Instant::now();
        writer.commit(&d, &format!("number {number}")).unwrap();
        took = start.elapsed();
    }
    drop(writer);
    (folder, dir, took)
}

/// Does nothing in an ordinary run; the tests below start this very program with the variables set.
#[test]
fn child_that_works_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let dir = DatasetDir::open(&folder).unwrap();
    match std::env::var(WORK).unwrap().as_str() {
        "commit" => commit_for_ever(&dir),
        "restore" => restore_for_ever(&dir),
        "look" => look_for_ever(&dir),
        _ => hold_for_ever(&dir),
    }
}

fn commit_for_ever(dir: &DatasetDir) {
    let mut writer = dir.writer().unwrap();
    let mut d = writer.read().unwrap();
    loop {
        let number = d.generation().unwrap() + 1;
        fill(&mut d, number);
        writer.commit(&d, &format!("number {number}")).unwrap();
        println!("{DONE}{number}");
    }
}

fn restore_for_ever(dir: &DatasetDir) {
    let mut writer = dir.writer().unwrap();
    loop {
        let next = dir.current().unwrap() + 1;
        let made = writer.restore(1 + next % 2, &format!("restore for {next}")).unwrap();
        println!("{DONE}{}", made.number);
    }
}

fn look_for_ever(dir: &DatasetDir) {
    loop {
        let reason = format!("look {}", dir.test_ledger().unwrap().len() + 1);
        println!("{DONE}{}", dir.open_test(&reason, "model-1", u32::MAX).unwrap().entry().look);
    }
}

fn hold_for_ever(dir: &DatasetDir) {
    let _writer = dir.writer().unwrap();
    println!("{DONE}0");
    std::thread::sleep(Duration::from_secs(60));
}

/// A child at work, and what it says it has done.
struct Worker {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(folder: &Path, work: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child_that_works_until_it_is_killed", "--nocapture"])
            .env(FOLDER, folder)
            .env(WORK, work)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Number of the next thing that it has done.
    fn next(&mut self) -> Option<u64> {
        self.lines.by_ref().map_while(Result::ok).find_map(|l| l.split_once(DONE)?.1.parse().ok())
    }

    /// Kills it after some time, and gives the last thing it spoke of.
    fn kill_after(mut self, time: Duration) -> u64 {
        let mut last = self.next().unwrap();
        std::thread::sleep(time);
        self.child.kill().unwrap();
        assert!(!self.child.wait().unwrap().success(), "the child works until it is killed");
        while let Some(number) = self.next() {
            last = number;
        }
        last
    }
}

fn n_folders(dir: &DatasetDir) -> u64 {
    std::fs::read_dir(dir.path().join("generations")).unwrap().count() as u64
}

/// Kills a child again and again; `check` gets the generation that is current then, and its number.
fn kill_again_and_again(work: &str, n: u64, check: impl Fn(u64, u64)) {
    let (_folder, dir, took) = folder();
    let seed = Seed::new(17).stream(work);
    let (mut last, mut n_leftovers) = (2, 0);
    for i in 0..n {
        let promised = Worker::start(dir.path(), work).kill_after(took.mul_f64(2.0 * seed.unit(i)));
        let d = DatasetDir::open(dir.path()).unwrap().read().unwrap();
        let generation = d.generation().unwrap();
        assert!(generation >= promised && promised > last, "{generation} after {last}, promised {promised}");
        check(generation, number_of(&d));
        n_leftovers += u64::from(n_folders(&dir) > generation + 1);
        last = generation;
    }
    println!("{n} kills of {work}, {last} generations, {n_leftovers} times a leftover folder");
    dir.verify().unwrap();
    assert!(!DatasetDir::checkup(dir.path()).has_errors());
    drop(dir.writer().unwrap());
    assert_eq!(n_folders(&dir), last + 1, "the next writer cleans up");
    assert!(DatasetDir::checkup(dir.path()).findings.is_empty());
}

#[test]
fn whatever_a_killed_writer_leaves_is_one_of_its_commits() {
    kill_again_and_again("commit", n_kills(30), |generation, number| assert_eq!(number, generation));
}

#[test]
fn whatever_a_killed_restore_leaves_is_one_of_its_commits() {
    kill_again_and_again("restore", n_kills(20), |generation, number| {
        assert_eq!(number, if generation <= 2 { generation } else { 1 + generation % 2 });
    });
}

#[test]
fn whatever_a_killed_look_leaves_is_a_ledger_of_whole_looks() {
    let (_folder, dir, took) = folder();
    let seed = Seed::new(18);
    let n = n_kills(20);
    let mut last = 0;
    for i in 0..n {
        let promised = Worker::start(dir.path(), "look").kill_after(took.mul_f64(seed.unit(i)));
        let looks = dir.test_ledger().unwrap();
        assert!(looks.len() as u64 >= promised && promised > last, "{} looks of {promised}", looks.len());
        for (i, look) in looks.iter().enumerate() {
            assert_eq!((look.look as usize, &look.reason), (i + 1, &format!("look {}", i + 1)));
        }
        last = looks.len() as u64;
    }
    println!("{n} kills of looks, {last} looks");
    assert!(!DatasetDir::checkup(dir.path()).has_errors());
}

#[test]
fn of_two_processes_one_writes_and_the_other_gets_a_conflict() {
    let (_folder, dir, _) = folder();
    let mut holder = Worker::start(dir.path(), "hold");
    assert_eq!(holder.next(), Some(0));
    assert!(dir.writer().unwrap_err().is_conflict());
    assert_eq!(number_of(&dir.read().unwrap()), 2, "readers do not wait");
    holder.child.kill().unwrap();
    holder.child.wait().unwrap();
    // The lock goes with its process.
    dir.writer().unwrap();
}
