use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ledger::LEDGER;
use super::manifest::{FileEntry, MANIFEST, Manifest};
use super::writer::{LOCK, TEMPORARY};
use super::{CURRENT, DatasetDir, GENERATIONS, current_of, fs};
use crate::DatasetError;

/// What may be wrong with a dataset folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FolderFindingKind {
    /// There is no dataset here.
    NotADataset,
    /// `CURRENT` is missing or holds no number.
    BadPointer,
    /// `CURRENT` names a generation that is not there.
    DanglingPointer,
    /// A generation between the first and the current one is not there.
    MissingGeneration,
    /// A generation of a later layout. Nothing is damaged.
    NewerLayout,
    /// A manifest that cannot be understood or was changed.
    DamagedManifest,
    /// A file that the manifest lists is not there.
    MissingFile,
    /// A file whose bytes are not those that were committed.
    DamagedFile,
    /// A line of the ledger of looks at the test set that cannot be understood.
    DamagedLedger,
    /// Something that this user may not read.
    Unreadable,
    /// This user may read and not write. Nothing is damaged.
    ReadOnly,
    /// There is no space for a commit. Nothing is damaged.
    DiskFull,
    /// The end of a look at the test set that was cut off before anything was handed out.
    CutOffLook,
    /// What a commit that was cut off, or is under way, has written.
    Leftover,
    /// A file or folder that is no part of the dataset.
    Extra,
}

impl FolderFindingKind {
    /// Whether something is wrong, as opposed to something worth knowing.
    pub fn is_error(self) -> bool {
        !matches!(self, Self::ReadOnly | Self::DiskFull | Self::CutOffLook | Self::Leftover | Self::Extra)
    }
}

/// One thing about a dataset folder, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FolderFinding {
    /// What it is.
    pub kind: FolderFindingKind,
    /// The file or folder.
    pub path: PathBuf,
    /// The generation it belongs to, where it is one.
    pub generation: Option<u64>,
    /// What was found and what was expected.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl fmt::Display for FolderFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.kind.is_error() { "error" } else { "note" };
        write!(f, "{level}: {}: {}; to do: {}", self.path.display(), self.message, self.advice)
    }
}

/// What a look at a dataset folder found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkup {
    /// The generation that `CURRENT` names.
    pub current: Option<u64>,
    /// Generations of which every byte is as it was committed, oldest first.
    pub whole: Vec<u64>,
    /// What was found, sorted by kind and path; empty when all is well.
    pub findings: Vec<FolderFinding>,
}

impl Checkup {
    /// Whether the current generation can be read.
    pub fn is_readable(&self) -> bool {
        self.current.is_some_and(|n| self.whole.contains(&n))
    }

    /// Whether something is wrong, as opposed to something worth knowing.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|f| f.kind.is_error())
    }
}

impl DatasetDir {
    /// Looks at every byte of a dataset folder, whether it opens or not, and says of each thing that is not as it was
    /// committed what to do about it. It changes nothing, and fails at nothing: what cannot be read is a finding.
    /// O(bytes of all generations).
    ///
    /// ```
    /// # use labelloop_core::ClassSchema;
    /// # use labelloop_dataset::{DatasetDir, FolderFindingKind};
    /// let folder = tempfile::tempdir()?;
    /// let dir = DatasetDir::init(folder.path(), "cells", &ClassSchema::new(["red", "white"])?)?;
    /// let mut dataset = dir.read()?;
    /// dataset.set_info("note", "first".into());
    /// dir.writer()?.commit(&dataset, "note")?;
    /// assert!(DatasetDir::checkup(dir.path()).findings.is_empty());
    ///
    /// std::fs::write(dir.path().join("CURRENT"), "7\n")?;
    /// let checkup = DatasetDir::checkup(dir.path());
    /// assert_eq!(checkup.findings[0].kind, FolderFindingKind::DanglingPointer);
    /// assert_eq!((checkup.current, checkup.whole), (Some(7), vec![0, 1]));
    /// assert!(checkup.findings[0].advice.contains("generation 1 is whole"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn checkup(dir: impl AsRef<Path>) -> Checkup {
        let mut look = Look { dir: Self::at(dir.as_ref()), whole: vec![], findings: vec![] };
        let current = look.look();
        look.findings.sort();
        Checkup { current, whole: look.whole, findings: look.findings }
    }
}

