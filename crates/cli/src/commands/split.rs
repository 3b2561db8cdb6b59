//! `split`: of a COCO file, or of the project.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_core::{AnnotationSet, GroupKey};
use labelloop_dataset::{GroupSummary, SplitParams, SplitReport, assign_splits};
use labelloop_formats::coco;
use labelloop_loop::Project;
use serde_json::json;

use crate::args::SplitArgs;
use crate::output::Output;

pub(super) fn split(args: &SplitArgs, output: &Output) -> anyhow::Result<ExitCode> {
    match (&args.coco, &args.out) {
        (Some(coco), Some(out)) => of_file(args, coco, out, output),
        _ => {
            let report = Project::open(&args.project.project)?.split()?;
            output.result(&report, &words(&report))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn of_file(args: &SplitArgs, path: &Path, out: &Path, output: &Output) -> anyhow::Result<ExitCode> {
    let options = coco::ReadOptions { group_key: Some(args.group.clone()), ..coco::ReadOptions::default() };
    let read = coco::read(path, &options)?;
    let params = SplitParams { salt: args.salt.clone(), ..SplitParams::default() };
    let report = assign_splits(&groups(&read.set), &BTreeMap::new(), &params)?;
    let by_image: BTreeMap<&str, Option<&str>> = read
        .set
        .samples
        .iter()
        .map(|s| (s.id.as_str(), report.assignment.get(&s.group).map(|split| split.as_str())))
        .collect();
    let document = json!({ "params": params, "images": by_image, "report": report });
    std::fs::write(out, serde_json::to_vec_pretty(&document)?)
        .with_context(|| format!("{}: cannot be written", out.display()))?;
    output.result(&document, &format!("{}\nsplits: {}", words(&report), out.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn groups(set: &AnnotationSet) -> Vec<GroupSummary> {
    let mut groups: BTreeMap<&GroupKey, GroupSummary> = BTreeMap::new();
    for sample in &set.samples {
        let group = groups.entry(&sample.group).or_insert_with(|| GroupSummary {
            key: sample.group.clone(),
            n_samples: 0,
            class_counts: BTreeMap::new(),
        });
        group.n_samples += 1;
        for b in sample.boxes.iter().flatten() {
            if let Some(name) = set.schema.name(b.class) {
                *group.class_counts.entry(name.to_owned()).or_insert(0) += 1;
            }
        }
    }
    groups.into_values().collect()
}

/// Shares asked and reached, classes by split, and what could not be met.
pub(super) fn words(report: &SplitReport) -> String {
    let mut text = String::from("split    asked  groups  reached  samples\n");
    for row in &report.shares {
        text.push_str(&format!(
            "{:<8} {:>5.1}% {:>6} {:>7.1}% {:>8}\n",
            row.split.as_str(),
            100.0 * row.asked,
            row.n_groups,
            100.0 * row.reached_groups,
            row.n_samples
        ));
    }
    for class in &report.classes {
        let [test, val, golden, pool] = class.n_objects;
        text.push_str(&format!("{}: test {test}, val {val}, golden {golden}, pool {pool}\n", class.class));
    }
    for unmet in &report.unmet {
        text.push_str(&format!("not met: {unmet}\n"));
    }
    text
}
