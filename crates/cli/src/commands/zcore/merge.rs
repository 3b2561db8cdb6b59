//! Partials to one partial, to the next round, or to scores.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_coreset::ZCoreScores;
use ndarray::Array1;
use serde_json::json;

use super::super::arrays::write_npy;
use super::round::{After, Round};
use super::{params, pipe, write_scores};
use crate::args::ZcoreMergeArgs;
use crate::output::{Output, UsageError};

pub(super) fn merge(args: &ZcoreMergeArgs, output: &Output) -> anyhow::Result<ExitCode> {
    if args.partial.is_none() && args.next.is_none() && args.out.is_none() {
        let sentence = "zcore merge: expected --partial OUT, --next ORDER or --out SCORES.npy";
        return Err(UsageError(sentence.to_owned()).into());
    }
    let merged = read_all(&args.partials)?;
    if let Some(path) = &args.partial {
        return match merged {
            Some(merged) => written(&merged, path, output),
            None => Ok(ExitCode::SUCCESS),
        };
    }
    let merged = merged.context("standard input: expected at least one line with a partial")?;
    let (name, n_rows) = (merged.name(), merged.seen().n_rows);
    let valid = params(&args.params)?;
    match (merged.finish(args.median_rounds, args.n_labeled, &valid)?, &args.next, &args.out) {
        (After::Next(next), Some(path), _) => {
            let n_bytes = next.write(path)?;
            let words =
                format!("{name} done over {n_rows} rows, next: {} in {}", next.name(), path.display());
            let document = json!({ "round": name, "n_rows": n_rows, "next_round": next.name(), "n_bytes": n_bytes, "next": path, "done": false });
            output.result(&document, &words)?;
            Ok(ExitCode::SUCCESS)
        }
        (After::Scores(scores), _, Some(out)) => {
            if let (Some(ids), Some(k)) = (&args.ids, args.k) {
                write_ids(&scores, k, ids)?;
            }
            write_scores(&scores, None, out, &valid, output)
        }
        (After::Next(next), None, _) => {
            let sentence = format!("zcore merge: {} come after {name}, expected --next ORDER", next.name());
            Err(UsageError(sentence).into())
        }
        (After::Scores(_), _, None) => {
            let sentence = format!("zcore merge: scores come after {name}, expected --out SCORES.npy");
            Err(UsageError(sentence).into())
        }
    }
}

/// All partials merged; nothing where standard input is empty.
fn read_all(paths: &[impl AsRef<Path>]) -> anyhow::Result<Option<Round>> {
    let mut merged: Option<Round> = None;
    let mut take = |one: Round| match &mut merged {
        Some(merged) => merged.merge(one),
        None => {
            merged = Some(one);
            Ok(())
        }
    };
    for path in paths.iter().map(AsRef::as_ref) {
        if pipe::is_standard(path) {
            pipe::read_lines(|bytes| Ok(take(Round::from_bytes(bytes)?)?))?;
        } else {
            take(Round::read(path)?).with_context(|| path.display().to_string())?;
        }
    }
    Ok(merged)
}

fn written(merged: &Round, path: &Path, output: &Output) -> anyhow::Result<ExitCode> {
    let n_bytes = merged.write(path)?;
    if !pipe::is_standard(path) {
        let (name, n_rows) = (merged.name(), merged.seen().n_rows);
        let words = format!("{name} of {n_rows} rows in {}", path.display());
        let document = json!({ "round": name, "n_rows": n_rows, "n_bytes": n_bytes, "partial": path });
        output.result(&document, &words)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write_ids(scores: &ZCoreScores, k: usize, path: &Path) -> anyhow::Result<()> {
    let ids = scores.top(k)?.into_iter().map(|s| s.row as i64);
    write_npy(path, &Array1::from_iter(ids))
}
