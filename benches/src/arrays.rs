//! The arrays of an evaluation as raw bytes, so that another program can compare them bit by bit.

use std::io::{self, Write};

use labelloop_eval::coco::CocoResult;

/// Writes precision, recall, scores and the twelve statistics of a result, in this order, as little-endian `f64`,
/// each array after its length as a little-endian `u64`.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut impl Write, result: &CocoResult) -> io::Result<()> {
    for array in [&result.precision[..], &result.recall, &result.scores, &result.stats] {
        out.write_all(&(array.len() as u64).to_le_bytes())?;
        for value in array {
            out.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use labelloop_eval::coco::{self, CocoParams};

    #[test]
    fn every_array_comes_after_its_length() {
        let result = coco::evaluate(&[], 2, &CocoParams::default()).unwrap();
        let mut bytes = Vec::new();
        write(&mut bytes, &result).unwrap();
        let n_precision = 10 * 101 * 2 * 4 * 3;
        let n_recall = 10 * 2 * 4 * 3;
        assert_eq!(bytes.len(), 8 * (4 + 2 * n_precision + n_recall + 12));
        assert_eq!(bytes[..8], (n_precision as u64).to_le_bytes());
        assert_eq!(bytes[bytes.len() - 8..], (-1.0f64).to_le_bytes());
    }
}
