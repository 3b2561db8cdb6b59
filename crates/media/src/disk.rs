use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::{MediaError, Result};

/// Replaces a file as a whole or leaves what was there: written beside it, flushed, renamed over it, folder flushed. So
/// neither a kill nor a power cut leaves half a file under this name.
///
/// What is written beside has a fixed name, `.NAME.tmp`: what a killed program left there is overwritten by the next
/// write of the file and does not pile up. Two programs must therefore not write one file at the same time. The error
/// is the system's and does not name the file; the caller's does.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.json");
/// labelloop_media::write_atomically(&path, b"old")?;
/// labelloop_media::write_atomically(&path, b"new")?;
/// assert_eq!(std::fs::read(&path)?, b"new");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Those of the system: a missing folder, no room, no right to write; a path without a file name. The old file stands
/// then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let beside = path.with_file_name(format!(".{}.tmp", name.to_string_lossy()));
    let written = write_synced(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first error is the one worth telling; a leftover that cannot be removed changes nothing about it.
        let _ = fs::remove_file(&beside);
        return written;
    }
    sync_folder(path)
}

/// [`write_atomically`] with an error that names the file.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, bytes).map_err(|source| MediaError::Io { path: path.to_owned(), source })
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the rename last through a power cut, where folders can be opened (not on Windows).
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_names_the_file_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("taken");
        fs::create_dir(&target).unwrap();
        let refused = replace(&target, b"bytes").unwrap_err();
        assert!(refused.to_string().contains("taken"), "{refused}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_path_without_a_name_and_a_missing_folder_are_refused() {
        assert!(matches!(replace(Path::new("/"), b""), Err(MediaError::Io { .. })));
        let folder = tempfile::tempdir().unwrap();
        let missing = write_atomically(&folder.path().join("no/a.bin"), b"").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_old_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.bin");
        replace(&target, b"the longer first").unwrap();
        replace(&target, b"second").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_program_left_behind_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".a.bin.tmp"), "half of a longer file").unwrap();
        replace(&folder.path().join("a.bin"), b"whole").unwrap();
        assert_eq!(fs::read(folder.path().join("a.bin")).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
