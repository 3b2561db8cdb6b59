//! `select METHOD` on arrays.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_core::Silent;
use labelloop_coreset::select::{
    Candidates, Ended, Known, Method, Search, SelectParams, SelectValidParams, Selection, Weighted,
};
use labelloop_coreset::{Metric, ParamError};
use ndarray::{Array1, Axis};
use serde_json::{Value, json};

use super::arrays::{read_ids, read_numbers, read_rows, write_npy};
use crate::args::{DistanceArg, SelectArgs};
use crate::output::{Output, UsageError};

/// Rows by a coreset method.
pub(super) fn select(args: &SelectArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let (Some(method), Some(path), Some(k), Some(out)) = (&args.method, &args.embeddings, args.k, &args.out)
    else {
        let sentence = "select METHOD EMB.npy: expected -k K and --out IDS.npy with it";
        return Err(UsageError(sentence.to_owned()).into());
    };
    let valid = params(args, method)?;
    let problem = Problem::read(args, path)?;
    let found = problem.select(&valid, k)?;
    let ids: Vec<i64> = found.picks.iter().map(|pick| problem.free[pick.row] as i64).collect();
    write_npy(out, &Array1::from(ids.clone()))?;
    let why = match found.ended {
        Ended::Full => "",
        Ended::RowsExhausted => "; there are no more rows",
        Ended::QuotaReached => "; the quota of every group is full",
        Ended::MinDistance => "; all other rows are too close to these or to labelled ones",
    };
    let words = format!("{} rows by {method} in {}{why}", ids.len(), out.display());
    let picks: Vec<Value> = found
        .picks
        .iter()
        .zip(&ids)
        .map(|(pick, id)| {
            let reason = pick.reason.clone().renumbered(&|known| problem.in_file(known));
            let reason = json!({ "data": reason, "text": reason.to_string() });
            json!({ "row": id, "rank": pick.rank, "gain": finite(pick.gain), "reason": reason })
        })
        .collect();
    let scores: Vec<Option<f64>> = found.picks.iter().map(|pick| finite(pick.gain)).collect();
    output.result(
        &json!({
            "method": method, "ids": ids, "scores": scores, "ended": found.ended, "picks": picks,
            "params": valid.params(),
        }),
        &words,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// A gain that is not finite has no number in JSON.
fn finite(gain: f64) -> Option<f64> {
    Some(gain).filter(|gain| gain.is_finite())
}

/// What the command line asks for; what it cannot ask for is wrong usage.
fn params(args: &SelectArgs, method: &str) -> anyhow::Result<SelectValidParams> {
    let usage = |e: ParamError| UsageError(e.to_string());
    let mut objectives = vec![Weighted { method: named(method, &args.param)?, strength: args.strength }];
    for text in &args.objective {
        let (name, strength) = text.split_once('=').unwrap_or((text, "1"));
        let strength = strength.parse().map_err(|_| {
            UsageError(format!("--objective {text}: expected METHOD=STRENGTH with a number for the strength"))
        })?;
        objectives.push(Weighted { method: Method::from_name(name).map_err(usage)?, strength });
    }
    let params = SelectParams {
        objectives,
        search: args.stochastic.map_or(Search::Exact, |epsilon| Search::Stochastic { epsilon }),
        per_group: args.per_group,
        min_distance: args.min_distance,
        metric: match args.metric {
            DistanceArg::Cosine => Metric::Cosine,
            DistanceArg::L2 => Metric::L2,
        },
        seed: args.seed,
        ..SelectParams::default()
    };
    Ok(params.check().map_err(usage)?)
}

/// A method with the parameters given as NAME=VALUE.
fn named(name: &str, given: &[String]) -> anyhow::Result<Method> {
    let method = Method::from_name(name).map_err(|e| UsageError(e.to_string()))?;
    if given.is_empty() {
        return Ok(method);
    }
    let mut object = serde_json::to_value(method)?;
    for text in given {
        let Some((key, value)) = text.split_once('=') else {
            return Err(UsageError(format!("--param {text}: expected NAME=VALUE")).into());
        };
        // What is no JSON is a word.
        object[key] = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
    }
    Ok(serde_json::from_value(object).map_err(|e| UsageError(format!("--param of {name}: {e}")))?)
}

/// The rows of the file, split into those labelled and those free.
struct Problem {
    rows: ndarray::Array2<f32>,
    labelled: Vec<usize>,
    /// The rows that are not labelled: results are given in the numbers of the file.
    free: Vec<usize>,
    groups: Option<Vec<u32>>,
    weights: Option<Vec<f64>>,
}

impl Problem {
    fn read(args: &SelectArgs, path: &Path) -> anyhow::Result<Self> {
        let rows = read_rows(path)?;
        let labelled = args.labeled.as_deref().map(|path| read_ids(path, rows.nrows())).transpose()?;
        let labelled = labelled.unwrap_or_default();
        let mut is_free = vec![true; rows.nrows()];
        labelled.iter().for_each(|row| is_free[*row] = false);
        let free = (0..rows.nrows()).filter(|row| is_free[*row]).collect();
        let weights = args.weights.as_deref().map(read_numbers).transpose()?;
        let groups = args.groups.as_deref().map(read_groups).transpose()?;
        for (path, found) in
            [(&args.weights, weights.as_ref().map(Vec::len)), (&args.groups, groups.as_ref().map(Vec::len))]
        {
            let (Some(path), Some(found)) = (path, found.filter(|n| *n != rows.nrows())) else { continue };
            let expected = rows.nrows();
            anyhow::bail!("{}: {found} entries, expected {expected}, one for each row", path.display());
        }
        Ok(Self { rows, labelled, free, groups, weights })
    }

    /// A row that a reason names, in the numbers of the file.
    fn in_file(&self, known: Known) -> Known {
        match known {
            Known::Pick(row) => Known::Pick(self.free[row]),
            Known::Labelled(row) => Known::Labelled(self.labelled[row]),
        }
    }

    fn select(&self, valid: &SelectValidParams, k: usize) -> anyhow::Result<Selection> {
        let of_rows = |rows: &[usize]| self.rows.select(Axis(0), rows);
        let (pool, known) = (of_rows(&self.free), of_rows(&self.labelled));
        let mut candidates = Candidates::new(pool.view())?.given(known.view())?;
        let groups_of = |rows: &[usize]| {
            self.groups.as_ref().map(|groups| rows.iter().map(|row| groups[*row]).collect::<Vec<u32>>())
        };
        let (groups, known_groups) = (groups_of(&self.free), groups_of(&self.labelled));
        if let (Some(groups), Some(known)) = (&groups, &known_groups) {
            candidates = candidates.grouped(groups)?.labelled_grouped(known)?;
        }
        let weights: Option<Vec<f64>> =
            self.weights.as_ref().map(|weights| self.free.iter().map(|row| weights[*row]).collect());
        if let Some(weights) = &weights {
            candidates = candidates.weighted(weights)?;
        }
        Ok(valid.select(&candidates, k, &Silent)?)
    }
}

/// Any whole numbers name groups; equal ones name the same.
fn read_groups(path: &Path) -> anyhow::Result<Vec<u32>> {
    let file = std::fs::File::open(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let names = <Array1<i64> as ndarray_npy::ReadNpyExt>::read_npy(file)
        .with_context(|| format!("{}: expected a one-dimensional array of int64", path.display()))?;
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    Ok(names.iter().map(|name| sorted.partition_point(|other| other < name) as u32).collect())
}
