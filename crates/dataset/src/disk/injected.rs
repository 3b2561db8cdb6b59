//! A fault at every operation of every change of a folder, and a loss of power at every moment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tempfile::TempDir;

use super::faults::{EACCES, EIO, ENOSPC, EROFS, Fault, How, Plan};
use super::power::{Model, Survivors};
use super::{DatasetDir, GENERATIONS};
use crate::testing::{schema, split_scene};
use crate::{Dataset, DatasetError, Result};

/// Files of all committed generations, by path below the folder of generations.
type Bytes = BTreeMap<PathBuf, Vec<u8>>;

fn bytes_below(folder: &Path) -> Bytes {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for path in super::fs::list(&next).unwrap() {
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn generation_bytes(dir: &DatasetDir, number: u64) -> Bytes {
    bytes_below(&dir.generation_dir(number))
}

/// A change of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Init,
    Commit,
    /// Of what is current already: written, compared and removed.
    CommitAgain,
    Restore,
    Look,
}

/// A folder for a test. In memory where there is such a place: these tests lose power by a model of their own.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    for path in super::fs::list(from).unwrap() {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

impl Change {
    const ALL: [Self; 5] = [Self::Init, Self::Commit, Self::CommitAgain, Self::Restore, Self::Look];

    /// The folder that the change begins with.
    fn before(self) -> TempDir {
        static BEFORE: LazyLock<TempDir> = LazyLock::new(|| {
            let folder = scratch();
            let dir = DatasetDir::init(folder.path(), "demo", &schema()).unwrap();
            dir.writer().unwrap().commit(&split_scene(8), "split").unwrap();
            // What a crash left is cleared on the way, so that clearing is failed too.
            let leftover = dir.root.join(GENERATIONS).join(".tmp-000002");
            fs::create_dir(&leftover).unwrap();
            fs::write(leftover.join("boxes.parquet"), "half").unwrap();
            fs::write(dir.root.join("CURRENT.tmp"), "1").unwrap();
            fs::write(dir.root.join("test_ledger.jsonl"), "{\"look\":1,\"rea").unwrap();
            folder
        });
        let folder = scratch();
        if self != Self::Init {
            copy(BEFORE.path(), folder.path());
        }
        folder
    }

    fn run(self, dir: &DatasetDir) -> Result<()> {
        match self {
            Self::Init => dir.init_here("demo", &schema()),
            Self::Commit => dir.writer()?.commit(&changed(dir)?, "changed").map(drop),
            Self::CommitAgain => dir.writer()?.commit(&dir.read()?, "split").map(drop),
            Self::Restore => dir.writer()?.restore(0, "start over").map(drop),
            Self::Look => dir.open_test("final", "model-1", 1).map(drop),
        }
    }

    /// How many generations there may be afterwards, fewest first.
    fn n_generations(self) -> [usize; 2] {
        match self {
            Self::Init => [0, 1],
            Self::Commit | Self::Restore => [2, 3],
            Self::CommitAgain | Self::Look => [2, 2],
        }
    }
}

fn changed(dir: &DatasetDir) -> Result<Dataset> {
    let mut d = dir.read()?;
    d.set_info("changed", 1.into());
    Ok(d)
}

/// The generations that a run without faults leaves: what any folder may hold a beginning of, and nothing else.
fn expected(change: Change) -> Vec<Bytes> {
    let folder = change.before();
    change.run(&DatasetDir::at(folder.path())).unwrap();
    let dir = DatasetDir::open(folder.path()).unwrap();
    dir.verify().unwrap();
    (0..=dir.current().unwrap())
        .map(|n| dir.read_generation(n).map(|_| generation_bytes(&dir, n)).unwrap())
        .collect()
}

/// What must hold of a folder after a fault, whatever happened.
fn check_folder(change: Change, root: &Path, expected: &[Bytes], context: &str) -> usize {
    let n = match DatasetDir::open(root) {
        Err(DatasetError::NotADataset { .. }) if change == Change::Init => 0,
        opened => {
            let dir = opened.unwrap_or_else(|e| panic!("{context}: {e}"));
            let n = dir.generations().unwrap_or_else(|e| panic!("{context}: {e}")).len();
            // Bytes that are those of a generation that was read before need not be read again.
            for (number, bytes) in expected.iter().enumerate().take(n) {
                assert_eq!(generation_bytes(&dir, number as u64), *bytes, "{context}, generation {number}");
            }
            let looks = dir.test_ledger().unwrap_or_else(|e| panic!("{context}: {e}"));
            assert!(looks.len() <= usize::from(change == Change::Look), "{context}: {looks:?}");
            n
        }
    };
    assert!(change.n_generations().contains(&n), "{context}: {n} generations");
    n
}

/// The next one to come along does the same again, and it is as if nothing had been.
fn check_next(change: Change, root: &Path, n_before: usize, expected: &[Bytes], context: &str) {
    let dir = DatasetDir::at(root);
    change.run(&dir).unwrap_or_else(|e| panic!("{context}: the next one: {e}"));
    let n = dir.generations().unwrap().len();
    // A commit of what is there already makes no generation.
    assert_eq!(n, expected.len(), "{context}: {n_before} before");
    check_folder(change, root, expected, context);
    dir.read().unwrap_or_else(|e| panic!("{context}: {e}"));
    dir.writer().unwrap();
    assert!(!dir.root.join("CURRENT.tmp").exists(), "{context}");
    assert_eq!(super::fs::list(&dir.root.join(GENERATIONS)).unwrap().len(), n, "{context}: leftovers");
    if change == Change::Look {
        assert_eq!(dir.test_ledger().unwrap().len(), 1, "{context}");
    }
}

fn check_error(error: &DatasetError, errno: i32, on: &Path, context: &str) {
    let text = error.to_string();
    let (path, said) = match error {
        DatasetError::DiskFull { path, .. } if errno == ENOSPC => (path, "the disk is full"),
        DatasetError::ReadOnly { path, .. } if [EROFS, EACCES].contains(&errno) => (path, "read-only"),
        DatasetError::Io { path, source, .. } if errno == EIO && source.raw_os_error() == Some(EIO) => {
            (path, "cannot ")
        }
        other => panic!("{context}: {other:?}"),
    };
    assert!(text.contains(said) && text.contains(&path.display().to_string()), "{context}: {text}");
    assert!(errno == EIO || text.contains("nothing that was committed is lost"), "{context}: {text}");
    // A rename is told of by the name it was to give.
    assert_eq!(path.parent(), on.parent(), "{context}: {text}");
}

/// Fails every operation of a change in one way; says how many there are.
fn fail_everywhere(change: Change, errno: i32, how: How, is_crash: bool) -> usize {
    let expected = expected(change);
    for at in 0.. {
        let context = format!("{change:?}, operation {at}, error {errno}, {how:?}, crash {is_crash}");
        let folder = change.before();
        let plan = Plan::new(Some(Fault { at, errno, how, is_crash }));
        let result = change.run(&plan.on(folder.path()));
        let Some(on) = plan.failed_on() else {
            result.unwrap();
            return at;
        };
        check_error(&result.expect_err(&context), errno, &on, &context);
        let n = check_folder(change, folder.path(), &expected, &context);
        check_next(change, folder.path(), n, &expected, &context);
    }
    unreachable!()
}

#[test]
fn a_fault_at_any_operation_loses_nothing_and_says_what_it_was() {
    let mut n_faults = 0;
    for change in Change::ALL {
        for errno in [EIO, ENOSPC, EROFS] {
            n_faults += fail_everywhere(change, errno, How::Before, false);
        }
        n_faults += fail_everywhere(change, ENOSPC, How::Short, false);
        n_faults += fail_everywhere(change, EACCES, How::After, false);
    }
    println!("{n_faults} faults");
}

#[test]
fn a_process_that_dies_at_any_operation_leaves_a_committed_generation() {
    let mut n_faults = 0;
    for change in Change::ALL {
        for how in [How::Short, How::After] {
            n_faults += fail_everywhere(change, EIO, how, true);
        }
    }
    println!("{n_faults} deaths");
}

/// Loses power after every operation of a change, in several ways each; says how many folders that made.
fn lose_power_everywhere(change: Change, n_random: u64) -> usize {
    let (before, expected) = (change.before(), expected(change));
    let plan = Plan::new(None);
    let work = scratch();
    copy(before.path(), work.path());
    change.run(&plan.on(work.path())).unwrap();
    let done = plan.done();
    let mut n_folders = 0;
    let mut model = Model::of(before.path());
    for n_done in 0..=done.len() {
        let random = (0..n_random).map(|i| Survivors::Random(n_done as u64 * n_random + i));
        for survivors in [Survivors::Synced, Survivors::All].into_iter().chain(random) {
            let context = format!("{change:?}, power lost after operation {n_done}, {survivors:?} left");
            let folder = scratch();
            model.write(folder.path(), survivors);
            let n = check_folder(change, folder.path(), &expected, &context);
            if n_done == done.len() {
                // What was reported as done is on the disk.
                assert_eq!(n, expected.len(), "{context}");
                let looks = DatasetDir::at(folder.path()).test_ledger().unwrap();
                assert_eq!(looks.len(), usize::from(change == Change::Look), "{context}");
            }
            if matches!(survivors, Survivors::Random(seed) if seed % n_random == 0) {
                check_next(change, folder.path(), n, &expected, &context);
            }
            n_folders += 1;
        }
        if let Some(next) = done.get(n_done) {
            model.apply(work.path(), next);
        }
    }
    n_folders
}

#[test]
fn a_loss_of_power_at_any_moment_leaves_a_committed_generation() {
    let n_folders: usize = Change::ALL.into_iter().map(|change| lose_power_everywhere(change, 3)).sum();
    println!("{n_folders} folders");
}
