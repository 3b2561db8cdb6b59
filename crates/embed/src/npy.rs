use std::io::Cursor;
use std::path::Path;

use labelloop_media::write_atomically;
use ndarray::{Array2, ArrayView2};
use ndarray_npy::{ReadNpyError, ReadNpyExt};

use crate::{EmbedError, Result};

/// Writes a matrix as a `.npy` file of `float32`, whole or not at all.
///
/// ```
/// use labelloop_embed::{read_npy, write_npy};
/// use ndarray::array;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors.npy");
/// let matrix = array![[1.0, 2.0], [3.0, 4.0]];
/// write_npy(&path, matrix.view())?;
/// assert_eq!(read_npy(&path)?, matrix);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EmbedError::Io`].
#[expect(clippy::needless_pass_by_value, reason = "views are passed by value at crate boundaries")]
pub fn write_npy(path: &Path, matrix: ArrayView2<'_, f32>) -> Result<()> {
    let mut bytes = plain_header(matrix.nrows(), matrix.ncols());
    bytes.extend(matrix.iter().flat_map(|v| v.to_le_bytes()));
    write_atomically(path, &bytes).map_err(EmbedError::io(path))
}

/// Reads a two-dimensional `.npy` file of `float32` or `float64` (rounded to `f32`), in C or Fortran order.
///
/// Values are not judged: NaN stays NaN.
///
/// # Errors
/// [`EmbedError::Io`], or [`EmbedError::Npy`] with the reader's reason.
pub fn read_npy(path: &Path) -> Result<Array2<f32>> {
    let bytes = std::fs::read(path).map_err(|source| EmbedError::Io { path: path.to_owned(), source })?;
    check_length(&bytes).map_err(|reason| refused(path, reason))?;
    match Array2::<f32>::read_npy(Cursor::new(&bytes)) {
        Err(ReadNpyError::WrongDescriptor(_)) => Array2::<f64>::read_npy(Cursor::new(&bytes))
            .map(|matrix| matrix.mapv(|v| v as f32))
            .map_err(|e| refused(path, e.to_string())),
        read => read.map_err(|e| refused(path, e.to_string())),
    }
}

fn refused(path: &Path, reason: String) -> EmbedError {
    EmbedError::Npy { path: path.to_owned(), reason }
}

/// The header of a version 1 file of `f32` rows, padded so that rows begin at a multiple of 64 bytes.
pub(crate) fn plain_header(n_rows: usize, n_dims: usize) -> Vec<u8> {
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({n_rows}, {n_dims}), }}");
    let n_unpadded = 10 + text.len() + 1;
    text.push_str(&" ".repeat(n_unpadded.next_multiple_of(64) - n_unpadded));
    text.push('\n');
    // Two numbers of at most 20 digits keep the text far below what two bytes count.
    let n_text = (text.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &n_text, text.as_bytes()].concat()
}

/// Compares what the header promises with the bytes there are, before a reader allocates what is promised.
fn check_length(bytes: &[u8]) -> Result<(), String> {
    let (header, start) = header(bytes)?;
    let n_values = promised(&header).ok_or_else(|| format!("header {header:?}: expected a shape"))?;
    // A single byte is the least that a value can take: enough to refuse a promise that cannot be kept.
    let n_bytes = bytes.len() - start;
    if n_bytes < n_values {
        return Err(format!("{n_bytes} bytes of data for {n_values} values: expected more"));
    }
    Ok(())
}

/// The header's text, and where the data starts.
fn header(bytes: &[u8]) -> Result<(String, usize), String> {
    let short = || format!("{} bytes: expected a whole header", bytes.len());
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err("expected a file that starts with \\x93NUMPY".to_owned());
    }
    let number = |from: usize, to: usize| -> Option<usize> {
        bytes.get(from..to).map(|b| b.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b)))
    };
    // Version 1 has two bytes for the length of the header, later ones four.
    let start = if bytes.get(6) == Some(&1) { 10 } else { 12 };
    let n_header = number(8, start).ok_or_else(short)?;
    let text = bytes[start..].get(..n_header).ok_or_else(short)?;
    Ok((String::from_utf8_lossy(text).into_owned(), start + n_header))
}

/// Where the numbers of a matrix of little-endian `f32` in C order start, its rows and its columns.
#[cfg(feature = "mmap")]
pub(crate) fn plain_rows(bytes: &[u8]) -> Result<(usize, usize, usize), String> {
    let (header, start) = header(bytes)?;
    let words: String =
        header.chars().filter(|c| !c.is_whitespace()).map(|c| if c == '"' { '\'' } else { c }).collect();
    let expected = |what: &str| format!("header {header:?}: expected {what}");
    if !words.contains("'descr':'<f4'") || !words.contains("'fortran_order':False") {
        return Err(expected("little-endian f32 in C order"));
    }
    let sides = sides(&words).unwrap_or_default();
    let [n_rows, n_dims] = sides[..] else { return Err(expected("two dimensions")) };
    Ok((start, n_rows, n_dims))
}

