//! `qa check`: what is plainly wrong with labels.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use labelloop_core::{AnnotationSet, ClassSchema};
use labelloop_formats::{ReadOptions, read_as};
use labelloop_qa::{
    CheckParams, ClassSkew, GoldenImage, LabelIssue, LabelTotals, UnexpectedClass, class_skew, label_checks,
    unexpected_classes,
};
use serde_json::json;

use super::data::format;
use super::golden_rounds::in_schema;
use super::qa_people::union;
use crate::args::QaCheckArgs;
use crate::output::Output;

/// Says what is wrong and decides nothing: the status is 0 whatever is found.
pub(super) fn check(args: &QaCheckArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let set = read(&args.file, &args.format, output)?;
    let params = CheckParams {
        min_side: args.min_side,
        duplicate_iou: args.duplicate_iou,
        other_class: args.other_class.clone(),
        ..CheckParams::default()
    };
    let (looked_at, n_unsized) = images(&set);
    let issues = label_checks(&looked_at, &set.schema, &params)?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    issues.iter().for_each(|issue| *counts.entry(issue.kind()).or_default() += 1);
    let against = match &args.against {
        Some(path) => Some(Against::of(&set, &args.file, read(path, &args.format, output)?, path)?),
        None => None,
    };
    if 0 < n_unsized {
        output.say(&format!("note: {n_unsized} pictures without a size are not looked at"));
    }
    let listed = &issues[..args.top.min(issues.len())];
    let document = json!({
        "n_images": looked_at.len(), "n_unsized": n_unsized, "n_issues": issues.len(), "counts": counts,
        "issues": listed,
        "unexpected_classes": against.as_ref().map(|a| &a.unexpected), "class_skew": against.as_ref().map(|a| &a.skew),
    });
    let mut words = words(looked_at.len(), &issues, &counts, listed);
    if let Some(against) = &against {
        words.push_str(&against.words());
    }
    output.result(&document, &words)?;
    Ok(ExitCode::SUCCESS)
}

/// The labels beside those they are to be merged into.
struct Against {
    unexpected: Vec<UnexpectedClass>,
    skew: ClassSkew,
}

impl Against {
    fn of(set: &AnnotationSet, file: &Path, other: AnnotationSet, path: &Path) -> anyhow::Result<Self> {
        let names = set.samples.iter().flat_map(|s| s.boxes.iter().flatten());
        let names = names.filter_map(|b| set.schema.name(b.class));
        let unexpected = unexpected_classes(names, &other.schema);
        let schema = union([&other.schema, &set.schema].into_iter())?;
        let total = |set, path: &Path| -> anyhow::Result<LabelTotals> {
            let set = in_schema(set, &schema, path)?;
            Ok(LabelTotals::of(&images(&set).0, &schema))
        };
        let before = total(other, path)?;
        let after = sum(&before, &total(set.clone(), file)?, &schema);
        Ok(Self { unexpected, skew: class_skew(&before, &after)? })
    }

    fn words(&self) -> String {
        let mut words = String::new();
        for u in &self.unexpected {
            let meant = u.nearest.as_ref().map_or_else(String::new, |n| format!(", probably {n}"));
            words.push_str(&format!("\nclass {} of {} boxes is new{meant}", u.name, u.count));
        }
        let p = self.skew.p_value.map_or_else(String::new, |p| format!(" (p = {p:.2e})"));
        words.push_str(&format!(
            "\nthe merge moves {:.1}% of the mix of classes{p}",
            100.0 * self.skew.total_variation
        ));
        let mut shifts: Vec<_> = self.skew.classes.iter().filter(|c| 0.0 < c.change.abs()).collect();
        shifts.sort_by(|a, b| b.change.abs().total_cmp(&a.change.abs()).then_with(|| a.name.cmp(&b.name)));
        for c in shifts.iter().take(10) {
            words.push_str(&format!(
                "\n  {}: {} to {} boxes, {:+.1}%",
                c.name,
                c.before,
                c.after,
                100.0 * c.change
            ));
        }
        words
    }
}

/// Both sets together, as they are after the merge.
fn sum(before: &LabelTotals, more: &LabelTotals, schema: &ClassSchema) -> LabelTotals {
    let mut after = before.clone();
    after.n_images += more.n_images;
    after.n_labelled_images += more.n_labelled_images;
    after.n_objects += more.n_objects;
    for (class, new) in after.classes.iter_mut().zip(&more.classes).take(schema.n_classes()) {
        class.count += new.count;
    }
    after
}

fn read(path: &Path, name: &str, output: &Output) -> anyhow::Result<AnnotationSet> {
    let imported = read_as(format(name)?, path, &ReadOptions::default())?;
    for warning in &imported.warnings {
        output.say(&format!("warning: {warning}"));
    }
    Ok(imported.set)
}

/// Labelled pictures, and how many have no size.
fn images(set: &AnnotationSet) -> (Vec<GoldenImage<'_>>, usize) {
    let labelled: Vec<_> = set.samples.iter().filter_map(|s| Some((s, s.boxes.as_deref()?))).collect();
    let sized: Vec<GoldenImage<'_>> = labelled
        .iter()
        .filter_map(|(s, boxes)| Some(GoldenImage { id: &s.id, size: s.size?, boxes }))
        .collect();
    let n_unsized = labelled.len() - sized.len();
    (sized, n_unsized)
}

fn words(
    n_images: usize,
    issues: &[LabelIssue],
    counts: &BTreeMap<&str, usize>,
    listed: &[LabelIssue],
) -> String {
    let parts: Vec<String> = counts.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
    let mut words = match parts.is_empty() {
        true => format!("nothing found in {n_images} pictures"),
        false => format!("{} issues in {n_images} pictures: {}", issues.len(), parts.join(", ")),
    };
    listed.iter().for_each(|issue| words.push_str(&format!("\n  {issue}")));
    if listed.len() < issues.len() {
        words.push_str(&format!("\n  and {} more (--top)", issues.len() - listed.len()));
    }
    words
}
