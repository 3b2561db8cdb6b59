//! `qa version`: versions of the golden set.

use std::process::ExitCode;

use labelloop_core::SampleId;
use labelloop_formats::WithoutAnnotations;
use labelloop_loop::Project;
use labelloop_qa::GoldenVersion;
use serde_json::{Value, json};

use super::data::format;
use crate::args::QaVersionArgs;
use crate::output::Output;

/// Lists the versions and says whether the reference is that of the last one, or makes the next.
pub(super) fn version(args: &QaVersionArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let project = Project::open(&args.project.project)?;
    match &args.reason {
        Some(reason) => make(args, &project, reason, output),
        None => list(&project, output),
    }
}

fn make(args: &QaVersionArgs, project: &Project, reason: &str, output: &Output) -> anyhow::Result<ExitCode> {
    let corrected = match &args.reference {
        None => None,
        Some(path) => {
            let read = project.read_labels(path, format(&args.format)?, WithoutAnnotations::Empty)?;
            read.1.iter().for_each(|warning| output.say(&format!("warning: {warning}")));
            Some(read.0)
        }
    };
    let made = project.new_golden_version(reason, corrected.as_ref())?;
    let words = format!(
        "{}\nearlier rounds that passed go on calibrating, but for pictures whose reference was edited",
        line(&made)
    );
    output.result(&json!({ "version": document(&made) }), &words)?;
    Ok(ExitCode::SUCCESS)
}

fn list(project: &Project, output: &Output) -> anyhow::Result<ExitCode> {
    let versions = project.golden_versions()?;
    let reference = project.golden_reference(&project.dataset()?)?;
    let state = match versions.check(&reference) {
        Ok(_) => "the reference is that of the last version".to_owned(),
        Err(_) if versions.list().is_empty() => {
            format!("no version yet: the first batch makes one of {} golden samples", reference.samples.len())
        }
        Err(edited) => edited.to_string(),
    };
    let mut words: Vec<String> = versions.list().iter().map(line).collect();
    words.push(state.clone());
    let documents: Vec<Value> = versions.list().iter().map(document).collect();
    let is_current = versions.check(&reference).is_ok();
    let document = json!({ "versions": documents, "is_current": is_current, "state": state });
    output.result(&document, &words.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn line(v: &GoldenVersion) -> String {
    let changes = if v.changes.is_empty() { String::new() } else { format!("; {}", v.changes) };
    let n = v.reference.samples.len();
    format!(
        "golden version {}, from iteration {}, {n} samples: {}{changes}",
        v.version, v.from_iteration, v.reason
    )
}

fn document(v: &GoldenVersion) -> Value {
    let names = |ids: &[SampleId]| ids.iter().map(SampleId::to_string).collect::<Vec<_>>();
    json!({
        "version": v.version,
        "from_iteration": v.from_iteration,
        "reason": v.reason,
        "n_samples": v.reference.samples.len(),
        "reference_digest": v.reference.reference_digest,
        "added": names(&v.changes.added),
        "removed": names(&v.changes.removed),
        "edited": names(&v.changes.edited),
    })
}