struct Look {
    dir: DatasetDir,
    whole: Vec<u64>,
    findings: Vec<FolderFinding>,
}

impl Look {
    fn push(&mut self, kind: FolderFindingKind, path: &Path, message: String, advice: String) {
        self.push_of(None, kind, path, message, advice);
    }

    fn push_of(
        &mut self,
        generation: Option<u64>,
        kind: FolderFindingKind,
        path: &Path,
        message: String,
        advice: String,
    ) {
        self.findings.push(FolderFinding { kind, path: path.to_owned(), generation, message, advice });
    }

    fn look(&mut self) -> Option<u64> {
        let root = self.dir.root.clone();
        let pointer = current_of(&root);
        let there = if root.is_dir() { self.generations() } else { BTreeSet::new() };
        if there.is_empty() && matches!(pointer, Err(DatasetError::NotADataset { .. })) {
            let message = match root.metadata() {
                Ok(meta) if meta.is_dir() => "no dataset: neither CURRENT nor generations".to_owned(),
                Ok(_) => "a file: expected a folder".to_owned(),
                Err(e) => e.to_string(),
            };
            let advice = "name the right folder, or start one with labelloop init".to_owned();
            self.push(FolderFindingKind::NotADataset, &root, message, advice);
            return None;
        }
        let current = pointer.as_ref().ok().copied();
        for number in &there {
            if current.is_none_or(|c| *number <= c) {
                self.look_at_generation(*number);
            } else {
                self.look_at_uncommitted(*number);
            }
        }
        match pointer {
            Ok(current) => self.look_at_order(current, &there),
            Err(e) => self.bad_pointer(&e),
        }
        self.look_at_names();
        self.look_at_ledger();
        self.look_at_permissions();
        current
    }

    /// Numbers of the generations that have a folder.
    fn generations(&mut self) -> BTreeSet<u64> {
        let folder = self.dir.root.join(GENERATIONS);
        match fs::list(&folder) {
            Ok(paths) => paths.iter().filter_map(|p| number_of(p)).collect(),
            Err(e) => {
                self.unreadable(&folder, None, &e);
                BTreeSet::new()
            }
        }
    }

    fn look_at_generation(&mut self, number: u64) {
        let folder = self.dir.generation_dir(number);
        let manifest = match self.dir.manifest(number) {
            Ok(manifest) => manifest,
            Err(e) => return self.bad_manifest(number, &folder.join(MANIFEST), &e),
        };
        let n_before = self.findings.len();
        for (name, entry) in &manifest.files {
            self.look_at_file(number, &folder.join(name), entry);
        }
        if self.findings.len() == n_before {
            self.whole.push(number);
        }
        self.look_for_extras(number, &folder, &manifest);
    }

    fn look_at_file(&mut self, number: u64, path: &Path, entry: &FileEntry) {
        let (kind, message) = match digest_of(path) {
            Ok((n_bytes, digest)) if digest == entry.blake3 && n_bytes == entry.n_bytes => return,
            Ok((n_bytes, digest)) => {
                let (expected_bytes, expected) = (entry.n_bytes, &entry.blake3);
                let message = format!(
                    "damaged: found {n_bytes} bytes with digest {digest}, expected {expected_bytes} bytes with digest {expected}"
                );
                (FolderFindingKind::DamagedFile, message)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let message =
                    format!("missing: expected {} bytes with digest {}", entry.n_bytes, entry.blake3);
                (FolderFindingKind::MissingFile, message)
            }
            Err(e) => return self.unreadable(path, Some(number), &DatasetError::io("read", path, e)),
        };
        let advice = format!("put the file back from a copy of the dataset, or {}", self.go_back(number));
        self.push_of(Some(number), kind, path, message, advice);
    }

