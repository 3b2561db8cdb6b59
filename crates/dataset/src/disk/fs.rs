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
    /// Gives a file that is there a second name.
    Link(&'a Path),
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
        let (hasher, waiting) = (blake3::Hasher::new(), vec![]);
        Ok(HashingFile { disk, file, path, hasher, n_bytes: 0, waiting, failed: None })
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

    /// Gives a file that is on the disk a second name; `false` where the file system knows no such thing.
    pub(super) fn link(&self, from: &Path, to: &Path) -> Result<bool> {
        use io::ErrorKind::{CrossesDevices, TooManyLinks, Unsupported};
        // What FAT says, and a kernel that guards files of others: "operation not permitted".
        const EPERM: i32 = 1;
        let is_unknown = |e: &io::Error| {
            matches!(e.kind(), CrossesDevices | TooManyLinks | Unsupported) || e.raw_os_error() == Some(EPERM)
        };
        match self.run(to, Step::Link(from), || fs::hard_link(from, to)) {
            Ok(()) => Ok(true),
            Err(e) if is_unknown(&e) => Ok(false),
            Err(e) => Err(DatasetError::write("link", to, e)),
        }
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
            self.write_all(file, path, bytes)?;
            self.run(path, Step::Sync, || file.sync_all())
        };
        append().map_err(|e| DatasetError::write("append to", path, e))
    }

    fn write_all(&self, file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.write(file, path, rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn write(&self, file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(test)]
        if let Some(plan) = &self.plan {
            return plan.write(file, path, bytes);
        }
        match self.run(path, Step::Write(bytes), || file.write(bytes)) {
            Ok(0) if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            written => written,
        }
    }

    #[cfg(not(test))]
    #[inline]
    fn run<T>(&self, _: &Path, _: Step<'_>, real: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        real()
    }

    #[cfg(test)]
    fn run<T>(&self, path: &Path, step: Step<'_>, real: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some(plan) = &self.plan else { return real() };
        plan.run(path, step, real)
    }
}

/// Bytes that are gathered before they go to the disk: a table engine writes a footer a few bytes at a time.
const BUFFER: usize = 1 << 18;

/// A file that is written once: counts and hashes what passes through to it.
#[derive(Debug)]
pub(super) struct HashingFile {
    disk: Disk,
    file: File,
    path: PathBuf,
    hasher: blake3::Hasher,
    n_bytes: u64,
    waiting: Vec<u8>,
    failed: Option<io::Error>,
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= BUFFER {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.waiting);
        if let Err(e) = self.disk.write_all(&mut self.file, &self.path, &bytes) {
            // The caller may be a table engine that knows only its own errors, so the cause is kept here.
            let told = e.raw_os_error().map_or_else(|| e.kind().into(), io::Error::from_raw_os_error);
            self.failed = Some(e);
            return Err(told);
        }
        self.hasher.update(&bytes);
        self.n_bytes += bytes.len() as u64;
        Ok(())
    }
}

impl HashingFile {
    /// Writes all of it.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).map_err(|e| DatasetError::write("write", &self.path, e))
    }

    /// What the disk said when a write failed, in place of what the caller made of it.
    pub(super) fn cause(&mut self, told: DatasetError) -> DatasetError {
        match self.failed.take() {
            Some(e) => DatasetError::write("write", &self.path, e),
            None => told,
        }
    }

    /// Puts the bytes on the disk and returns their number and digest.
    pub(super) fn finish(mut self) -> Result<(u64, String)> {
        self.flush().map_err(|e| DatasetError::write("write", &self.path, e))?;
        self.disk
            .run(&self.path, Step::Sync, || self.file.sync_all())
            .map_err(|e| DatasetError::write("sync", &self.path, e))?;
        Ok((self.n_bytes, self.hasher.finalize().to_hex().to_string()))
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    File::open(path)
        .and_then(|mut f| f.read_to_end(&mut bytes))
        .map_err(|e| DatasetError::io("read", path, e))?;
    Ok(bytes)
}

/// Names in a folder, sorted; nothing when the folder is not there.
pub(super) fn list(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        other => other.map_err(|e| DatasetError::io("list", path, e))?,
    };
    let mut paths = entries
        .map(|e| e.map(|e| e.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|e| DatasetError::io("list", path, e))?;
    paths.sort_unstable();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Disk = Disk { plan: None };

    #[test]
    fn replacing_leaves_one_file_with_the_new_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("CURRENT");
        for text in ["1\n", "2\n"] {
            std::fs::write(folder.path().join("CURRENT.tmp"), "left by a crash").unwrap();
            DISK.replace(&path, text.as_bytes()).unwrap();
            assert_eq!(read(&path).unwrap(), text.as_bytes());
        }
        assert_eq!(list(folder.path()).unwrap(), [path]);
    }

    #[test]
    fn errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        let errors = [
            read(&gone).unwrap_err(),
            DISK.sync_dir(&gone).unwrap_err(),
            DISK.remove_dir(&gone).unwrap_err(),
        ];
        for e in errors {
            assert!(e.to_string().contains("gone"), "{e}");
        }
        assert!(DISK.replace(&gone.join("x"), b"").is_err());
        assert!(list(&gone).unwrap().is_empty());
    }

    #[test]
    fn a_file_is_made_once_and_hashed_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut file = DISK.create(&path).unwrap();
        file.put(b"abc").unwrap();
        assert_eq!(file.finish().unwrap(), (3, blake3::hash(b"abc").to_hex().to_string()));
        assert!(DISK.create(&path).is_err());
    }

    #[test]
    fn folders_are_made_and_removed_with_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("keep"), "me").unwrap();
        let deep = folder.path().join("a/b/c");
        DISK.create_dir_all(&deep).unwrap();
        std::os::unix::fs::symlink(&outside, deep.join("link")).unwrap();
        DISK.create(&deep.join("f")).unwrap().finish().unwrap();
        DISK.remove_dir(&folder.path().join("a")).unwrap();
        assert!(outside.join("keep").exists(), "a link is not followed");
        assert_eq!(list(folder.path()).unwrap(), [outside]);
    }
}
