use std::collections::BTreeMap;

use labelloop_core::{GroupKey, SampleId};
use rayon::prelude::*;

use super::Partial;
use super::curve::{Recall, Sampler};
use super::filter::Difficulty;
use super::params::Metric;
use crate::Result;
use crate::bootstrap::{BootstrapParams, Interval, Units};

/// Percentile interval of an average precision, or orientation similarity, in percent, by drawing groups of frames with
/// replacement: recordings, since neighbouring frames show the same cars.
///
/// A draw counts each frame as often as its group was drawn: nothing is matched twice. `groups` names the group of each
/// frame; without it every frame is its own. The value is nothing where [`super::KittiResult`] has none, and a draw without a
/// label to find says nothing. O(draws x frames).
///
/// ```
/// use labelloop_core::{BBox, SampleId};
/// use labelloop_eval::bootstrap::BootstrapParams;
/// use labelloop_eval::kitti::{Detection, Difficulty, Frame, KittiParams, Label, Metric, Recall, ci, observe_all};
///
/// let bbox = BBox::new(0.0, 0.0, 60.0, 60.0)?;
/// let labels = vec![Label::new("Car", Some(bbox), None); 1];
/// let found = [Detection::new("Car", Some(bbox), None, 0.5)];
/// let ids: Vec<SampleId> = (0..80).map(|i| SampleId::new(format!("{i:06}")).unwrap()).collect();
/// let frames: Vec<_> = ids
///     .iter()
///     .enumerate()
///     .map(|(i, id)| Frame { id, labels: &labels, detections: &found[..i % 2] })
///     .collect();
///
/// let records = observe_all(&frames, &KittiParams::default())?;
/// let which = ("Car", Metric::Bbox, Recall::R40, Difficulty::Easy);
/// let interval = ci(&records, None, which, &BootstrapParams::default())?;
/// assert_eq!(interval.value, records.finish()?.ap(which.0, which.1, which.2, which.3));
/// assert!(interval.low < interval.value && interval.value < interval.high);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`BootstrapParams::check`]; [`crate::EvalError::UnknownClass`]; [`crate::EvalError::MissingGroup`] for a frame
/// without a group.
pub fn ci(
    partial: &Partial,
    groups: Option<&BTreeMap<SampleId, GroupKey>>,
    (class, metric, recall, difficulty): (&str, Metric, Recall, Difficulty),
    params: &BootstrapParams,
) -> Result<Interval> {
    let params = params.clone().check()?;
    let params = params.get();
    let number = partial.params().clone().check()?.class(class)?;
    let ids: Vec<&SampleId> = partial.frame_ids().collect();
    let units = Units::of(&ids, groups)?;
    let group_of: Vec<usize> = ids.iter().map(|id| units.group(id)).collect();
    let whole = partial.finish()?.ap(class, metric, recall, difficulty);
    if whole.is_none() {
        return Ok(Interval::new(None, Vec::new(), params.confidence, units.n_groups));
    }
    let sampler = Sampler::new(partial, number, metric.overlap(), difficulty, Some(&group_of));
    let value = |times: &[u32]| {
        let (precision, similarity) = sampler.curves(times)?;
        Some(if metric == Metric::Aos { similarity } else { precision }.ap(recall))
    };
    let draws = (0..params.n_draws).into_par_iter();
    let draws: Vec<f64> = draws.filter_map(|draw| value(&units.draw(params.seed, draw))).collect();
    Ok(Interval::new(whole, draws, params.confidence, units.n_groups))
}
