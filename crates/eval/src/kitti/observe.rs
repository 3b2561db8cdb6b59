use super::filter::{Difficulty, FilterReason, Role, Standing};
use super::input::Frame;
use super::kernel::{Problem, Standings};
use super::params::KittiValidParams;
use super::record::{ClassRecord, FrameRecord, Reasons, Totals};
use super::view::{Outside, View, Words};
use crate::Result;

/// Matches one frame for all classes, difficulties and kinds of overlap.
pub(super) fn observe_frame(
    frame: &Frame<'_>,
    params: &KittiValidParams,
    words: &Words,
    outside: Option<&Outside>,
) -> Result<FrameRecord> {
    let view = View::new(frame, params, words, outside)?;
    let classes = 0..params.get().classes.len();
    Ok(FrameRecord { classes: classes.filter_map(|class| observe_class(&view, class)).collect() })
}

/// Nothing where the frame has nothing of the class.
fn observe_class(view: &View<'_>, class: usize) -> Option<ClassRecord> {
    let has_label = (0..view.frame.labels.len()).any(|i| view.label_role(class, i) != Role::Other);
    let has_detection = (0..view.frame.detections.len()).any(|i| view.is_own_detection(class, i));
    if !has_label && !has_detection {
        return None;
    }
    let mut record =
        ClassRecord { class: class as u32, totals: totals(view, class), ..ClassRecord::default() };
    for difficulty in Difficulty::ALL {
        let d = difficulty as usize;
        for overlap in 0..3 {
            let standings = Standings::new(view, class, difficulty, overlap);
            record.curves[overlap][d] = Problem::new(view, class, overlap, &standings).curve();
            // Of the three kinds the last asks for a cuboid and for whatever the filter does.
            if overlap == 2 {
                record.filtered_labels[d] = reasons(&standings.labels, |_| true);
                record.filtered_detections[d] =
                    reasons(&standings.detections, |i| view.is_own_detection(class, i));
            }
        }
    }
    Some(record)
}

fn totals(view: &View<'_>, class: usize) -> Totals {
    let mut totals = Totals::default();
    for (i, label) in view.frame.labels.iter().enumerate() {
        if view.label_role(class, i) == Role::Own {
            totals.n_labels += 1;
            totals.n_labels_without_alpha += u64::from(label.alpha.is_none());
        }
    }
    for (i, detection) in view.frame.detections.iter().enumerate() {
        if view.is_own_detection(class, i) {
            totals.n_detections += 1;
            totals.n_detections_without_alpha += u64::from(detection.alpha.is_none());
            totals.n_detections_with_bbox += u64::from(detection.bbox.is_some());
            totals.n_detections_with_cuboid += u64::from(detection.cuboid.is_some());
        }
    }
    totals
}

fn reasons(standings: &[Standing], is_own: impl Fn(usize) -> bool) -> Reasons {
    let mut counts = Reasons::default();
    for (i, standing) in standings.iter().enumerate() {
        if let Standing::Ignored(reason) = standing
            && is_own(i)
            && let Some(place) = FilterReason::ALL.iter().position(|r| r == reason)
        {
            counts[place] += 1;
        }
    }
    counts
}
