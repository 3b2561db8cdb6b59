use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;

use crate::{MediaError, Result};

/// The bytes of a file of at most `max_bytes`.
///
/// The size is looked at before memory is set aside, so that a sparse file of terabytes costs nothing. What is no file is
/// refused and not waited for: a pipe that nobody writes to would hold a run up for good.
///
/// ```
/// use labelloop_media::{MediaError, read_file};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.jpg");
/// std::fs::write(&path, b"four")?;
/// assert_eq!(read_file(&path, 4)?, b"four");
/// let refused = read_file(&path, 3).unwrap_err();
/// assert!(matches!(refused, MediaError::TooManyBytes { n_bytes: 4, max_bytes: 3, .. }));
/// assert!(matches!(read_file(folder.path(), 4), Err(MediaError::NotAFile { found: "a folder", .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`MediaError::Io`], [`MediaError::NotAFile`], [`MediaError::TooManyBytes`]; all of them name the file.
pub fn read_file(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let io = |source| MediaError::Io { path: path.to_owned(), source };
    let too_many = |n_bytes| {
        let place = path.display().to_string();
        MediaError::TooManyBytes { place, n_bytes, max_bytes }
    };
    let file = open_file(path)?;
    let n_bytes = file.metadata().map_err(io)?.len();
    if max_bytes < n_bytes {
        return Err(too_many(n_bytes));
    }
    // One more than was said: a file that grows meanwhile ends the reading in time, and is noticed.
    let mut bytes = Vec::with_capacity(usize::try_from(n_bytes).unwrap_or(0).saturating_add(1));
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    if max_bytes < bytes.len() as u64 {
        return Err(too_many(bytes.len() as u64));
    }
    Ok(bytes)
}

/// Opens a file and nothing else.
pub(crate) fn open_file(path: &Path) -> Result<File> {
    let io = |source| MediaError::Io { path: path.to_owned(), source };
    // Before opening, since opening a pipe waits for the one who writes to it.
    let found = std::fs::metadata(path).map_err(io)?;
    if !found.is_file() {
        return Err(MediaError::NotAFile { path: path.to_owned(), found: kind_of(&found) });
    }
    File::open(path).map_err(io)
}

#[cfg(unix)]
fn kind_of(found: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;

    let kind = found.file_type();
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn kind_of(found: &Metadata) -> &'static str {
    if found.is_dir() { "a folder" } else { "a device" }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_named_and_not_waited_for() {
        let refused = read_file(Path::new("/dev/zero"), 10).unwrap_err();
        assert_eq!(refused.to_string(), "/dev/zero: a device: expected a file");
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&place).unwrap();
        assert!(matches!(read_file(&place, 10), Err(MediaError::NotAFile { found: "a socket", .. })));
    }

    #[test]
    fn a_link_to_nothing_and_a_missing_file_are_errors_of_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("a.jpg");
        std::os::unix::fs::symlink(folder.path().join("nothing"), &link).unwrap();
        for path in [link, folder.path().join("b.jpg")] {
            assert!(matches!(read_file(&path, 10), Err(MediaError::Io { path: p, .. }) if p == path));
        }
    }

    #[test]
    fn a_sparse_file_is_refused_by_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let refused = read_file(&path, 1 << 30).unwrap_err();
        assert!(
            matches!(refused, MediaError::TooManyBytes { n_bytes, .. } if n_bytes == 1 << 40),
            "{refused}"
        );
    }
}
