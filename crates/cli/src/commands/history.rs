//! `history`: generations of the dataset, what changed between them, and the way back.

use std::process::ExitCode;

use labelloop_dataset::{DatasetDir, Generation};
use labelloop_loop::Layout;
use serde_json::json;

use crate::args::{HistoryArgs, HistoryCommand};
use crate::output::{Output, UsageError};

/// Lists, compares or restores. Only the dataset folder is asked: the project's configuration may be missing.
pub(super) fn history(args: &HistoryArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let dir = DatasetDir::open(Layout::new(&args.project).dataset())?;
    match &args.what {
        None => list(&dir, output),
        Some(HistoryCommand::Diff { older, newer }) => diff(&dir, *older, *newer, output),
        Some(HistoryCommand::Restore { number, reason }) => restore(&dir, *number, reason, output),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn list(dir: &DatasetDir, output: &Output) -> anyhow::Result<()> {
    let generations = dir.generations()?;
    let lines: Vec<String> = generations.iter().map(line).collect();
    output.result(&json!({ "current": dir.current()?, "generations": generations }), &lines.join("\n"))
}

fn line(generation: &Generation) -> String {
    format!(
        "{:>6}  {}  {}",
        generation.number,
        &generation.digest[..generation.digest.len().min(12)],
        generation.key
    )
}

fn diff(dir: &DatasetDir, older: u64, newer: u64, output: &Output) -> anyhow::Result<()> {
    let diff = dir.read_generation(older)?.diff(&dir.read_generation(newer)?)?;
    let words = format!("from generation {older} to {newer}:\n{diff}");
    output.result(&json!({ "older": older, "newer": newer, "diff": diff }), &words)
}

fn restore(dir: &DatasetDir, number: u64, reason: &str, output: &Output) -> anyhow::Result<()> {
    if reason.trim().is_empty() {
        return Err(
            UsageError("--reason is empty: expected why the generation is restored".to_owned()).into()
        );
    }
    let key = format!("restore {number}: {}", reason.trim());
    let made = dir.writer()?.restore(number, &key)?;
    let words = format!(
        "generation {} has the content of generation {number}\nnext: labelloop doctor; numbers and step of the loop stay \
         as they are (labelloop run --start-iteration N takes them back too)",
        made.number
    );
    output.result(&json!({ "restored": number, "generation": made, "reason": reason.trim() }), &words)
}
