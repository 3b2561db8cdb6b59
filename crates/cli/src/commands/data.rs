//! `import` and `export`.

use std::process::ExitCode;

use anyhow::Context;
use labelloop_dataset::BoxPolicy;
use labelloop_formats::{Format, MediaMode, Warning, WithoutAnnotations};
use labelloop_loop::state::State;
use labelloop_loop::{BatchOptions, LabelsBack, Project, export_batch};
use serde_json::json;

use crate::args::{ExportArgs, ImportArgs, MediaArg, NoBoxesArg};
use crate::output::{Output, UsageError};

/// Takes annotations in: samples with reference labels, a batch's labels, or a golden round.
pub(super) fn import(args: &ImportArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let project = Project::open(&args.project.project)?;
    let current = State::load(&project.layout.state())?.map_or(0, |s| s.iteration);
    let format = format(&args.format)?;
    let without_boxes = match args.no_boxes {
        NoBoxesArg::Empty => WithoutAnnotations::Empty,
        NoBoxesArg::Pending => WithoutAnnotations::Unlabelled,
    };
    if let Some(batch) = &args.batch {
        let number = if batch == "current" { current } else { number(batch)? };
        return labels_back(args, &project, number, format, without_boxes, output);
    }
    let (set, warnings) = project.read_labels(&args.file, format, without_boxes)?;
    say(&warnings, output);
    if args.golden {
        let n = project.import_golden(current, &set)?;
        let words = format!("golden labels of iteration {current}: {n} pictures");
        output.result(&json!({ "iteration": current, "n_pictures": n }), &words)?;
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

fn labels_back(
    args: &ImportArgs,
    project: &Project,
    number: u32,
    format: Format,
    without_boxes: WithoutAnnotations,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let options = LabelsBack {
        format,
        annotator: args.annotator.clone(),
        accept_untouched: args.accept_untouched,
        without_boxes,
    };
    let (came, warnings) = project.take_labels(number, &args.file, &options)?;
    say(&warnings, output);
    let waiting = project.waiting(number)?.len();
    let r = came.report;
    let mut words = format!(
        "batch {number}: labels of {} pictures taken in, {waiting} still waiting ({} annotated, {} verified empty, {} pending)",
        came.n_taken, r.n_annotated, r.n_verified_empty, r.n_pending
    );
    if 0 < came.n_golden {
        words += &format!("; {} of them for golden QA", came.n_golden);
    }
    if came.is_known {
        words += "; nothing new";
    }
    for (annotator, n) in &came.annotators {
        words += &format!("\n  {annotator}: {n} pictures");
    }
    if let Some(first) = came.untouched.first() {
        words += &format!(
            "\n  {} pictures came back as they went out and are pending, such as {first}; --accept-untouched takes them for labelled",
            came.untouched.len()
        );
    }
    let document = json!({
        "batch": number, "report": r, "n_waiting": waiting, "n_taken": came.n_taken,
        "n_golden": came.n_golden, "untouched": came.untouched,
        "annotators": came.annotators, "is_known": came.is_known, "n_warnings": warnings.len(),
    });
    output.result(&document, &words)?;
    Ok(ExitCode::SUCCESS)
}

fn say(warnings: &[Warning], output: &Output) {
    for warning in warnings {
        output.say(&format!("warning: {warning}"));
    }
}

pub(super) fn format(text: &str) -> Result<Format, UsageError> {
    text.parse().map_err(|e: labelloop_formats::FormatError| UsageError(e.to_string()))
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
    if !dataset.batches().contains(&number) {
        let sentence = format!("batch {number}: expected one of {:?}", dataset.batches());
        return Err(UsageError(sentence).into());
    }
    let folder = args.out.clone().unwrap_or_else(|| project.layout.batch_export(number));
    let media = match args.media {
        MediaArg::Copy => MediaMode::Copy,
        MediaArg::Link => MediaMode::Link,
        MediaArg::None => MediaMode::None,
    };
    let options = BatchOptions { format: format(&args.format)?, media };
    let out = export_batch(&project, &dataset, number, &folder, &options)?;
    say(&out.warnings, output);
    let words = format!(
        "batch {number}: {} pictures, {} proposed boxes: {}\nback again: labelloop import --batch {number} FILE --format {}",
        out.n_pictures,
        out.n_proposals,
        out.labels.display(),
        options.format
    );
    let document = json!({
        "batch": number, "n_pictures": out.n_pictures, "n_proposals": out.n_proposals, "folder": folder,
        "labels": out.labels, "n_warnings": out.warnings.len(),
    });
    output.result(&document, &words)?;
    Ok(ExitCode::SUCCESS)
}
