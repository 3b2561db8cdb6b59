//! A score as a table and back.

use std::collections::BTreeMap;
use std::path::Path;

use labelloop_core::SampleId;

use super::answers::next_known;
use super::column;
use super::frame::{Columns, pieces, read_table};
use crate::Result;

pub(super) fn encode(scores: &BTreeMap<SampleId, f64>) -> impl Iterator<Item = Columns> {
    pieces(scores.iter(), piece)
}

fn piece(rows: &[(&SampleId, &f64)]) -> Columns {
    Columns::new().with("sample", column(rows, |r| r.0.as_str())).with("value", column(rows, |r| *r.1))
}

/// `ids`: all samples, in order.
pub(super) fn read(bytes: &[u8], path: &Path, ids: &[SampleId]) -> Result<BTreeMap<SampleId, f64>> {
    let mut scores = vec![];
    let mut known = (0u32..).zip(ids);
    for table in read_table(bytes, path)? {
        let t = table?;
        let (names, values) = (t.text("sample")?, t.real("value")?);
        for row in 0..t.n_rows() {
            let (_, id) = next_known(&t, row, names[row], &mut known)?;
            scores.push((id.clone(), values[row]));
        }
    }
    Ok(scores.into_iter().collect())
}