    fn bad_manifest(&mut self, number: u64, path: &Path, error: &DatasetError) {
        let back = self.go_back(number);
        let (kind, advice) = match error {
            DatasetError::NewerVersion { .. } => {
                let advice = "open it with a newer labelloop: nothing is damaged, and nothing was changed";
                return self.push_of(
                    Some(number),
                    FolderFindingKind::NewerLayout,
                    path,
                    error.to_string(),
                    advice.to_owned(),
                );
            }
            DatasetError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => (
                FolderFindingKind::MissingFile,
                format!("put the file back from a copy of the dataset, or {back}"),
            ),
            DatasetError::Io { .. } => return self.unreadable(path, Some(number), error),
            _ => (
                FolderFindingKind::DamagedManifest,
                format!("put the file back from a copy of the dataset, or {back}"),
            ),
        };
        self.push_of(Some(number), kind, path, error.to_string(), advice);
    }

    /// How to do without a damaged generation.
    fn go_back(&self, damaged: u64) -> String {
        let is_current = self.dir.current().is_ok_and(|current| current == damaged);
        match self.whole.last() {
            _ if !is_current => {
                "do without it: it is history, and the current generation does not need it".to_owned()
            }
            None => "begin anew from your annotation files: no generation is whole".to_owned(),
            Some(whole) => self.point_to(*whole),
        }
    }

    fn point_to(&self, whole: u64) -> String {
        let pointer = self.dir.root.join(CURRENT);
        format!(
            "go back: generation {whole} is whole; copy the folder away, then `echo {whole} > {}` (the next commit \
             removes what came after it)",
            pointer.display()
        )
    }

