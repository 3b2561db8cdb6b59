//! `zcore` on arrays.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_coreset::{DrawPlan, Initial, ZCoreParams};
use ndarray::Array1;
use serde_json::json;

use super::arrays::{read_rows, write_npy};
use crate::args::{InitialArg, ZcoreArgs};
use crate::output::Output;

/// Coverage scores.
pub(super) fn zcore(args: &ZcoreArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let rows = read_rows(&args.embeddings)?;
    let params = ZCoreParams {
        n_draws: args.draws,
        n_dims: args.dims,
        n_neighbours: args.neighbours,
        exponent: args.exponent,
        initial: match args.initial {
            InitialArg::Zero => Initial::Zero,
            InitialArg::Uniform => Initial::Uniform,
        },
        seed: args.seed,
        ..ZCoreParams::default()
    };
    let valid = params.check()?;
    let scores = match &args.plan {
        Some(path) => valid.score_plan(rows.view(), &read_plan(path)?)?,
        None => valid.score(rows.view())?,
    };
    let normalised = Array1::from(scores.normalised.clone());
    write_npy(&args.out, &normalised)?;
    let best = scores.top(1)?.first().map(|s| s.row);
    let words = format!(
        "{} scores in {}, highest at row {}",
        normalised.len(),
        args.out.display(),
        best.unwrap_or(0)
    );
    output.result(
        &json!({ "n_rows": normalised.len(), "out": args.out, "best_row": best, "params": valid.params() }),
        &words,
    )?;
    Ok(ExitCode::SUCCESS)
}

fn read_plan(path: &Path) -> anyhow::Result<DrawPlan> {
    let text = std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{}: not a plan of draws", path.display()))
}
