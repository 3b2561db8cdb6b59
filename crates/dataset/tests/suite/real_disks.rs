//! A disk that is full and a disk that is read-only, for real: small file systems, mounted where that is permitted.

use std::path::Path;
use std::process::Command;

use labelloop_dataset::{Dataset, DatasetDir, DatasetError, FolderFindingKind};
use tempfile::TempDir;

use crate::common::schema;

/// A folder that something is mounted on until it is dropped.
struct Mount(TempDir);

impl Mount {
    /// Mounts; `None`, and a loud word, where that is not permitted.
    fn new(what: &str, mount: impl Fn(&Path) -> Vec<Vec<String>>) -> Option<Self> {
        let this = Self(tempfile::tempdir().unwrap());
        for arguments in mount(this.0.path()) {
            let mounted = Command::new("mount").args(&arguments).output();
            if !mounted.is_ok_and(|output| output.status.success()) {
                eprintln!("left out: {what} cannot be mounted here, which takes Linux and its administrator");
                return None;
            }
        }
        Some(this)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // What was not mounted cannot be taken off; that is no reason to fail.
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

fn words(arguments: &[&str], path: &Path) -> Vec<String> {
    arguments.iter().map(|a| (*a).to_owned()).chain([path.display().to_string()]).collect()
}

/// A snapshot with some kilobytes that no compression makes small.
fn grown(mut d: Dataset, number: u64) -> Dataset {
    let seed = labelloop_core::Seed::new(number);
    let noise: String = (0..8000).map(|i| format!("{:016x}", seed.bits(i))).collect();
    d.set_info(format!("noise {number}"), noise.into());
    d
}

#[test]
fn a_full_disk_loses_nothing_and_says_so() {
    let Some(mount) = Mount::new("a disk of 2 MB", |path| {
        vec![words(&["-t", "tmpfs", "-o", "size=2m", "labelloop-test"], path)]
    }) else {
        return;
    };
    let root = mount.0.path().join("dataset");
    let filler = mount.0.path().join("filler");
    std::fs::write(&filler, vec![7; 400 << 10]).unwrap();
    let dir = DatasetDir::init(&root, "demo", &schema()).unwrap();
    let mut committed = vec![dir.read().unwrap()];
    let error = loop {
        let next = grown(dir.read().unwrap(), committed.len() as u64);
        match dir.writer().and_then(|mut w| w.commit(&next, "grown")) {
            Ok(_) => committed.push(next),
            Err(e) => break e,
        }
        assert!(committed.len() < 40, "2 MB are never full");
    };
    let text = error.to_string();
    assert!(matches!(error, DatasetError::DiskFull { .. }), "{error:?}");
    assert!(
        text.contains("the disk is full") && text.contains("nothing that was committed is lost"),
        "{text}"
    );
    assert!(text.contains(&root.display().to_string()), "{text}");
    assert!(committed.len() > 2, "{} generations", committed.len());
    let check = |n: usize| {
        let dir = DatasetDir::open(&root).unwrap();
        assert_eq!(dir.current().unwrap() as usize, n - 1);
        dir.verify().unwrap();
        for (number, expected) in committed.iter().enumerate() {
            assert_eq!(dir.read_generation(number as u64).unwrap(), *expected);
        }
        dir
    };
    check(committed.len());
    // Nothing at all is left: not even a look can be written, and the doctor says why.
    let rest = mount.0.path().join("rest");
    let _ = std::fs::write(&rest, vec![7; 4 << 20]);
    let kinds: Vec<_> = DatasetDir::checkup(&root).findings.iter().map(|f| f.kind).collect();
    assert!(kinds.contains(&FolderFindingKind::DiskFull), "{kinds:?}");
    assert!(matches!(dir.open_test("final", "model-1", 1), Err(DatasetError::DiskFull { .. })));
    check(committed.len());
    // With space again, the next commit goes through.
    std::fs::remove_file(filler).unwrap();
    std::fs::remove_file(rest).unwrap();
    let next = grown(dir.read().unwrap(), committed.len() as u64);
    dir.writer().unwrap().commit(&next, "grown").unwrap();
    assert_eq!(check(committed.len() + 1).read().unwrap(), next);
    assert!(DatasetDir::checkup(&root).findings.is_empty());
    println!("full after {} generations: {text}", committed.len());
}

#[test]
fn a_read_only_disk_is_read_and_refuses_to_be_written() {
    let inner = tempfile::tempdir().unwrap();
    let dir = DatasetDir::init(inner.path(), "demo", &schema()).unwrap();
    let mut d = crate::common::dataset(40);
    d.split(&labelloop_dataset::SplitParams::default()).unwrap();
    dir.writer().unwrap().commit(&d, "split").unwrap();
    let bind = |path: &Path| {
        vec![
            words(&["--bind", &inner.path().display().to_string()], path),
            words(&["-o", "remount,ro,bind"], path),
        ]
    };
    let Some(mount) = Mount::new("a read-only folder", bind) else { return };
    let dir = DatasetDir::open(mount.0.path()).unwrap();
    assert_eq!(dir.read().unwrap(), d);
    let refusals = [
        dir.writer().map(drop),
        dir.open_test("final", "model-1", 1).map(drop),
        DatasetDir::init(mount.0.path().join("new"), "demo", &schema()).map(drop),
    ];
    for refusal in refusals {
        let error = refusal.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, DatasetError::ReadOnly { .. }), "{error:?}");
        assert!(text.contains("read-only") && text.contains("nothing that was committed is lost"), "{text}");
    }
    let checkup = DatasetDir::checkup(mount.0.path());
    assert!(!checkup.has_errors() && checkup.is_readable());
    assert!(checkup.findings.iter().all(|f| f.kind == FolderFindingKind::ReadOnly), "{checkup:?}");
    assert!(!checkup.findings.is_empty());
}
