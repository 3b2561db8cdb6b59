//! `leaks`: is anything on two sides of a split that somebody made?

mod columns;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use labelloop_core::SampleId;
use labelloop_dataset::{AuditItem, NearDuplicates, SplitAudit, SplitLeak, audit_splits};
use labelloop_loop::Project;
use labelloop_loop::lookalikes::{LookParams, Lookalikes, find_lookalikes};
use serde_json::json;

use super::split::{LISTED, look, looked, more};
use crate::args::LeaksArgs;
use crate::output::{GATE, Output, UsageError};
use crate::progress::Teller;

pub(super) fn leaks(args: &LeaksArgs, output: &Output) -> anyhow::Result<ExitCode> {
    if args.coco.is_empty() { of_project(args, output) } else { of_files(args, output) }
}

fn of_files(args: &LeaksArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let (mut items, notes) = columns::read(&args.coco, &args.split_key, &args.group)?;
    for note in &notes {
        output.say(&format!("note: {note}"));
    }
    let looks = match &args.images {
        Some(images) if !images.is_dir() => {
            return Err(UsageError(format!("--images {}: expected a folder", images.display())).into());
        }
        Some(images) => Some(look_at(&mut items, images, &look(&args.look, LookParams::default()), output)?),
        None => None,
    };
    let none = NearDuplicates::default();
    let audit = audit_splits(&items, looks.as_ref().map_or(&none, |looks| &looks.pairs));
    tell(&audit, looks.as_ref(), 0, output)
}

/// The project's own split. What is kept out of selection and training is on no side.
fn of_project(args: &LeaksArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let mut project = Project::open(&args.project.project)?;
    let LookParams { hash_bits, radius } = look(&args.look, project.config.near_duplicates.look());
    (project.config.near_duplicates.hash_bits, project.config.near_duplicates.radius) = (hash_bits, radius);
    let dataset = project.dataset()?;
    let looks = project.lookalikes(&dataset, &Teller::new(output))?;
    let kept_out = dataset.quarantine()?;
    let items: Vec<AuditItem> = dataset
        .samples()
        .values()
        .filter(|s| !kept_out.contains_key(&s.id))
        .map(|s| AuditItem {
            id: s.id.clone(),
            group: s.group.clone(),
            split: s.split.map(|split| split.as_str().to_owned()),
            file_name: s.file_name.clone(),
            content: looks.contents.get(&s.id).cloned(),
        })
        .collect();
    tell(&audit_splits(&items, &looks.pairs), Some(&looks), kept_out.len(), output)
}

fn look_at(
    items: &mut [AuditItem],
    images: &Path,
    params: &LookParams,
    output: &Output,
) -> anyhow::Result<Lookalikes> {
    let (inside, outside): (Vec<_>, Vec<_>) = items.iter().partition(|i| stays_inside(&i.file_name));
    let paths: Vec<(SampleId, PathBuf)> =
        inside.iter().map(|i| (i.id.clone(), images.join(&i.file_name))).collect();
    let mut looks = find_lookalikes(&paths, None, params, &Teller::new(output))?;
    let leaves = |i: &&AuditItem| (i.id.clone(), format!("{}: leaves the folder of pictures", i.file_name));
    looks.unread.extend(outside.iter().map(leaves));
    for item in items {
        item.content = looks.contents.get(&item.id).cloned();
    }
    Ok(looks)
}

fn stays_inside(file_name: &str) -> bool {
    Path::new(file_name).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
}

fn tell(
    audit: &SplitAudit,
    looks: Option<&Lookalikes>,
    n_kept_out: usize,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let mut document = serde_json::to_value(audit)?;
    document["verdict"] = json!(if audit.is_clean() { "clean" } else { "leak" });
    document["n_kept_out"] = json!(n_kept_out);
    document["n_compared"] = json!(looks.map(|l| l.n_pictures));
    document["unread"] = json!(looks.map_or(&BTreeMap::new(), |l| &l.unread));
    output.result(&document, &words(audit, looks, n_kept_out))?;
    Ok(if audit.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(GATE) })
}

fn words(audit: &SplitAudit, looks: Option<&Lookalikes>, n_kept_out: usize) -> String {
    let mut words = String::new();
    for (name, counts) in &audit.splits {
        words += &format!("{name:<10} {:>8} pictures {:>8} groups\n", counts.n_samples, counts.n_groups);
    }
    if let Some(first) = audit.unsplit.first() {
        words += &format!("{:<10} {:>8} pictures, such as {first}\n", "no split", audit.unsplit.len());
    }
    if 0 < n_kept_out {
        words += &format!("{:<10} {n_kept_out:>8} pictures, out of selection and training\n", "kept out");
    }
    words += &looks.map_or("pictures were not compared: --images DIR does that\n".to_owned(), looked);
    for what in ["groups", "file names", "files of the same bytes", "near-duplicates"] {
        let found: Vec<&SplitLeak> = audit.leaks.iter().filter(|l| kind(l) == what).collect();
        if !found.is_empty() {
            words += &format!("{} {what} in more than one split:\n", found.len());
            found.iter().take(LISTED).for_each(|leak| words += &format!("  {leak}\n"));
            words += &more(found.len());
        }
    }
    words + if audit.is_clean() { "no leak found" } else { "verdict: leak" }
}

fn kind(leak: &SplitLeak) -> &'static str {
    match leak {
        SplitLeak::Group { .. } => "groups",
        SplitLeak::FileName { .. } => "file names",
        SplitLeak::Content { .. } => "files of the same bytes",
        _ => "near-duplicates",
    }
}