    fn look_for_extras(&mut self, number: u64, folder: &Path, manifest: &Manifest) {
        for path in fs::list(folder).unwrap_or_default() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name != MANIFEST && !manifest.files.contains_key(&*name) {
                let message = "not listed in the manifest: nothing reads it".to_owned();
                let advice = "move it elsewhere".to_owned();
                self.push_of(Some(number), FolderFindingKind::Extra, &path, message, advice);
            }
        }
    }

    fn look_at_uncommitted(&mut self, number: u64) {
        let folder = self.dir.generation_dir(number);
        let message = "a generation that was written and never made current".to_owned();
        self.leftover(&folder, message, "nothing, or finish the commit again: the next commit removes it");
    }

    fn leftover(&mut self, path: &Path, message: String, advice: &str) {
        self.push(FolderFindingKind::Leftover, path, message, advice.to_owned());
    }

    fn look_at_order(&mut self, current: u64, there: &BTreeSet<u64>) {
        let pointer = self.dir.root.join(CURRENT);
        if !there.contains(&current) {
            let message = format!("names generation {current}, which is not there");
            let advice = match self.whole.last() {
                Some(whole) => self.point_to(*whole),
                None => "put the folder back from a copy: no generation is whole".to_owned(),
            };
            return self.push(FolderFindingKind::DanglingPointer, &pointer, message, advice);
        }
        // Numbers below the first that is there may be many when the pointer lies; each gap is told once.
        let mut expected = 0;
        for number in there.range(..=current) {
            if *number > expected {
                let folder = self.dir.generation_dir(expected);
                let message = format!("generations {expected} to {} are not there", number - 1);
                let advice = "put them back from a copy: without them history cannot be listed".to_owned();
                self.push_of(Some(expected), FolderFindingKind::MissingGeneration, &folder, message, advice);
            }
            expected = number + 1;
        }
    }

    fn bad_pointer(&mut self, error: &DatasetError) {
        let pointer = self.dir.root.join(CURRENT);
        let advice = match self.whole.last() {
            Some(whole) => format!("generation {whole} is whole: `echo {whole} > {}`", pointer.display()),
            None => "put the folder back from a copy: no generation is whole".to_owned(),
        };
        let message = match error {
            DatasetError::NotADataset { .. } => "missing: expected the number of a generation".to_owned(),
            DatasetError::Io { .. } => return self.unreadable(&pointer, None, error),
            other => other.to_string(),
        };
        self.push(FolderFindingKind::BadPointer, &pointer, message, advice);
    }

    fn look_at_names(&mut self) {
        for path in fs::list(&self.dir.root.join(GENERATIONS)).unwrap_or_default() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(TEMPORARY) {
                let message = "of a commit that was cut off or is under way".to_owned();
                self.leftover(&path, message, "nothing: the next commit removes it");
            } else if number_of(&path).is_none() {
                let (message, advice) = ("no generation: nothing reads it", "move it elsewhere");
                self.push(FolderFindingKind::Extra, &path, message.to_owned(), advice.to_owned());
            }
        }
        let half = self.dir.root.join(CURRENT).with_extension("tmp");
        if half.symlink_metadata().is_ok() {
            let message = "of a commit that was cut off or is under way".to_owned();
            self.leftover(&half, message, "nothing: the next commit removes it");
        }
    }

    fn look_at_ledger(&mut self) {
        let path = self.dir.root.join(LEDGER);
        match self.dir.test_ledger() {
            Ok(looks) => {
                let is_whole = path.metadata().map(|m| m.len()).unwrap_or_default()
                    == fs::read(&path).map(|b| super::ledger::complete(&b) as u64).unwrap_or_default();
                if !is_whole {
                    let message = format!("ends in a line that was cut off, after {} looks", looks.len());
                    let advice = "nothing: it was cut off before anything was handed out, and the next look replaces it";
                    self.push(FolderFindingKind::CutOffLook, &path, message, advice.to_owned());
                }
            }
            Err(e @ DatasetError::Corrupt { .. }) => {
                let advice = "put the line back from a copy: until then the test set stays shut, since nobody can say \
                              how often it was looked at";
                self.push(FolderFindingKind::DamagedLedger, &path, e.to_string(), advice.to_owned());
            }
            Err(e) => self.unreadable(&path, None, &e),
        }
    }

    /// Whether a commit could write, asked by a file without a name that is gone at once.
    fn look_at_permissions(&mut self) {
        let root = self.dir.root.clone();
        for folder in [root.clone(), root.join(GENERATIONS)] {
            let probe = tempfile::tempfile_in(&folder).and_then(|mut file| {
                io::Write::write_all(&mut file, &[0; 4096])?;
                file.sync_all()
            });
            let Err(e) = probe else { continue };
            self.cannot_write(&folder, e);
        }
        let lock = root.join(LOCK);
        match File::options().write(true).open(&lock) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => self.cannot_write(&lock, e),
            _ => {}
        }
    }

    fn cannot_write(&mut self, path: &Path, error: io::Error) {
        let (kind, advice) = match DatasetError::write("write to", path, error) {
            e @ DatasetError::DiskFull { .. } => (
                (FolderFindingKind::DiskFull, e.to_string()),
                "free some space: commits are refused until then",
            ),
            e @ DatasetError::ReadOnly { .. } => (
                (FolderFindingKind::ReadOnly, e.to_string()),
                "give this user write permission (chmod, or mount the disk for writing), or only read",
            ),
            e => return self.unreadable(path, None, &e),
        };
        self.push(kind.0, path, kind.1, advice.to_owned());
    }

    fn unreadable(&mut self, path: &Path, generation: Option<u64>, error: &DatasetError) {
        let advice = match error {
            DatasetError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "give this user read permission (chmod u+rX)"
            }
            _ => "find out from the system what is wrong with the disk, and work on a copy",
        };
        let kind = FolderFindingKind::Unreadable;
        self.push_of(generation, kind, path, error.to_string(), advice.to_owned());
    }
}

fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let number = name.parse().ok()?;
    (path.is_dir() && name == format!("{number:06}")).then_some(number)
}

fn digest_of(path: &Path) -> io::Result<(u64, String)> {
    let mut hasher = blake3::Hasher::new();
    let n_bytes = io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok((n_bytes, hasher.finalize().to_hex().to_string()))
}
