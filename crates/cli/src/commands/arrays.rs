//! Arrays in numpy's files.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use labelloop_embed::EmbeddingTable;
use ndarray::{Array1, Array2};
use ndarray_npy::{ReadNpyError, ReadNpyExt, WritableElement, WriteNpyExt};

/// Rows as f32, from f32 or f64: a `.npy` matrix, or the vectors of a Parquet table in the order of its rows.
pub(super) fn read_rows(path: &Path) -> anyhow::Result<Array2<f32>> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet")) {
        return Ok(EmbeddingTable::read_parquet(path)?.into_embeddings().vectors().to_owned());
    }
    let open = || File::open(path).with_context(|| format!("{}: cannot be read", path.display()));
    let not_rows = || format!("{}: expected a two-dimensional array of f32 or f64", path.display());
    match Array2::<f32>::read_npy(open()?) {
        Ok(rows) => Ok(rows),
        Err(ReadNpyError::WrongDescriptor(_)) => {
            Ok(Array2::<f64>::read_npy(open()?).with_context(not_rows)?.mapv(|v| v as f32))
        }
        Err(e) => Err(e).with_context(not_rows),
    }
}

/// Row numbers, each below `n_rows`.
pub(super) fn read_ids(path: &Path, n_rows: usize) -> anyhow::Result<Vec<usize>> {
    let file = File::open(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let ids = Array1::<i64>::read_npy(file)
        .with_context(|| format!("{}: expected a one-dimensional array of int64", path.display()))?;
    ids.iter()
        .map(|id| {
            usize::try_from(*id).ok().filter(|row| *row < n_rows).with_context(|| {
                format!("{}: row {id}, expected 0 to {}", path.display(), n_rows.saturating_sub(1))
            })
        })
        .collect()
}

/// Numbers, from f64 or f32.
pub(super) fn read_numbers(path: &Path) -> anyhow::Result<Vec<f64>> {
    let open = || File::open(path).with_context(|| format!("{}: cannot be read", path.display()));
    let not_numbers = || format!("{}: expected a one-dimensional array of f64 or f32", path.display());
    match Array1::<f64>::read_npy(open()?) {
        Ok(numbers) => Ok(numbers.to_vec()),
        Err(ReadNpyError::WrongDescriptor(_)) => Ok(Array1::<f32>::read_npy(open()?)
            .with_context(not_numbers)?
            .iter()
            .map(|v| f64::from(*v))
            .collect()),
        Err(e) => Err(e).with_context(not_numbers),
    }
}

/// Writes an array.
pub(super) fn write_npy<T: WritableElement, D: ndarray::Dimension>(
    path: &Path,
    array: &ndarray::Array<T, D>,
) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
    array
        .write_npy(std::io::BufWriter::new(file))
        .with_context(|| format!("{}: cannot be written", path.display()))
}
