//! `doctor`: what is wrong with a project, and what to do about it.

use std::process::ExitCode;

use labelloop_dataset::{Checkup, Dataset, DatasetDir};
use labelloop_loop::leaks::LeakReport;
use labelloop_loop::{Layout, Project};
use serde_json::json;

use crate::args::ProjectArgs;
use crate::output::{GATE, Output};
use crate::progress::Teller;

/// The folder first, which need not open: every byte and name. Then, where it can be read, contradictions in the
/// dataset, and pictures of different splits that look alike.
///
/// Damage and contradictions end with a refusal. Looks are a matter of degree: near-duplicates are a warning.
pub(super) fn doctor(args: &ProjectArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let folder = DatasetDir::checkup(Layout::new(&args.project).dataset());
    let mut lines: Vec<String> = folder.findings.iter().map(ToString::to_string).collect();
    if !folder.is_readable() {
        lines.push(unreadable(&folder));
        output.result(&json!({ "folder": folder, "findings": [], "leaks": null }), &lines.join("\n"))?;
        return Ok(ExitCode::from(GATE));
    }
    let project = match Project::open(&args.project) {
        Ok(project) => project,
        Err(e) => {
            // The dataset is readable and the project is not; what was found so far must not be lost over it.
            lines.iter().for_each(|line| output.say(line));
            return Err(e.into());
        }
    };
    let dataset = project.dataset()?;
    let findings = dataset.doctor();
    lines.extend(findings.iter().map(ToString::to_string));
    if lines.is_empty() {
        lines.push("no damage and no contradiction found".to_owned());
    }
    let leaks = leaks(&project, &dataset, output)?;
    if let Some(report) = &leaks {
        let level = if report.is_clean() { "" } else { "warning: " };
        lines.push(format!("{level}{report}"));
    }
    let is_well = findings.is_empty() && !folder.has_errors();
    output.result(&json!({ "folder": folder, "findings": findings, "leaks": leaks }), &lines.join("\n"))?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(GATE) })
}

fn unreadable(folder: &Checkup) -> String {
    let whole: Vec<String> = folder.whole.iter().map(ToString::to_string).collect();
    match whole.is_empty() {
        true => "the dataset cannot be read, and no generation is whole".to_owned(),
        false => format!("the dataset cannot be read as it is; whole generations: {}", whole.join(", ")),
    }
}

fn leaks(project: &Project, dataset: &Dataset, output: &Output) -> anyhow::Result<Option<LeakReport>> {
    let is_split = dataset.samples().values().any(|s| s.split.is_some());
    let look = || project.leaks(dataset, &Teller::new(output));
    Ok(is_split.then(look).transpose()?)
}
