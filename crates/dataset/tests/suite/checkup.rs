//! What a look at a damaged folder says, one kind of damage after the other.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use labelloop_dataset::{Checkup, DatasetDir, FolderFindingKind as Kind};
use tempfile::TempDir;

use crate::common::schema;

/// A folder with generations 0, 1 and 2, and one look at the test set.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dir = DatasetDir::init(folder.path(), "demo", &schema()).unwrap();
    let mut d = crate::common::dataset(40);
    d.split(&labelloop_dataset::SplitParams::default()).unwrap();
    let mut writer = dir.writer().unwrap();
    writer.commit(&d, "split").unwrap();
    d.set_info("a", 1.into());
    writer.commit(&d, "a").unwrap();
    dir.open_test("final", "model-1", 1).unwrap();
    folder
}

/// Kinds found after a change of a whole folder.
fn after(change: impl FnOnce(&Path)) -> (Vec<Kind>, Checkup, TempDir) {
    let folder = folder();
    let before = DatasetDir::checkup(folder.path());
    assert!(before.findings.is_empty() && before.is_readable(), "{before:?}");
    assert_eq!((before.current, &before.whole[..]), (Some(2), &[0, 1, 2][..]));
    change(folder.path());
    let checkup = DatasetDir::checkup(folder.path());
    (checkup.findings.iter().map(|f| f.kind).collect(), checkup, folder)
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    // A new file: the old bytes may be those of another generation too.
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_file_is_named_with_both_digests_and_a_way_back() {
    let (kinds, checkup, folder) = after(|root| flip(&root.join("generations/000002/info.json")));
    assert_eq!(kinds, [Kind::DamagedFile]);
    assert_eq!(
        (checkup.whole.clone(), checkup.is_readable(), checkup.has_errors()),
        (vec![0, 1], false, true)
    );
    let finding = &checkup.findings[0];
    assert_eq!((finding.generation, finding.path.ends_with("000002/info.json")), (Some(2), true));
    assert!(finding.message.contains("digest") && finding.message.contains("expected"), "{finding}");
    assert!(
        finding.advice.contains("generation 1 is whole") && finding.advice.contains("echo 1 >"),
        "{finding}"
    );
    // The advice works.
    assert!(DatasetDir::open(folder.path()).unwrap().read().is_err());
    fs::write(folder.path().join("CURRENT"), "1\n").unwrap();
    let dir = DatasetDir::open(folder.path()).unwrap();
    assert_eq!(dir.read().unwrap().samples().len(), 40);
    drop(dir.writer().unwrap());
    assert!(DatasetDir::checkup(folder.path()).findings.is_empty());
}

#[test]
fn damage_to_history_leaves_the_current_generation_readable() {
    let (kinds, checkup, _folder) = after(|root| flip(&root.join("generations/000001/samples.parquet")));
    // Generations may share a file that did not change; here the copy of generation 2 was left alone.
    assert_eq!((kinds, checkup.is_readable()), (vec![Kind::DamagedFile], true));
    assert!(checkup.findings[0].advice.contains("do without it"), "{}", checkup.findings[0]);
}

#[test]
fn missing_and_extra_files_are_told() {
    let (kinds, checkup, _folder) = after(|root| {
        fs::remove_file(root.join("generations/000002/views.json")).unwrap();
        fs::write(root.join("generations/000002/notes.txt"), "mine").unwrap();
        fs::create_dir(root.join("generations/backup")).unwrap();
    });
    assert_eq!(kinds, [Kind::MissingFile, Kind::Extra, Kind::Extra]);
    assert!(checkup.findings[0].message.starts_with("missing: expected "), "{}", checkup.findings[0]);
}

#[test]
fn manifests_are_missed_and_read() {
    let manifest = |root: &Path| root.join("generations/000002/manifest.json");
    assert_eq!(after(|root| fs::remove_file(manifest(root)).unwrap()).0, [Kind::MissingFile]);
    assert_eq!(after(|root| flip(&manifest(root))).0, [Kind::DamagedManifest]);
    assert_eq!(after(|root| fs::write(manifest(root), "").unwrap()).0, [Kind::DamagedManifest]);
    let newer = r#"{"format":"labelloop-dataset","version":99,"shape":"unknown"}"#;
    let (kinds, checkup, _folder) = after(|root| fs::write(manifest(root), newer).unwrap());
    assert_eq!(kinds, [Kind::NewerLayout]);
    let text = checkup.findings[0].to_string();
    assert!(
        text.contains("version 99")
            && text.contains("newer labelloop")
            && text.contains("nothing is damaged")
    );
}

#[test]
fn a_pointer_that_points_nowhere_is_told_with_what_is_whole() {
    for (text, kind) in [
        (Some("7\n"), Kind::DanglingPointer),
        (Some("x\n"), Kind::BadPointer),
        (Some(""), Kind::BadPointer),
        (None, Kind::BadPointer),
    ] {
        let (kinds, checkup, folder) = after(|root| match text {
            Some(text) => fs::write(root.join("CURRENT"), text).unwrap(),
            None => fs::remove_file(root.join("CURRENT")).unwrap(),
        });
        assert_eq!(kinds, [kind], "{text:?}");
        assert_eq!((checkup.is_readable(), &checkup.whole[..]), (false, &[0, 1, 2][..]));
        assert!(checkup.findings[0].advice.contains("generation 2 is whole"), "{}", checkup.findings[0]);
        fs::write(folder.path().join("CURRENT"), "2\n").unwrap();
        assert!(DatasetDir::checkup(folder.path()).findings.is_empty());
    }
}

#[test]
fn gaps_in_history_are_told() {
    let (kinds, checkup, _folder) =
        after(|root| fs::remove_dir_all(root.join("generations/000001")).unwrap());
    assert_eq!((kinds, checkup.is_readable()), (vec![Kind::MissingGeneration], true));
    assert!(checkup.findings[0].message.contains("generations 1 to 1"), "{}", checkup.findings[0]);
}

#[test]
fn leftovers_of_a_crash_are_no_errors() {
    let (kinds, checkup, folder) = after(|root| {
        fs::create_dir(root.join("generations/.tmp-000003")).unwrap();
        fs::create_dir(root.join("generations/000003")).unwrap();
        fs::write(root.join("CURRENT.tmp"), "3").unwrap();
    });
    assert_eq!(kinds, [Kind::Leftover; 3]);
    assert!(!checkup.has_errors() && checkup.is_readable());
    drop(DatasetDir::open(folder.path()).unwrap().writer().unwrap());
    assert!(DatasetDir::checkup(folder.path()).findings.is_empty(), "the next writer removes them");
}

#[test]
fn a_damaged_ledger_is_told_with_its_line_and_a_cut_off_one_is_no_error() {
    let ledger = |root: &Path| root.join("test_ledger.jsonl");
    let (kinds, checkup, _folder) = after(|root| {
        let text = fs::read_to_string(ledger(root)).unwrap();
        fs::write(ledger(root), format!("{text}not json\n")).unwrap();
    });
    assert_eq!(kinds, [Kind::DamagedLedger]);
    assert!(checkup.findings[0].message.contains("line 2"), "{}", checkup.findings[0]);
    let (kinds, checkup, _folder) = after(|root| {
        let text = fs::read_to_string(ledger(root)).unwrap();
        fs::write(ledger(root), format!("{text}{{\"look\":2,\0\0\n")).unwrap();
    });
    assert_eq!((kinds, checkup.has_errors()), (vec![Kind::CutOffLook], false));
    assert!(checkup.findings[0].message.contains("after 1 looks"), "{}", checkup.findings[0]);
}

#[test]
fn what_is_no_dataset_is_told_and_nothing_fails() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "x").unwrap();
    for path in [folder.path().to_owned(), folder.path().join("gone"), folder.path().join("file")] {
        let checkup = DatasetDir::checkup(&path);
        assert_eq!(checkup.findings.len(), 1, "{checkup:?}");
        assert_eq!((checkup.findings[0].kind, checkup.current), (Kind::NotADataset, None));
    }
    let (kinds, ..) = after(|root| {
        fs::remove_dir_all(root.join("generations")).unwrap();
        symlink("generations", root.join("generations")).unwrap();
    });
    assert!(kinds.contains(&Kind::DanglingPointer) && kinds.contains(&Kind::Unreadable), "{kinds:?}");
}

#[test]
fn files_that_may_not_be_read_are_told() {
    use std::os::unix::fs::PermissionsExt;
    let (kinds, checkup, _folder) = after(|root| {
        let path = root.join("generations/000002/samples.parquet");
        fs::remove_file(&path).unwrap();
        // A folder in its place cannot be read as a file by anyone, root among them.
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    });
    assert_eq!((kinds, checkup.is_readable()), (vec![Kind::Unreadable], false));
}
