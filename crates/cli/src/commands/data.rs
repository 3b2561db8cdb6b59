//! `import` and `export`.

use std::process::ExitCode;

use anyhow::Context;
use labelloop_dataset::BoxPolicy;
use labelloop_loop::state::State;
use labelloop_loop::{Project, export_batch};
use serde_json::json;

use crate::args::{ExportArgs, ImportArgs};
use crate::output::{Output, UsageError};

/// Takes a COCO file in: samples with reference labels, a batch's labels, or a golden round.
pub(super) fn import(args: &ImportArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let project = Project::open(&args.project.project)?;
    let (set, warnings) = project.read_coco(&args.file)?;
    for warning in &warnings {
        output.say(&format!("warning: {warning}"));
    }
    let current = State::load(&project.layout.state())?.map_or(0, |s| s.iteration);
    if args.golden {
        let n = project.import_golden(current, &set)?;
        let words = format!("golden labels of iteration {current}: {n} pictures");
        output.result(&json!({ "iteration": current, "n_pictures": n }), &words)?;
    } else if let Some(batch) = &args.batch {
        let number = if batch == "current" { current } else { number(batch)? };
        let report = project.import_batch(number, &set, &args.annotator)?;
        let waiting = project.waiting(number)?.len();
        let words = format!(
            "batch {number}: labels of {} pictures taken in, {waiting} still waiting",
            set.samples.len()
        );
        output.result(&json!({ "batch": number, "report": report, "n_waiting": waiting }), &words)?;
    } else {
        let report = project.import(&set, BoxPolicy { strict: !args.lenient, ..BoxPolicy::default() })?;
        let words = format!(
            "{} new samples, {} unchanged, {} boxes ({} clipped, {} without area left out)",
            report.n_new, report.n_unchanged, report.n_boxes, report.n_clipped, report.n_degenerate_rejected
        );
        output.result(&json!({ "report": report, "n_warnings": warnings.len() }), &words)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn number(text: &str) -> anyhow::Result<u32> {
    text.parse().map_err(|_| UsageError(format!("batch {text:?}: expected a number")).into())
}

/// Writes a batch out for people.
pub(super) fn export(args: &ExportArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let project = Project::open(&args.project.project)?;
    let dataset = project.dataset()?;
    let newest = dataset.batches().last().copied();
    let number =
        args.batch.or(newest).context("no batch has been selected yet: expected labelloop select first")?;
    let folder = args.out.clone().unwrap_or_else(|| project.layout.batch_export(number));
    let n = export_batch(&project, &dataset, number, &folder)?;
    let words = format!("batch {number}: {n} pictures listed in {}", folder.display());
    output.result(&json!({ "batch": number, "n_pictures": n, "folder": folder }), &words)?;
    Ok(ExitCode::SUCCESS)
}
