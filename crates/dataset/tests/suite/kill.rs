//! A writer process is killed at random moments; whatever it leaves must open and be one of its commits.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::common::schema;
use labelloop_core::Seed;
use labelloop_dataset::{Dataset, DatasetDir, GROUND_TRUTH};

const FOLDER: &str = "LABELLOOP_KILL_TEST_FOLDER";
const COMMITTED: &str = "committed ";
const N_KILLS: u64 = 40;

/// Content of a generation as a function of its number, so that the parent can tell whole commits from mixtures.
fn fill(d: &mut Dataset, number: u64) {
    d.set_info("number", number.into());
    let scores = d.samples().keys().map(|id| (id.clone(), number as f64)).collect::<BTreeMap<_, _>>();
    d.set_scores("number", scores).unwrap();
}

/// Does nothing in an ordinary run; the test below starts this very program with the variable set.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let dir = DatasetDir::open(&folder).unwrap();
    let mut writer = dir.writer().unwrap();
    let mut d = writer.read().unwrap();
    loop {
        let number = d.generation().unwrap() + 1;
        fill(&mut d, number);
        writer.commit(&d, &format!("number {number}")).unwrap();
        println!("{COMMITTED}{number}");
    }
}

/// Lets a child commit twice, kills it at a random moment of what follows, and returns the last commit it spoke of.
fn kill_once(folder: &Path, chance: f64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_commits_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut commits = lines.filter_map(|l| l.split_once(COMMITTED)?.1.parse::<u64>().ok());
    commits.next().unwrap();
    let start = Instant::now();
    commits.next().unwrap();
    std::thread::sleep(start.elapsed().mul_f64(2.0 * chance));
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "the child commits until it is killed");
    commits.last().unwrap_or_default()
}

#[test]
fn whatever_a_killed_writer_leaves_is_one_of_its_commits() {
    let folder = tempfile::tempdir().unwrap();
    let dir = DatasetDir::init(folder.path(), "demo", &schema()).unwrap();
    dir.writer().unwrap().commit(&crate::common::dataset(300), "number 1").unwrap();
    let seed = Seed::new(17);
    let (mut last, mut n_leftovers) = (1, 0);
    for i in 0..N_KILLS {
        let promised = kill_once(folder.path(), seed.unit(i));
        let d = DatasetDir::open(folder.path()).unwrap().read().unwrap();
        let number = d.generation().unwrap();
        assert!(number >= promised.max(last + 2), "generation {number} after {last}, promised {promised}");
        assert_eq!(d.info()["number"], number);
        assert!(d.scores("number").unwrap().values().all(|v| *v == number as f64));
        assert_eq!(d.samples().len(), 300);
        assert_eq!(d.boxes(GROUND_TRUTH, d.samples().keys().next().unwrap()).unwrap().unwrap().len(), 1);
        let n_folders = std::fs::read_dir(folder.path().join("generations")).unwrap().count() as u64;
        n_leftovers += u64::from(n_folders > number + 1);
        last = number;
    }
    println!("{N_KILLS} kills, {last} generations, {n_leftovers} times a leftover folder");
    dir.verify().unwrap();
    dir.writer().unwrap();
    let n_folders = std::fs::read_dir(folder.path().join("generations")).unwrap().count() as u64;
    assert_eq!(n_folders, last + 1, "the next writer cleans up");
}
