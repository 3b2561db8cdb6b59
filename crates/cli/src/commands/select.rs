//! `select METHOD` on arrays.

use std::process::ExitCode;

use labelloop_core::{Seed, Silent};
use labelloop_coreset::{Selected, ZCoreParams, k_center, uniqueness};
use ndarray::{Array1, Axis};
use serde_json::json;

use super::arrays::{read_ids, read_rows, write_npy};
use crate::args::SelectArgs;
use crate::output::{Output, UsageError};

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
