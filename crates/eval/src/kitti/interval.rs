use std::collections::BTreeMap;

use labelloop_core::{GroupKey, SampleId};
use rayon::prelude::*;

use super::Partial;
use super::curve::{Recall, Sampler};
use super::filter::Difficulty;
use super::params::Metric;
use crate::Result;
use crate::bootstrap::{BootstrapParams, Interval, Units};
use crate::coco::numpy::mean;

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
    let number = partial.params().clone().check()?.class(class)?;
    drawn(partial, groups, &[number], (metric, recall, difficulty), params)
}

/// [`ci`] of the mean over the classes that have a value; a draw in which one of them has no label leaves that class out.
///
/// # Errors
/// As [`ci`].
pub fn ci_mean(
    partial: &Partial,
    groups: Option<&BTreeMap<SampleId, GroupKey>>,
    which: (Metric, Recall, Difficulty),
    params: &BootstrapParams,
) -> Result<Interval> {
    let classes: Vec<usize> = (0..partial.params().classes.len()).collect();
    drawn(partial, groups, &classes, which, params)
}

/// The interval of the mean over those of `classes` that have a value.
fn drawn(
    partial: &Partial,
    groups: Option<&BTreeMap<SampleId, GroupKey>>,
    classes: &[usize],
    (metric, recall, difficulty): (Metric, Recall, Difficulty),
    params: &BootstrapParams,
) -> Result<Interval> {
    let params = params.clone().check()?;
    let params = params.get();
    let ids: Vec<&SampleId> = partial.frame_ids().collect();
    let units = Units::of(&ids, groups)?;
    let group_of: Vec<usize> = ids.iter().map(|id| units.group(id)).collect();
    let result = partial.finish()?;
    let mut whole = Vec::new();
    let mut samplers = Vec::new();
    for class in classes {
        if let Some(ap) = result.ap(&result.classes[*class].name, metric, recall, difficulty) {
            whole.push(ap);
            samplers.push(Sampler::new(partial, *class, metric.overlap(), difficulty, Some(&group_of)));
        }
    }
    let value = |times: &[u32]| {
        let of = |sampler: &Sampler<'_>| {
            let (precision, similarity) = sampler.curves(times)?;
            Some(if metric == Metric::Aos { similarity } else { precision }.ap(recall))
        };
        mean(&samplers.iter().filter_map(of).collect::<Vec<_>>())
    };
    let draws = (0..params.n_draws).into_par_iter();
    let draws: Vec<f64> = draws.filter_map(|draw| value(&units.draw(params.seed, draw))).collect();
    Ok(Interval::new(mean(&whole), draws, params.confidence, units.n_groups))
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, Seed};

    use super::*;
    use crate::EvalError;
    use crate::kitti::{Detection, Frame, KittiParams, Label, observe_all};

    const WHICH: (&str, Metric, Recall, Difficulty) = ("Car", Metric::Bbox, Recall::R40, Difficulty::Easy);

    /// Sixty frames of six recordings; the more right the higher the recording's number.
    fn records() -> (Partial, BTreeMap<SampleId, GroupKey>) {
        let bbox = |x| Some(BBox::new(x, 0.0, 60.0, 60.0).unwrap());
        let labels = [Label { alpha: Some(0.0), ..Label::new("Car", bbox(0.0), None) }];
        let ids: Vec<SampleId> = (0..60).map(|i| SampleId::new(format!("{i:02}")).unwrap()).collect();
        let found: Vec<[Detection; 1]> = (0..60)
            .map(|i| {
                let x = if i % 10 <= i / 10 { 0.0 } else { 500.0 };
                let score = f64::from(i * 37 % 60);
                [Detection { alpha: Some(0.3), ..Detection::new("Car", bbox(x), None, score) }]
            })
            .collect();
        let frames: Vec<_> =
            ids.iter().zip(&found).map(|(id, d)| Frame { id, labels: &labels, detections: d }).collect();
        let groups = ids.iter().map(|id| (id.clone(), GroupKey::new(&id.as_str()[..1]).unwrap())).collect();
        (observe_all(&frames, &KittiParams::default()).unwrap(), groups)
    }

    #[test]
    fn intervals_hold_the_value_and_do_not_depend_on_order() {
        let (records, groups) = records();
        for metric in [Metric::Bbox, Metric::Aos] {
            let which = (WHICH.0, metric, WHICH.2, WHICH.3);
            let interval = ci(&records, Some(&groups), which, &BootstrapParams::default()).unwrap();
            assert!(interval.low < interval.value && interval.value < interval.high, "{interval:?}");
            assert_eq!((interval.n_groups, interval.n_draws), (6, 200));
            let mut turned = records.select(|id| "30" <= id.as_str());
            turned.merge(records.select(|id| id.as_str() < "30")).unwrap();
            assert_eq!(ci(&turned, Some(&groups), which, &BootstrapParams::default()).unwrap(), interval);
        }
    }

    #[test]
    fn a_mean_over_one_class_is_that_class() {
        let (records, groups) = records();
        let params = BootstrapParams::default();
        let one = ci(&records, Some(&groups), WHICH, &params).unwrap();
        let mean = ci_mean(&records, Some(&groups), (WHICH.1, WHICH.2, WHICH.3), &params).unwrap();
        assert_eq!(mean, one, "the other classes have no label");
    }

    #[test]
    fn recordings_are_drawn_as_a_whole() {
        let (records, groups) = records();
        let width = |groups| {
            let params = BootstrapParams { seed: Seed::new(3), n_draws: 400, ..BootstrapParams::default() };
            let interval = ci(&records, groups, WHICH, &params).unwrap();
            interval.high.unwrap() - interval.low.unwrap()
        };
        assert!(width(None) < width(Some(&groups)), "recordings differ more than frames drawn at random");
    }

    #[test]
    fn what_does_not_exist_has_no_interval() {
        let (records, groups) = records();
        let which = ("Car", Metric::Cuboid, Recall::R11, Difficulty::Hard);
        let interval = ci(&records, Some(&groups), which, &BootstrapParams::default()).unwrap();
        assert_eq!((interval.value, interval.low, interval.n_draws), (None, None, 0));
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let (records, _) = records();
        let params = BootstrapParams::default();
        let missing = ci(&records, Some(&BTreeMap::new()), WHICH, &params);
        assert!(matches!(missing, Err(EvalError::MissingGroup { .. })));
        let which = ("Tram", WHICH.1, WHICH.2, WHICH.3);
        assert!(matches!(ci(&records, None, which, &params), Err(EvalError::UnknownClass { .. })));
        assert!(ci(&records, None, WHICH, &BootstrapParams { n_draws: 0, ..params }).is_err());
    }

    #[test]
    fn weights_are_repeated_frames() {
        let (records, groups) = records();
        let times = [0u32, 3, 1, 0, 2, 1];
        let ids: Vec<&SampleId> = records.frame_ids().collect();
        let units = Units::of(&ids, Some(&groups)).unwrap();
        let group_of: Vec<usize> = ids.iter().map(|id| units.group(id)).collect();
        let weighted =
            Sampler::new(&records, 0, 0, Difficulty::Easy, Some(&group_of)).curves(&times).unwrap().0;
        let mut repeated: Option<Partial> = None;
        let json = serde_json::to_value(&records).unwrap();
        for (group, n) in times.iter().enumerate() {
            for copy in 0..*n {
                // The same records under new names.
                let mut copied = json.clone();
                let frames = json["frames"].as_object().unwrap().iter();
                let frames = frames.filter(|(id, _)| id.starts_with(&group.to_string()));
                copied["frames"] =
                    frames.map(|(id, record)| (format!("{id}-{copy}"), record.clone())).collect();
                let copied: Partial = serde_json::from_value(copied).unwrap();
                match &mut repeated {
                    Some(all) => all.merge(copied).unwrap(),
                    None => repeated = Some(copied),
                }
            }
        }
        let whole = repeated.unwrap().finish().unwrap();
        assert_eq!(whole.classes[0].curve(Metric::Bbox, Difficulty::Easy), Some(&weighted));
    }
}
