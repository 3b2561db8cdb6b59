use std::collections::BTreeMap;

use labelloop_core::{GroupKey, SampleId};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::accumulate::{
    average_precision, detection_score, error_track, mean_of, n_labels, tp_means, track,
};
use super::line::{Line, lines};
use super::record::SampleRecord;
use super::result::TpMeans;
use super::{AbsentClasses, NuscenesValidParams, Partial};
use crate::Result;
use crate::bootstrap::{BootstrapParams, Interval, Units};

/// The two numbers of the benchmark with their percentile intervals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NuscenesIntervals {
    /// Of the mean average precision.
    pub mean_ap: Interval,
    /// Of the detection score.
    pub nds: Interval,
}

/// How far mAP and NDS could be off because these sequences were driven and not others: percentile intervals (Efron and
/// Tibshirani 1993, section 13.3) by drawing groups of samples.
///
/// `groups` names the scene of each sample, which is the right unit: samples of a scene show the same objects. Without it
/// every sample is its own. Nothing is matched anew; a draw counts every label and detection as often as its group was
/// drawn, copies next to one another. A class whose labels are not drawn counts as
/// [`super::NuscenesParams::absent_classes`] says. O(draws x detections x distances).
///
/// ```
/// use labelloop_core::{ClassIdx, Cuboid, CuboidFrame, SampleId};
/// use labelloop_eval::bootstrap::BootstrapParams;
/// use labelloop_eval::nuscenes::{ClassRule, DetectionBox, LabelBox, NuscenesParams, SampleCase, ci, observe_all};
///
/// let car = Cuboid::new([10.0, 2.0, 0.5], [4.5, 1.9, 1.7], 0.1, CuboidFrame::Lidar)?;
/// let labels = [LabelBox::new(ClassIdx(0), car)];
/// let found = [DetectionBox::new(ClassIdx(0), car, 0.5)];
/// let ids = ["a", "b", "c", "d"].map(|id| SampleId::new(id).unwrap());
/// let case = |(i, id)| SampleCase { id, labels: &labels, detections: &found[..i % 2], racks: &[] };
/// let cases: Vec<_> = ids.iter().enumerate().map(case).collect();
///
/// let params = NuscenesParams { classes: vec![ClassRule::new("car", 50.0)], ..NuscenesParams::default() };
/// let records = observe_all(&cases, &params)?;
/// let intervals = ci(&records, None, &BootstrapParams::default())?;
/// assert_eq!(intervals.mean_ap.value, records.finish()?.mean_ap);
/// assert!(intervals.nds.low < intervals.nds.value && intervals.nds.value < intervals.nds.high);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`BootstrapParams::check`]; [`crate::EvalError::MissingGroup`] for a sample without a group.
pub fn ci(
    records: &Partial,
    groups: Option<&BTreeMap<SampleId, GroupKey>>,
    params: &BootstrapParams,
) -> Result<NuscenesIntervals> {
    let bootstrap = params.clone().check()?;
    let bootstrap = bootstrap.get();
    let params = records.params().clone().check()?;
    let units = Units::of(&records.sample_ids().collect::<Vec<_>>(), groups)?;
    let ordered = records.ordered();
    let samples: Vec<&SampleRecord> = ordered.iter().map(|(_, record)| *record).collect();
    let group_of = ordered.iter().map(|(id, _)| units.group(id)).collect();
    let lines = lines(&samples, params.get().classes.len(), params.tp_place());
    let sampler = Sampler { lines, group_of, params: &params };
    let draws: Vec<(Option<f64>, Option<f64>)> = (0..bootstrap.n_draws)
        .into_par_iter()
        .map(|draw| sampler.value(&units.draw(bootstrap.seed, draw)))
        .collect();
    let (mean_ap, nds) = sampler.value(&vec![1; units.n_groups]);
    let interval = |value, drawn| Interval::new(value, drawn, bootstrap.confidence, units.n_groups);
    Ok(NuscenesIntervals {
        mean_ap: interval(mean_ap, draws.iter().filter_map(|draw| draw.0).collect()),
        nds: interval(nds, draws.iter().filter_map(|draw| draw.1).collect()),
    })
}

/// Both numbers as functions of how often each group was drawn.
struct Sampler<'a> {
    lines: Vec<Line<'a>>,
    /// Group of each sample, by place.
    group_of: Vec<usize>,
    params: &'a NuscenesValidParams,
}

