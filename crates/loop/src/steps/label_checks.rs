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
    if let Some(event) = news(&issues) {
        context.observer.event(&event);
    }
    Ok(())
}

fn news(issues: &[LabelIssue]) -> Option<Event> {
    let is_news =
        |i: &&LabelIssue| !matches!(i, LabelIssue::NoLabels { .. } | LabelIssue::NearMissClass { .. });
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for issue in issues.iter().filter(is_news) {
        *counts.entry(issue.kind()).or_default() += 1;
    }
    let example = issues.iter().find(is_news)?.to_string();
    let counts = counts.into_iter().map(|(kind, n)| (kind.to_owned(), n)).collect();
    Some(Event::LabelIssues { counts, example })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_counted_by_kind_and_the_first_is_said() {
        let image = SampleId::new("a").unwrap();
        let sliver = |box_idx| LabelIssue::Sliver { image: image.clone(), box_idx, width: 9.0, height: 1.0 };
        let issues = [
            LabelIssue::NoLabels { image: image.clone() },
            sliver(0),
            sliver(3),
            LabelIssue::OutOfImage { image: image.clone(), box_idx: 3, excess: 4.0 },
        ];
        let event = news(&issues).unwrap();
        assert_eq!(
            event.to_string(),
            "  checks    out_of_image 1, sliver 2: such as box 0 of a is a sliver of 9.0 x 1.0 pixels"
        );
        assert_eq!(news(&issues[..1]), None, "an empty picture is no news");
    }
}
