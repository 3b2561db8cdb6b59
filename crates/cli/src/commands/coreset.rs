//! `zcore`, `select METHOD` and `neighbors` on arrays.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_core::{Seed, Silent};
use labelloop_coreset::{DrawPlan, Initial, Selected, ZCoreParams, k_center, uniqueness};
use labelloop_index::{ExactIndex, Metric};
use ndarray::{Array1, Array2, Axis};
use ndarray_npy::{ReadNpyError, ReadNpyExt, WritableElement, WriteNpyExt};
use serde_json::json;

use crate::args::{InitialArg, NeighborsArgs, SelectArgs, ZcoreArgs};
use crate::output::{Output, UsageError};

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

/// Rows by a coreset method.
pub(super) fn select(args: &SelectArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let (Some(method), Some(path), Some(k), Some(out)) = (&args.method, &args.embeddings, args.k, &args.out)
    else {
        let sentence = "select METHOD EMB.npy: expected -k K and --out IDS.npy with it";
        return Err(UsageError(sentence.to_owned()).into());
    };
    let rows = read_rows(path)?;
    let labelled: Vec<usize> = match &args.labeled {
        Some(path) => read_ids(path, rows.nrows())?,
        None => Vec::new(),
    };
    // Candidates are the rows that are not labelled; results are given in the numbers of the file.
    let free: Vec<usize> = (0..rows.nrows()).filter(|r| !labelled.contains(r)).collect();
    let candidates = rows.select(Axis(0), &free);
    let known = rows.select(Axis(0), &labelled);
    let chosen: Vec<Selected> = match method.as_str() {
        "zcore" => {
            let valid = ZCoreParams { seed: args.seed, ..ZCoreParams::default() }.check()?;
            valid.score_given(candidates.view(), known.view(), &Silent)?.top(k)?
        }
        "k-center" => k_center(candidates.view(), k, (!labelled.is_empty()).then(|| known.view()))?,
        "uniqueness" => {
            let scores: Vec<f64> = uniqueness(candidates.view())?.into_iter().map(f64::from).collect();
            let mut ranked = labelloop_coreset::rank_by_score(&scores, &free)?;
            ranked.truncate(k);
            ranked
        }
        "random" => {
            let order = Seed::new(args.seed).permutation(free.len());
            let picks = order.into_iter().take(k).enumerate();
            picks.map(|(i, row)| Selected { row, score: 0.0, rank: i + 1 }).collect()
        }
        other => {
            let sentence = format!("method {other:?}: expected zcore, k-center, uniqueness or random");
            return Err(UsageError(sentence).into());
        }
    };
    let ids: Vec<i64> = chosen.iter().map(|s| free[s.row] as i64).collect();
    write_npy(out, &Array1::from(ids.clone()))?;
    let words = format!("{} rows by {method} in {}", ids.len(), out.display());
    output.result(&json!({ "method": method, "ids": ids, "scores": chosen.iter().map(|s| s.score).collect::<Vec<_>>() }), &words)?;
    Ok(ExitCode::SUCCESS)
}

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

/// Rows as f32, from f32 or f64.
pub(super) fn read_rows(path: &Path) -> anyhow::Result<Array2<f32>> {
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

fn read_ids(path: &Path, n_rows: usize) -> anyhow::Result<Vec<usize>> {
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

pub(super) fn write_npy<T: WritableElement, D: ndarray::Dimension>(
    path: &Path,
    array: &ndarray::Array<T, D>,
) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
    array
        .write_npy(std::io::BufWriter::new(file))
        .with_context(|| format!("{}: cannot be written", path.display()))
}