impl Sampler<'_> {
    fn value(&self, times: &[u32]) -> (Option<f64>, Option<f64>) {
        let p = self.params.get();
        let of = |sample: u32| times[self.group_of[sample as usize]];
        let (mut aps, mut errors) = (Vec::new(), Vec::new());
        for (line, rule) in self.lines.iter().zip(&p.classes) {
            let n_labels = n_labels(line, of);
            if n_labels == 0 && p.absent_classes == AbsentClasses::LeaveOut {
                continue;
            }
            let reads = (0..p.distances.len()).map(|t| track(line, t, n_labels, of).read());
            let reads: Vec<_> = reads.collect();
            let ap = |precision: &[f64]| Some(average_precision(precision, self.params));
            aps.push(mean_of(&reads.iter().map(|read| ap(&read.precision)).collect::<Vec<_>>()));
            let confidence = &reads[self.params.tp_place()].confidence;
            let track = error_track(line, of);
            errors.push(tp_means(confidence, |which| track.read(which, confidence), rule, self.params));
        }
        let mean_ap = mean_of(&aps);
        (mean_ap, mean_ap.map(|ap| detection_score(ap, &TpMeans::over(&errors), p.ap_weight)))
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{ClassIdx, Cuboid, CuboidFrame, Seed};
    use proptest::prelude::*;

    use super::super::{DetectionBox, LabelBox, NuscenesParams, SampleCase, evaluate, observe_all};
    use super::*;
    use crate::EvalError;

    type Owned = (SampleId, Vec<LabelBox>, Vec<DetectionBox>);

    fn cases(samples: &[Owned]) -> Vec<SampleCase<'_>> {
        let case = |(id, labels, detections)| SampleCase { id, labels, detections, racks: &[] };
        samples.iter().map(|(id, labels, detections)| case((id, labels, detections))).collect()
    }

    fn sample(i: usize, labels: &[u8], detections: &[(u8, u8, u8)]) -> Owned {
        let at = |place: u8, off: f64| {
            let x = f64::from(place % 4) * 6.0 + off;
            Cuboid::new([x, 3.0, 0.0], [2.0, 1.0, 1.0], 0.1 + off, CuboidFrame::Lidar).unwrap()
        };
        let label = |place: &u8| LabelBox {
            velocity: place.is_multiple_of(2).then_some([1.0, 0.0]),
            ..LabelBox::new(ClassIdx(u32::from(*place / 4)), at(*place, 0.0))
        };
        // Scores differ within a sample and tie across samples: copies are drawn detection by detection.
        let found = |(j, (place, off, score)): (usize, &(u8, u8, u8))| DetectionBox {
            velocity: Some([f64::from(*off), 0.0]),
            ..DetectionBox::new(
                ClassIdx(u32::from(*place / 4)),
                at(*place, f64::from(*off) / 4.0),
                f64::from(*score) / 10.0 + j as f64 / 64.0,
            )
        };
        let id = SampleId::new(format!("{i:02}")).unwrap();
        (id, labels.iter().map(label).collect(), detections.iter().enumerate().map(found).collect())
    }

    fn samples() -> impl Strategy<Value = Vec<Owned>> {
        let labels = prop::collection::btree_set(0u8..8, 0..4);
        let detections = prop::collection::vec((0u8..8, 0u8..20, 0u8..=8), 0..5);
        prop::collection::vec((labels, detections), 1..5).prop_map(|all| {
            let owned = all.into_iter().enumerate();
            owned.map(|(i, (l, d))| sample(i, &l.into_iter().collect::<Vec<_>>(), &d)).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn weights_are_repeated_samples(samples in samples(), times in prop::collection::vec(0u32..4, 5)) {
            let params = NuscenesParams::default();
            let records = observe_all(&cases(&samples), &params).unwrap();
            let units = Units::of(&records.sample_ids().collect::<Vec<_>>(), None).unwrap();
            let valid = params.clone().check().unwrap();
            let ordered: Vec<&SampleRecord> = records.ordered().into_iter().map(|(_, r)| r).collect();
            let group_of = records.ordered().iter().map(|(id, _)| units.group(id)).collect();
            let sampler = Sampler { lines: lines(&ordered, 10, 2), group_of, params: &valid };
            let copies = samples.iter().zip(&times).flat_map(|((id, l, d), n)| {
                (0..*n).map(move |i| (SampleId::new(format!("{id}-{i}")).unwrap(), l.clone(), d.clone()))
            });
            let again: Vec<Owned> = copies.collect();
            let whole = evaluate(&cases(&again), &params).unwrap();
            let (mean_ap, nds) = sampler.value(&times[..samples.len()]);
            prop_assert_eq!((mean_ap, nds), (whole.mean_ap, whole.nds));
        }

        #[test]
        fn intervals_are_shares_in_order_whatever_the_order_of_samples(samples in samples(), seed in any::<u64>()) {
            let params = BootstrapParams { seed: Seed::new(seed), n_draws: 40, ..Default::default() };
            let mut turned = cases(&samples);
            turned.reverse();
            let [a, b] = [cases(&samples), turned].map(|cases| {
                ci(&observe_all(&cases, &NuscenesParams::default()).unwrap(), None, &params).unwrap()
            });
            prop_assert_eq!(a, b);
            for interval in [a.mean_ap, a.nds] {
                prop_assert!(interval.low <= interval.high);
                prop_assert!(interval.low.is_none_or(|v| (0.0..=1.0).contains(&v)));
            }
        }
    }

    #[test]
    fn scenes_are_drawn_as_a_whole() {
        let samples: Vec<Owned> = (0..4).map(|i| sample(i, &[0, 1], &[(0, 0, 7)][..i % 2])).collect();
        let records = observe_all(&cases(&samples), &NuscenesParams::default()).unwrap();
        let scene = GroupKey::new("scene-0103").unwrap();
        let one: BTreeMap<_, _> = records.sample_ids().map(|id| (id.clone(), scene.clone())).collect();
        let whole = ci(&records, Some(&one), &BootstrapParams::default()).unwrap();
        assert_eq!(
            (whole.nds.low, whole.nds.high, whole.nds.n_groups),
            (whole.nds.value, whole.nds.value, 1)
        );
        let alone = ci(&records, None, &BootstrapParams::default()).unwrap();
        assert!(alone.mean_ap.low < alone.mean_ap.high && alone.mean_ap.n_groups == 4);
    }

    #[test]
    fn a_sample_without_a_scene_and_bad_parameters_are_refused() {
        let samples = [sample(0, &[0], &[])];
        let records = observe_all(&cases(&samples), &NuscenesParams::default()).unwrap();
        let found = ci(&records, Some(&BTreeMap::new()), &BootstrapParams::default());
        assert!(matches!(found, Err(EvalError::MissingGroup { .. })));
        let none = BootstrapParams { n_draws: 0, ..Default::default() };
        assert!(ci(&records, None, &none).is_err());
    }
}
