//! Durable file operations: everything that is written is on the disk before its name says so.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::{DatasetError, Result};

/// Counts and hashes what passes through to a file.
pub(super) struct HashingFile {
    file: File,
    hasher: blake3::Hasher,
    n_bytes: u64,
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.n_bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl HashingFile {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path).map_err(|e| DatasetError::io("create", path, e))?;
        Ok(Self { file, hasher: blake3::Hasher::new(), n_bytes: 0 })
    }

    /// Puts the bytes on the disk and returns their number and digest.
    pub(super) fn finish(self, path: &Path) -> Result<(u64, String)> {
        self.file.sync_all().map_err(|e| DatasetError::io("sync", path, e))?;
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

pub(super) fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|f| f.sync_all()).map_err(|e| DatasetError::io("sync", path, e))
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| DatasetError::io("rename into place", to, e))
}

pub(super) fn create_dir_all(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| DatasetError::io("create folder", path, e))
}

pub(super) fn remove_dir(path: &Path) -> Result<()> {
    fs::remove_dir_all(path).map_err(|e| DatasetError::io("remove leftover", path, e))
}

/// Replaces a file so that a reader sees the old bytes or the new ones and nothing between.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let write = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| DatasetError::io("write", &temporary, e))?;
    rename(&temporary, path)?;
    match path.parent() {
        Some(folder) => sync_dir(folder),
        None => Ok(()),
    }
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

    #[test]
    fn replacing_leaves_one_file_with_the_new_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("CURRENT");
        for text in ["1\n", "2\n"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(read(&path).unwrap(), text.as_bytes());
        }
        assert_eq!(list(folder.path()).unwrap(), [path]);
    }

    #[test]
    fn errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        for e in [read(&gone).unwrap_err(), sync_dir(&gone).unwrap_err(), remove_dir(&gone).unwrap_err()] {
            assert!(e.to_string().contains("gone"), "{e}");
        }
        assert!(replace(&gone.join("x"), b"").is_err());
        assert!(list(&gone).unwrap().is_empty());
    }

    #[test]
    fn a_file_is_made_once_and_hashed_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut file = HashingFile::create(&path).unwrap();
        file.write_all(b"abc").unwrap();
        assert_eq!(file.finish(&path).unwrap(), (3, blake3::hash(b"abc").to_hex().to_string()));
        assert!(HashingFile::create(&path).is_err());
    }
}
