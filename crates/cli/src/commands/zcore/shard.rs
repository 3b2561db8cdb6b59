//! What one shard says in a round.

use std::path::Path;
use std::process::ExitCode;

use labelloop_coreset::partial::{ColumnCounts, Shard};
use serde_json::json;

use super::super::arrays::read_rows;
use super::pipe;
use super::round::Round;
use crate::args::ZcoreArgs;
use crate::output::Output;

pub(super) fn observe(
    args: &ZcoreArgs,
    embeddings: &Path,
    partial: &Path,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let mut round = args.order.as_deref().map(Round::read).transpose()?;
    if pipe::is_standard(embeddings) {
        pipe::read_rows(|rows, ids| {
            let first = || Round::Counts(ColumnCounts::new(rows.ncols()));
            Ok(round.get_or_insert_with(first).observe(Shard::with_ids(rows, ids)?)?)
        })?;
    } else {
        let rows = read_rows(embeddings)?;
        let first = || Round::Counts(ColumnCounts::new(rows.ncols()));
        round.get_or_insert_with(first).observe(Shard::new(rows.view(), args.first_row)?)?;
    }
    // A partition of a pipe that is empty has nothing to say, and in the first round does not even know its columns.
    let Some(round) = round.filter(|round| round.seen().n_rows > 0 || !pipe::is_standard(partial)) else {
        return Ok(ExitCode::SUCCESS);
    };
    let n_bytes = round.write(partial)?;
    if !pipe::is_standard(partial) {
        let n_rows = round.seen().n_rows;
        let words = format!("{} of {n_rows} rows in {}", round.name(), partial.display());
        let document =
            json!({ "round": round.name(), "n_rows": n_rows, "n_bytes": n_bytes, "partial": partial });
        output.result(&document, &words)?;
    }
    Ok(ExitCode::SUCCESS)
}
