//! `zcore` on arrays, whole or by shards.

mod merge;
mod pipe;
mod round;
mod shard;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_coreset::{DrawPlan, Initial, ZCoreParams, ZCoreScores, ZCoreValidParams};
use ndarray::Array1;
use serde_json::json;

use super::arrays::{read_rows, write_npy};
use crate::args::{InitialArg, ZcoreArgs, ZcoreCommand, ZcoreParamsArgs};
use crate::output::{Output, UsageError};

/// Coverage scores.
pub(super) fn zcore(args: &ZcoreArgs, output: &Output) -> anyhow::Result<ExitCode> {
    if let Some(ZcoreCommand::Merge(merge)) = &args.what {
        return merge::merge(merge, output);
    }
    let Some(embeddings) = &args.embeddings else {
        return Err(UsageError("zcore: expected EMB.npy".to_owned()).into());
    };
    match (&args.partial, &args.out) {
        (Some(partial), _) => shard::observe(args, embeddings, partial, output),
        (None, Some(out)) => whole(args, embeddings, out, output),
        (None, None) => {
            Err(UsageError("zcore: expected --out SCORES.npy or --partial OUT".to_owned()).into())
        }
    }
}

fn whole(args: &ZcoreArgs, embeddings: &Path, out: &Path, output: &Output) -> anyhow::Result<ExitCode> {
    let rows = read_rows(embeddings)?;
    let valid = params(&args.params)?;
    let scores = match &args.plan {
        Some(path) => valid.score_plan(rows.view(), &read_plan(path)?)?,
        None => valid.score(rows.view())?,
    };
    write_scores(&scores, out, &valid, output)
}

fn params(args: &ZcoreParamsArgs) -> anyhow::Result<ZCoreValidParams> {
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
    Ok(params.check()?)
}

fn write_scores(
    scores: &ZCoreScores,
    out: &Path,
    valid: &ZCoreValidParams,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let normalised = Array1::from(scores.normalised.clone());
    write_npy(out, &normalised)?;
    let best = scores.top(1)?.first().map(|s| s.row);
    let words =
        format!("{} scores in {}, highest at row {}", normalised.len(), out.display(), best.unwrap_or(0));
    output.result(
        &json!({ "n_rows": normalised.len(), "out": out, "best_row": best, "params": valid.params(), "done": true }),
        &words,
    )?;
    Ok(ExitCode::SUCCESS)
}

fn read_plan(path: &Path) -> anyhow::Result<DrawPlan> {
    let text = std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{}: not a plan of draws", path.display()))
}