/// The product of the numbers in `'shape': (…)`, saturating.
fn promised(header: &str) -> Option<usize> {
    Some(sides(header)?.into_iter().fold(1, usize::saturating_mul))
}

/// The numbers in `'shape': (…)`.
fn sides(header: &str) -> Option<Vec<usize>> {
    let after = header.split_once("shape")?.1;
    let inside = after.split_once('(')?.1.split_once(')')?.0;
    let sides = inside.split(',').map(str::trim).filter(|side| !side.is_empty());
    // A side too long for a number is more than any file holds.
    Some(sides.map(|side| side.parse().unwrap_or(usize::MAX)).collect())
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    /// A version 1 file as NumPy writes it.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut header = header.to_owned();
        while !(10 + header.len() + 1).is_multiple_of(64) {
            header.push(' ');
        }
        header.push('\n');
        let n_header = u16::try_from(header.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00".as_slice(), &n_header, header.as_bytes(), data].concat()
    }

    fn read(bytes: &[u8]) -> Result<Array2<f32>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        std::fs::write(&path, bytes).unwrap();
        read_npy(&path)
    }

    fn f64s(values: &[f64]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn doubles_and_fortran_order_are_read() {
        let c = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }";
        assert_eq!(read(&file(c, &f64s(&[1.0, 2.0, 3.0, 4.0]))).unwrap(), array![[1.0, 2.0], [3.0, 4.0]]);
        let fortran = c.replace("False", "True");
        assert_eq!(
            read(&file(&fortran, &f64s(&[1.0, 2.0, 3.0, 4.0]))).unwrap(),
            array![[1.0, 3.0], [2.0, 4.0]]
        );
    }

    #[test]
    fn integers_vectors_and_cubes_are_refused() {
        for (descr, shape) in [("<i8", "(1, 1)"), ("<f8", "(1,)"), ("<f8", "(1, 1, 1)"), ("|O", "(1, 1)")] {
            let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
            let refused = read(&file(&header, &[0; 8])).unwrap_err();
            assert!(matches!(refused, EmbedError::Npy { .. }), "{refused}");
        }
    }

    #[test]
    fn a_shape_that_no_file_holds_is_refused_before_memory_is_asked_for() {
        for shape in
            ["(4611686018427387904, 1)", "(99999999999999999999999, 1)", "(4294967296, 4294967296)", "(9, 1)"]
        {
            let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            let refused = read(&file(&header, &[0; 8])).unwrap_err();
            assert!(refused.to_string().contains("expected more"), "{refused}");
        }
    }

    #[test]
    fn a_missing_file_and_an_empty_one_are_typed_errors() {
        assert!(matches!(read_npy(Path::new("no such file")), Err(EmbedError::Io { .. })));
        assert!(matches!(read(&[]), Err(EmbedError::Npy { .. })));
    }

    #[test]
    fn nan_and_no_rows_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write_npy(&path, array![[f32::NAN, f32::INFINITY]].view()).unwrap();
        assert!(read_npy(&path).unwrap()[[0, 0]].is_nan());
        write_npy(&path, Array2::zeros((0, 5)).view()).unwrap();
        assert_eq!(read_npy(&path).unwrap().dim(), (0, 5));
    }

    proptest! {
        #[test]
        fn cut_or_flipped_files_give_a_matrix_or_an_error(
            cut in 0..200usize, at in 0..200usize, value in any::<u8>(),
        ) {
            let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
            let mut bytes = file(header, &[1; 24]);
            let n_bytes = bytes.len();
            prop_assert!(read(&bytes[..cut.min(n_bytes - 1)]).is_err());
            bytes[at % n_bytes] = value;
            let _ = read(&bytes);
        }

        #[test]
        fn any_matrix_round_trips(rows in 0..5usize, columns in 1..5usize, seed in any::<u32>()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.npy");
            let matrix = Array2::from_shape_fn((rows, columns), |(i, j)| f32::from_bits(seed ^ (i * 7 + j) as u32));
            prop_assume!(matrix.iter().all(|v| !v.is_nan()));
            write_npy(&path, matrix.view()).unwrap();
            prop_assert_eq!(read_npy(&path).unwrap(), matrix);
        }
    }
}
