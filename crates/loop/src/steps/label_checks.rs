//! Plain checks of the batch that came back: they warn and decide nothing.

use std::collections::BTreeMap;

use labelloop_core::{LabelledBox, SampleId, SliceKind};
use labelloop_dataset::{Dataset, HUMAN_LABELS};
use labelloop_qa::{CheckParams, LabelIssue, label_checks};

use super::Context;
use super::annotate::batch;
use super::golden::images;
use crate::Result;
use crate::event::Event;

/// Says what is plainly wrong with the labels of this iteration's pictures, if anything is. A picture without boxes is no
/// news, nor are class names, which do not change from batch to batch.
pub(super) fn tell(context: &Context<'_>, dataset: &Dataset) -> Result<()> {
    let mut labels: BTreeMap<SampleId, Vec<LabelledBox>> = BTreeMap::new();
    for sample in
        batch(dataset, context.iteration).filter(|s| s.kind == SliceKind::Image && s.status.is_done())
    {
        if let Some(boxes) = dataset.boxes(HUMAN_LABELS, &sample.id)? {
            labels.insert(sample.id.clone(), boxes.to_vec());
        }
    }
    let issues = label_checks(&images(dataset, &labels), dataset.schema(), &CheckParams::default())?;
    let is_news =
        |i: &&LabelIssue| !matches!(i, LabelIssue::NoLabels { .. } | LabelIssue::NearMissClass { .. });
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for issue in issues.iter().filter(is_news) {
        *counts.entry(issue.kind()).or_default() += 1;
    }
    if let Some(first) = issues.iter().find(is_news) {
        context.observer.event(&Event::LabelIssues {
            counts: counts.into_iter().map(|(kind, n)| (kind.to_owned(), n)).collect(),
            example: first.to_string(),
        });
    }
    Ok(())
}
