//! Rows and partials as lines of text, which is what Spark's `pipe` carries.

use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ndarray::ArrayView2;

/// Numbers gathered before rows are looked at: 256 MB.
const GATHERED: usize = 1 << 26;

/// Whether a path means standard input or output.
pub(super) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Writes a line of base64.
pub(super) fn write_line(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", STANDARD.encode(bytes)).and_then(|()| out.flush()).context("standard output")
}

/// Hands over what lines of base64 hold, one by one.
pub(super) fn read_lines(mut take: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for (at, line) in std::io::stdin().lock().lines().enumerate() {
        let place = || format!("standard input, line {}", at + 1);
        let line = line.with_context(place)?;
        if !line.trim().is_empty() {
            let bytes = STANDARD.decode(line.trim()).context("no base64").with_context(place)?;
            take(&bytes).with_context(place)?;
        }
    }
    Ok(())
}

/// Hands over rows in blocks: lines of row number, white space, and base64 of `f32` numbers, lowest byte first.
pub(super) fn read_rows(
    mut take: impl FnMut(ArrayView2<'_, f32>, &[u32]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (mut ids, mut values, mut n_columns) = (Vec::new(), Vec::new(), None);
    let mut flush = |ids: &mut Vec<u32>, values: &mut Vec<f32>| -> anyhow::Result<()> {
        if !ids.is_empty() {
            take(ArrayView2::from_shape((ids.len(), values.len() / ids.len()), values)?, ids)?;
        }
        ids.clear();
        values.clear();
        Ok(())
    };
    for (at, line) in std::io::stdin().lock().lines().enumerate() {
        let place = || format!("standard input, line {}", at + 1);
        let line = line.with_context(place)?;
        if line.trim().is_empty() {
            continue;
        }
        let before = values.len();
        ids.push(row(&line, &mut values).with_context(place)?);
        let (found, expected) = (values.len() - before, *n_columns.get_or_insert(values.len() - before));
        anyhow::ensure!(found == expected, "{}: {found} numbers, expected {expected}", place());
        if values.len() >= GATHERED {
            flush(&mut ids, &mut values)?;
        }
    }
    flush(&mut ids, &mut values)
}

/// The number of a row; its numbers go to the end of `values`.
fn row(line: &str, values: &mut Vec<f32>) -> anyhow::Result<u32> {
    let mut parts = line.split_whitespace();
    let (Some(id), Some(text), None) = (parts.next(), parts.next(), parts.next()) else {
        anyhow::bail!("expected a row number and base64 of its numbers");
    };
    let id = id.parse().with_context(|| format!("{id:?} is no row number"))?;
    let bytes = STANDARD.decode(text).context("no base64")?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    anyhow::ensure!(rest.is_empty(), "{} bytes, expected 4 for each number", bytes.len());
    values.extend(numbers.iter().map(|b| f32::from_le_bytes(*b)));
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_number_and_its_row() {
        let mut values = Vec::new();
        assert_eq!(row("7 AACAPwAAAMA=", &mut values).unwrap(), 7);
        assert_eq!(values, [1.0, -2.0]);
        for bad in ["7", "-1 AACAPw==", "7 AACA", "7 AACAPw== 3", "7 %%%%", ""] {
            assert!(row(bad, &mut values).is_err(), "{bad}");
        }
    }
}
