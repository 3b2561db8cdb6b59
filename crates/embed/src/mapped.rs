use std::path::{Path, PathBuf};

use mmap_guard::{FileData, map_file};
use ndarray::ArrayView2;

use crate::npy::plain_rows;
use crate::{EmbedError, Result};

/// Rows of a file, mapped into memory: only those that are looked at are read from the disk, and all processes that map
/// the file share them.
///
/// A map holds a shared lock on its file, so that no [`VectorStore`](crate::VectorStore) writes to rows that are mapped.
/// This crate replaces `.npy` files as a whole, which leaves the rows of an open map as they were. The operating system
/// offers no protection from other programs: one that cuts the file short while it is mapped ends this process with a
/// signal when the rows that are gone are looked at.
///
/// Values are not judged: NaN stays NaN.
///
/// ```
/// use labelloop_embed::{MappedRows, write_npy};
/// use ndarray::array;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors.npy");
/// write_npy(&path, array![[1.0, 2.0], [3.0, 4.0]].view())?;
/// let rows = MappedRows::open_npy(&path)?;
/// assert_eq!(rows.view(), array![[1.0, 2.0], [3.0, 4.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MappedRows {
    data: FileData,
    path: PathBuf,
    /// Byte of the first number.
    start: usize,
    n_rows: usize,
    n_dims: usize,
}

impl MappedRows {
    /// Maps a `.npy` file of little-endian `float32` rows in C order, as [`write_npy`](crate::write_npy) and NumPy write
    /// it.
    ///
    /// # Errors
    /// [`EmbedError::Npy`] for other kinds of `.npy`, [`EmbedError::Conflict`] while a program has it locked for itself,
    /// [`EmbedError::Io`].
    pub fn open_npy(path: &Path) -> Result<Self> {
        let data = map(path)?;
        let (start, n_rows, n_dims) = plain_rows(&data).map_err(|reason| refused(path, reason))?;
        Self::checked(data, path, start, n_rows, n_dims)
    }

    /// Maps the plain rows of a store ([`VectorStore::rows_path`](crate::VectorStore::rows_path)); bytes after the last
    /// whole row are left out.
    ///
    /// # Errors
    /// [`EmbedError::Conflict`] while a run writes to the store, [`EmbedError::Npy`] for no dimensions,
    /// [`EmbedError::Io`].
    pub fn open_rows(path: &Path, n_dims: usize) -> Result<Self> {
        let data = map(path)?;
        let n_rows = data.len().checked_div(n_dims.saturating_mul(4));
        let n_rows = n_rows.ok_or_else(|| refused(path, "rows of no numbers".to_owned()))?;
        Self::checked(data, path, 0, n_rows, n_dims)
    }

    /// All rows; nothing is read before it is looked at.
    pub fn view(&self) -> ArrayView2<'_, f32> {
        let bytes = &self.data[self.start..self.start + self.n_rows * self.n_dims * 4];
        let numbers = bytemuck::try_cast_slice(bytes).unwrap_or_default();
        let view = ArrayView2::from_shape((self.n_rows, self.n_dims), numbers);
        view.expect("length and alignment were checked when the file was opened")
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn checked(data: FileData, path: &Path, start: usize, n_rows: usize, n_dims: usize) -> Result<Self> {
        if cfg!(target_endian = "big") {
            return Err(refused(path, "little-endian rows cannot be mapped on this machine".to_owned()));
        }
        let n_bytes = n_rows.checked_mul(n_dims).and_then(|n| n.checked_mul(4));
        let end = n_bytes.and_then(|n| n.checked_add(start));
        let bytes = end.and_then(|end| data.get(start..end)).ok_or_else(|| {
            refused(path, format!("{} bytes for {n_rows} x {n_dims} numbers: expected more", data.len()))
        })?;
        if bytemuck::try_cast_slice::<u8, f32>(bytes).is_err() {
            return Err(refused(path, format!("numbers begin at byte {start}: expected a multiple of 4")));
        }
        Ok(Self { data, path: path.to_owned(), start, n_rows, n_dims })
    }
}

fn map(path: &Path) -> Result<FileData> {
    let about = std::fs::metadata(path).map_err(EmbedError::io(path))?;
    if about.len() == 0 {
        // No system maps nothing.
        return Ok(FileData::Loaded(Vec::new()));
    }
    map_file(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::WouldBlock => EmbedError::Conflict { path: path.to_owned() },
        _ => EmbedError::Io { path: path.to_owned(), source },
    })
}

fn refused(path: &Path, reason: String) -> EmbedError {
    EmbedError::Npy { path: path.to_owned(), reason }
}
