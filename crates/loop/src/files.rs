//! Files that are either the old ones or the new ones, never half of each.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{LoopError, Result};

/// Replaces a file as a whole: written beside it, flushed to disk, renamed over it. Missing folders are made.
///
/// # Errors
/// [`LoopError::Io`] naming the file.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(LoopError::io(folder))?;
    labelloop_media::write_atomically(path, bytes).map_err(LoopError::io(path))
}

/// Writes a value as indented JSON with a final line feed.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| LoopError::Record { path: path.to_owned(), reason: e.to_string() })?;
    bytes.push(b'\n');
    write_atomically(path, &bytes)
}

/// Reads a value that [`write_json`] wrote.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(LoopError::io(path))?;
    serde_json::from_slice(&bytes)
        .map_err(|e| LoopError::Record { path: path.to_owned(), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_behind_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/a.json");
        write_json(&path, &[1, 2]).unwrap();
        std::fs::write(dir.path().join("sub/.a.json.tmp"), "half").unwrap();
        assert_eq!(read_json::<Vec<u32>>(&path).unwrap(), [1, 2]);
        write_json(&path, &[3]).unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join("sub")).unwrap().count(), 1);
    }
}
