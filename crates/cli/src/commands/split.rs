//! `split`: of a COCO file, or of the project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use labelloop_core::{AnnotationSet, GroupKey, SampleId};
use labelloop_dataset::{
    AcrossPair, DatasetError, GroupSummary, NearDuplicates, NearPolicy, SplitParams, assign_splits,
    merge_groups,
};
use labelloop_formats::coco;
use labelloop_loop::lookalikes::{LookParams, Lookalikes, find_lookalikes};
use labelloop_loop::{LoopError, Project};
use serde_json::json;

use crate::args::{LookArgs, NearArg, SplitArgs};
use crate::output::{Output, UsageError};
use crate::progress::Teller;

pub(super) fn split(args: &SplitArgs, output: &Output) -> anyhow::Result<ExitCode> {
    match (&args.coco, &args.out) {
        (Some(coco), Some(out)) => of_file(args, coco, out, output),
        _ => of_project(args, output),
    }
}

fn of_project(args: &SplitArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let mut project = Project::open(&args.project.project)?;
    let LookParams { hash_bits, radius } = look(&args.look, project.config.near_duplicates.look());
    (project.config.near_duplicates.hash_bits, project.config.near_duplicates.radius) = (hash_bits, radius);
    let split = project.split_guarded(args.near_duplicates.map(policy), &Teller::new(output))?;
    let mut words = split.report.to_string();
    words += &near_words(&split.merged, &split.across);
    if !split.quarantine.is_empty() {
        words += &format!(
            "kept out of selection and training: {} pool samples that look like frozen ones\n",
            split.quarantine.len()
        );
    }
    output.result(&split, &words)?;
    Ok(ExitCode::SUCCESS)
}

fn of_file(args: &SplitArgs, path: &Path, out: &Path, output: &Output) -> anyhow::Result<ExitCode> {
    if args.images.is_none() && args.near_duplicates.is_some() {
        let sentence = "--near-duplicates without --images: expected the folder of the pictures";
        return Err(UsageError(sentence.to_owned()).into());
    }
    let options = coco::ReadOptions { group_key: Some(args.group.clone()), ..coco::ReadOptions::default() };
    let set = coco::read(path, &options)?.set;
    let policy = args.near_duplicates.map_or(NearPolicy::Merge, policy);
    let looks = match &args.images {
        Some(images) => look_at(&set, images, &look(&args.look, LookParams::default()), output)?,
        None => None,
    };
    let pairs = looks.as_ref().map_or_else(NearDuplicates::default, |looks| looks.pairs.clone());
    let merged = match policy {
        NearPolicy::Merge => merge_groups(&group_of(&set), &BTreeMap::new(), &pairs),
        NearPolicy::Refuse | NearPolicy::Report => BTreeMap::new(),
    };
    let params = SplitParams { salt: args.salt.clone(), ..SplitParams::default() };
    let report = assign_splits(&groups(&set, &merged), &BTreeMap::new(), &params)
        .map_err(|e| e.after_merging(merged.len()))?;
    let by_image: BTreeMap<&SampleId, _> = set
        .samples
        .iter()
        .map(|s| (&s.id, report.assignment.get(merged.get(&s.group).unwrap_or(&s.group)).copied()))
        .collect();
    let across = pairs.across(|id| by_image.get(id).copied().flatten());
    if let (NearPolicy::Refuse, Some(first)) = (policy, across.first()) {
        let pair = Box::new(first.clone());
        let refused = DatasetError::NearDuplicateAcross { pair, n_pairs: across.len() };
        return Err(LoopError::from(refused).into());
    }
    let near = looks.as_ref().map(|looks| {
        json!({
            "n_pictures": looks.n_pictures, "n_pairs": looks.pairs.pairs().len(), "merged": merged,
            "across": across, "unread": looks.unread,
        })
    });
    let document = json!({ "params": params, "images": by_image, "report": report, "near_duplicates": near });
    std::fs::write(out, serde_json::to_vec_pretty(&document)?)
        .with_context(|| format!("{}: cannot be written", out.display()))?;
    let mut words = report.to_string();
    if let Some(looks) = &looks {
        words += &looked(looks);
        words += &near_words(&merged, &across);
    }
    output.result(&document, &format!("{words}splits: {}", out.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn look_at(
    set: &AnnotationSet,
    images: &Path,
    params: &LookParams,
    output: &Output,
) -> anyhow::Result<Option<Lookalikes>> {
    if !images.is_dir() {
        return Err(UsageError(format!("--images {}: expected a folder", images.display())).into());
    }
    let items: Vec<(SampleId, PathBuf)> =
        set.samples.iter().map(|s| (s.id.clone(), images.join(&s.file_name))).collect();
    Ok(Some(find_lookalikes(&items, None, params, &Teller::new(output))?))
}

/// What the command line says, and the rest as it was.
pub(super) fn look(args: &LookArgs, usual: LookParams) -> LookParams {
    LookParams {
        hash_bits: args.hash_bits.unwrap_or(usual.hash_bits),
        radius: args.radius.unwrap_or(usual.radius),
    }
}

fn policy(near: NearArg) -> NearPolicy {
    match near {
        NearArg::Merge => NearPolicy::Merge,
        NearArg::Refuse => NearPolicy::Refuse,
        NearArg::Report => NearPolicy::Report,
    }
}

fn group_of(set: &AnnotationSet) -> BTreeMap<SampleId, GroupKey> {
    set.samples.iter().map(|s| (s.id.clone(), s.group.clone())).collect()
}

fn groups(set: &AnnotationSet, merged: &BTreeMap<GroupKey, GroupKey>) -> Vec<GroupSummary> {
    let mut groups: BTreeMap<&GroupKey, GroupSummary> = BTreeMap::new();
    for sample in &set.samples {
        let key = merged.get(&sample.group).unwrap_or(&sample.group);
        let group = groups.entry(key).or_insert_with(|| GroupSummary {
            key: key.clone(),
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

/// How many pictures were compared, and which could not be.
pub(super) fn looked(looks: &Lookalikes) -> String {
    let mut words = format!("{} pictures compared", looks.n_pictures);
    if let Some(reason) = looks.unread.values().next() {
        words += &format!(", {} could not be read, such as {reason}", looks.unread.len());
    }
    words + "\n"
}

fn near_words(merged: &BTreeMap<GroupKey, GroupKey>, across: &[AcrossPair]) -> String {
    let mut words = String::new();
    if !merged.is_empty() {
        words += &format!("near-duplicates: {} groups were merged into others\n", merged.len());
        for (group, into) in merged.iter().take(LISTED) {
            words += &format!("  {group} is part of {into}\n");
        }
        words += &more(merged.len());
    }
    if !across.is_empty() {
        words += &format!("near-duplicates on two sides: {} pairs\n", across.len());
        across.iter().take(LISTED).for_each(|pair| words += &format!("  {pair}\n"));
        words += &more(across.len());
    }
    words
}

/// Lines of a list that people are shown; `--json` has all.
pub(super) const LISTED: usize = 10;

/// The line after a list that was cut.
pub(super) fn more(n: usize) -> String {
    if LISTED < n { format!("  and {} more\n", n - LISTED) } else { String::new() }
}
