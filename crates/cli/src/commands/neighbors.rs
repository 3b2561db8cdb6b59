//! `neighbors` on arrays.

use std::process::ExitCode;

use labelloop_index::{ExactIndex, Metric};
use serde_json::json;

use super::arrays::{read_rows, write_npy};
use crate::args::NeighborsArgs;
use crate::output::Output;

/// Nearest neighbours by cosine.
pub(super) fn neighbors(args: &NeighborsArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let (queries, pool) = (read_rows(&args.query)?, read_rows(&args.pool)?);
    let found = ExactIndex::new(pool.view(), Metric::Cosine)?.search(queries.view(), args.k, None)?;
    write_npy(&args.out, &found.ids.mapv(i64::from))?;
    if let Some(path) = &args.scores {
        write_npy(path, &found.scores)?;
    }
    let words = format!("{} x {} neighbours in {}", found.ids.nrows(), found.ids.ncols(), args.out.display());
    output.result(
        &json!({ "n_queries": found.ids.nrows(), "k": found.ids.ncols(), "out": args.out }),
        &words,
    )?;
    Ok(ExitCode::SUCCESS)
}
