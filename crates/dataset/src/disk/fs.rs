//! Durable file operations: everything that is written is on the disk before its name says so.
//!
//! All that changes a dataset folder goes through a [`Disk`], one operation of the operating system at a time. That is
//! where tests let the n-th one fail and ask what is left.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::{DatasetError, Result};

#[cfg(test)]
use super::faults::Plan;

/// One operation, as a fault plan sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "what an operation carries is read by fault plans only"))]
pub(super) enum Step<'a> {
    MakeFolder,
    Create,
    /// Opens a file, and makes it where it is not there.
    Open,
    Lock,
    Truncate(u64),
    /// At the end of the file.
    Write(&'a [u8]),
    Sync,
    SyncFolder,
    Rename(&'a Path),
    RemoveFile,
    RemoveFolder,
}

/// The one who touches the disk. Carried by folders and writers; it costs nothing and does what it is asked to, but
/// in tests that give it a plan of faults.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) plan: Option<std::sync::Arc<Plan>>,
}

/// Two handles of one folder are equal however their operations are watched.
impl PartialEq for Disk {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Disk {}

impl Disk {
    /// Makes a folder and those above it, each entered in the folder that holds it.
    pub(super) fn create_dir_all(&self, path: &Path) -> Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(path);
        self.create_dir_all(parent)?;
        let made = self.run(path, Step::MakeFolder, || match fs::create_dir(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            made => made,
        });
        made.map_err(|e| DatasetError::write("create folder", path, e))?;
        self.sync_dir(parent)
    }

    /// A new file, hashed as it is written.
    pub(super) fn create(&self, path: &Path) -> Result<HashingFile> {
        let file = self
            .run(path, Step::Create, || File::create_new(path))
            .map_err(|e| DatasetError::write("create", path, e))?;
        let (disk, path) = (self.clone(), path.to_owned());
        Ok(HashingFile { disk, file, path, hasher: blake3::Hasher::new(), n_bytes: 0, failed: None })
    }

    pub(super) fn sync_dir(&self, path: &Path) -> Result<()> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        self.run(path, Step::SyncFolder, || File::open(path)?.sync_all())
            .map_err(|e| DatasetError::write("sync", path, e))
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.run(from, Step::Rename(to), || fs::rename(from, to))
            .map_err(|e| DatasetError::write("rename into place", to, e))
    }

    /// Removes a folder and what is in it, one name after the other. Links are removed, not followed.
    pub(super) fn remove_dir(&self, path: &Path) -> Result<()> {
        for entry in list(path)? {
            if entry.is_dir() && !entry.is_symlink() {
                self.remove_dir(&entry)?;
            } else {
                self.remove_file(&entry)?;
            }
        }
        self.run(path, Step::RemoveFolder, || fs::remove_dir(path))
            .map_err(|e| DatasetError::write("remove leftover", path, e))
    }

    pub(super) fn remove_file(&self, path: &Path) -> Result<()> {
        self.run(path, Step::RemoveFile, || fs::remove_file(path))
            .map_err(|e| DatasetError::write("remove leftover", path, e))
    }

    /// Replaces a file so that a reader sees the old bytes or the new ones and nothing between.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let temporary = path.with_extension("tmp");
        if temporary.symlink_metadata().is_ok() {
            self.remove_file(&temporary)?;
        }
        let mut file = self.create(&temporary)?;
        file.put(bytes)?;
        file.finish()?;
        self.rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |folder| self.sync_dir(folder))
    }

    /// Opens a file for reading and writing; it is made where it is not there, and never cut.
    pub(super) fn open(&self, path: &Path) -> Result<File> {
        let open = || File::options().create(true).truncate(false).read(true).write(true).open(path);
        self.run(path, Step::Open, open).map_err(|e| DatasetError::write("open", path, e))
    }

    /// Takes a lock that nobody else holds; `false` when someone does.
    pub(super) fn try_lock(&self, file: &File, path: &Path) -> Result<bool> {
        let locked = self.run(path, Step::Lock, || match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(e)) => Err(e),
        });
        locked.map_err(|e| DatasetError::write("lock", path, e))
    }

    /// Waits for a lock.
    pub(super) fn lock(&self, file: &File, path: &Path) -> Result<()> {
        self.run(path, Step::Lock, || file.lock()).map_err(|e| DatasetError::write("lock", path, e))
    }

    /// Cuts a file to `n_bytes` where it is longer, puts `bytes` behind them and waits until they are on the disk.
    pub(super) fn append(&self, file: &mut File, path: &Path, n_bytes: u64, bytes: &[u8]) -> Result<()> {
        let mut append = || {
            if file.metadata()?.len() > n_bytes {
                self.run(path, Step::Truncate(n_bytes), || file.set_len(n_bytes))?;
            }
            file.seek(SeekFrom::Start(n_bytes))?;
            let mut rest = bytes;
            while !rest.is_empty() {
                let n = self.write(file, path, rest)?;
                rest = &rest[n..];
            }
            self.run(path, Step::Sync, || file.sync_all())
        };
        append().map_err(|e| DatasetError::write("append to", path, e))
    }

    fn write(&self, file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(test)]
        if let Some(n) = self.plan.as_ref().and_then(|p| p.short(bytes)) {
            file.write_all(&bytes[..n])?;
            self.run(path, Step::Write(&bytes[..n]), || Ok(()))?;
        }
        let n = self.run(path, Step::Write(bytes), || file.write(bytes))?;
        if n == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(n) }
    }

    #[cfg(not(test))]
    #[inline]
    #[expect(clippy::unused_self, reason = "the same signature as in tests, where a plan has its say")]
    fn run<T>(&self, _: &Path, _: Step<'_>, real: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        real()
    }

    #[cfg(test)]
    fn run<T>(&self, path: &Path, step: Step<'_>, real: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some(plan) = &self.plan else { return real() };
        plan.run(path, step, real)
    }
}
