//! `zcore` on arrays, whole or by shards.

mod merge;
mod pipe;
mod round;
mod shard;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_coreset::{DrawPlan, Initial, ZCoreParams, ZCoreScores, ZCoreStability, ZCoreValidParams};
use ndarray::{Array1, Array2};
use serde_json::json;

use super::arrays::{read_rows, write_npy};
use crate::args::{InitialArg, ZcoreArgs, ZcoreCommand, ZcoreParamsArgs};
use crate::output::{Output, UsageError};
use crate::progress::Teller;

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
    let none = Array2::zeros((0, rows.ncols()));
    let teller = Teller::new(output);
    let (scores, stability) = match (&args.plan, args.stability) {
        (Some(path), _) => (valid.score_plan(rows.view(), &read_plan(path)?)?, None),
        (None, None) => (valid.score_given(rows.view(), none.view(), &teller)?, None),
        (None, Some(n_seeds)) => {
            let laid_out = valid.lay_out(rows.view(), none.view())?;
            let seed = args.params.seed;
            let seeds: Vec<u64> = (0..n_seeds).map(|i| seed.wrapping_add(i)).collect();
            let tenth = rows.nrows().div_ceil(10);
            let stability = laid_out.stability(&seeds, tenth, &teller)?;
            (laid_out.score(seed, &teller)?, Some(stability))
        }
    };
    write_scores(&scores, stability.as_ref(), out, &valid, output)
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
    stability: Option<&ZCoreStability>,
    out: &Path,
    valid: &ZCoreValidParams,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let normalised = Array1::from(scores.normalised.clone());
    write_npy(out, &normalised)?;
    let best = scores.top(1)?.first().map(|s| s.row);
    let mut words =
        format!("{} scores in {}, highest at row {}", normalised.len(), out.display(), best.unwrap_or(0));
    let mut result = json!({
        "n_rows": normalised.len(), "out": out, "best_row": best, "params": valid.params(), "done": true,
    });
    if let Some(stability) = stability {
        words += &sentence(stability);
        result["stability"] = json!({
            "seeds": stability.seeds, "spearman": stability.spearman, "mean_spearman": stability.mean_spearman(),
            "k": stability.k, "top_overlap": stability.top_overlap, "mean_top_overlap": stability.mean_top_overlap(),
        });
    }
    output.result(&result, &words)?;
    Ok(ExitCode::SUCCESS)
}

fn sentence(stability: &ZCoreStability) -> String {
    let known = |share: Option<f64>| share.map_or_else(|| "not defined".to_owned(), |s| format!("{s:.3}"));
    format!(
        "\n{} seeds: mean rank correlation {}, of the {} highest rows a share of {} is the same; more draws agree better",
        stability.seeds.len(),
        known(stability.mean_spearman()),
        stability.k,
        known(stability.mean_top_overlap())
    )
}

fn read_plan(path: &Path) -> anyhow::Result<DrawPlan> {
    let text = std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{}: not a plan of draws", path.display()))
}
