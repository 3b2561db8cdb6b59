//! Whether one detector is better than another, or only luckier with these pictures: one number ([`compare`]), or every
//! class and slice with p-values corrected for their number ([`compare_all`]).

mod all;

pub use all::{CompareParams, CompareValidParams, ComparisonReport, ComparisonRow, Subject, compare_all};

use std::collections::BTreeMap;

use labelloop_core::{GroupKey, SampleId};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::bootstrap::{BootstrapParams, Metric, Sampler, Units, quantile};
use crate::coco::Partial;
use crate::{EvalError, Result};

/// The difference of two detectors on the same pictures. Numbers are nothing where the metric is undefined.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The metric of the first detector.
    pub a: Option<f64>,
    /// The metric of the second.
    pub b: Option<f64>,
    /// `b - a`.
    pub difference: Option<f64>,
    /// Lower end of the interval of the difference.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Two-sided p-value of no difference; never below `2 / (draws + 1)`.
    pub p_value: Option<f64>,
    /// Draws in which both metrics are defined.
    pub n_draws: usize,
    /// Groups that were drawn from.
    pub n_groups: usize,
}

/// Compares two detectors by a paired bootstrap: both are scored on the same draws of groups, so what makes a picture
/// hard for both cancels out.
///
/// The p-value is twice the smaller share of draws with a difference of at most, or at least, zero, counting one draw
/// more on that side (Davison and Hinkley 1997, section 4.2.5), and at most 1.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_eval::bootstrap::{BootstrapParams, Metric};
/// use labelloop_eval::{ImageCase, coco, compare};
///
/// let bbox = BBox::new(0.0, 0.0, 40.0, 40.0)?;
/// let labels = [LabelledBox::new(ClassIdx(0), bbox)];
/// let found = [ScoredBox::new(ClassIdx(0), bbox, 0.5)?];
/// let id = SampleId::new("a")?;
/// let params = coco::CocoParams::default();
/// let with = |detections| coco::observe(&ImageCase { id: &id, size: None, labels: &labels, detections }, 1, &params);
/// let (blind, seeing) = (with(&[])?, with(&found)?);
///
/// let same = compare(&seeing, &seeing, None, Metric::Map, &BootstrapParams::default())?;
/// assert_eq!((same.difference, same.p_value), (Some(0.0), Some(1.0)));
/// let better = compare(&blind, &seeing, None, Metric::Map, &BootstrapParams::default())?;
/// assert!(better.low > Some(0.99) && better.p_value < Some(0.02));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EvalError::IncompatiblePartials`] for other parameters, [`EvalError::DifferentImages`] unless pictures and labels
/// are the same; and as [`crate::bootstrap::ci`].
pub fn compare(
    a: &Partial,
    b: &Partial,
    groups: Option<&BTreeMap<SampleId, GroupKey>>,
    metric: Metric,
    params: &BootstrapParams,
) -> Result<Comparison> {
    let params = params.clone().check()?;
    let params = params.get();
    a.check_same_labels(b)?;
    let units = Units::new(a, groups)?;
    let (first, second) = (Sampler::new(a, &units, metric)?, Sampler::new(b, &units, metric)?);
    let draws: Vec<f64> = (0..params.n_draws)
        .into_par_iter()
        .filter_map(|draw| {
            let times = units.draw(params.seed, draw);
            Some(second.value(&times)? - first.value(&times)?)
        })
        .collect();
    let everything = vec![1; units.n_groups];
    let values = [first.value(&everything), second.value(&everything)];
    Ok(Comparison::new(values, draws, params.confidence, units.n_groups))
}

impl Comparison {
    /// From both values and the difference in each draw in which both are defined.
    fn new([a, b]: [Option<f64>; 2], mut draws: Vec<f64>, confidence: f64, n_groups: usize) -> Self {
        draws.sort_by(f64::total_cmp);
        let tail = (1.0 - confidence) / 2.0;
        Self {
            a,
            b,
            difference: a.zip(b).map(|(a, b)| b - a),
            low: quantile(&draws, tail),
            high: quantile(&draws, 1.0 - tail),
            p_value: p_value(&draws),
            n_draws: draws.len(),
            n_groups,
        }
    }
}

fn p_value(draws: &[f64]) -> Option<f64> {
    let not_above = draws.iter().filter(|d| **d <= 0.0).count();
    let not_below = draws.iter().filter(|d| 0.0 <= **d).count();
    let one_sided = (not_above.min(not_below) + 1) as f64 / (draws.len() + 1) as f64;
    (!draws.is_empty()).then(|| (2.0 * one_sided).min(1.0))
}

impl Partial {
    fn check_same_labels(&self, other: &Self) -> Result<()> {
        if self.params() != other.params() {
            return Err(EvalError::IncompatiblePartials { what: "parameters" });
        }
        if self.n_classes() != other.n_classes() {
            return Err(EvalError::IncompatiblePartials { what: "number of classes" });
        }
        let (ours, theirs) = (self.label_counts(), other.label_counts());
        let differing = ours.iter().find(|(id, counts)| theirs.get(*id) != Some(counts));
        let missing = theirs.keys().find(|id| !ours.contains_key(*id));
        match differing.map(|(id, _)| id).or(missing) {
            Some(id) => Err(EvalError::DifferentImages { image: id.to_string() }),
            None => Ok(()),
        }
    }

    /// For each picture the classes that have labels to find, with their counts by area.
    fn label_counts(&self) -> BTreeMap<&SampleId, Vec<(u32, &[u32])>> {
        let counts = self.ordered().into_iter().map(|(id, record)| {
            let classes = record.classes.iter().filter(|c| c.n_labels.iter().any(|n| *n != 0));
            (id, classes.map(|c| (c.class, c.n_labels.as_slice())).collect())
        });
        counts.collect()
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx, LabelledBox, ScoredBox};

    use super::*;
    use crate::ImageCase;
    use crate::coco::{CocoParams, observe_all};

    /// Ten pictures of one label each, found in the first `n_found`.
    fn detector(n_found: usize, n_labels: usize) -> Partial {
        let bbox = BBox::new(0.0, 0.0, 40.0, 40.0).unwrap();
        let labels = vec![LabelledBox::new(ClassIdx(0), bbox); n_labels];
        let found = [ScoredBox::new(ClassIdx(0), bbox, 0.5).unwrap()];
        let ids: Vec<SampleId> = (0..10).map(|i| SampleId::new(format!("{i}")).unwrap()).collect();
        let cases: Vec<ImageCase<'_>> = ids
            .iter()
            .enumerate()
            .map(|(i, id)| ImageCase {
                id,
                size: None,
                labels: &labels,
                detections: &found[..usize::from(i < n_found)],
            })
            .collect();
        observe_all(&cases, 1, &CocoParams::default()).unwrap()
    }

    fn compared(a: usize, b: usize) -> Comparison {
        compare(&detector(a, 1), &detector(b, 1), None, Metric::Map50, &BootstrapParams::default()).unwrap()
    }

    #[test]
    fn a_clear_difference_is_told_from_a_small_one() {
        let (clear, small) = (compared(1, 9), compared(5, 6));
        assert!(clear.p_value < Some(0.05) && 0.0 < clear.low.unwrap());
        assert!(Some(0.05) < small.p_value && small.low <= Some(0.0));
    }

    #[test]
    fn turning_the_detectors_round_turns_the_difference() {
        let (forth, back) = (compared(2, 6), compared(6, 2));
        assert_eq!(forth.difference.map(|d| -d), back.difference);
        assert_eq!(forth.p_value, back.p_value);
        assert_eq!((forth.a, forth.b), (back.b, back.a));
    }

    #[test]
    fn other_labels_and_other_pictures_are_refused() {
        let params = BootstrapParams::default();
        let found = compare(&detector(1, 1), &detector(1, 2), None, Metric::Map, &params);
        assert_eq!(found, Err(EvalError::DifferentImages { image: "0".into() }));
        let none = observe_all(&[], 1, &CocoParams::default()).unwrap();
        assert!(compare(&none, &detector(1, 1), None, Metric::Map, &params).is_err());
        let other = observe_all(&[], 2, &CocoParams::default()).unwrap();
        let found = compare(&none, &other, None, Metric::Map, &params);
        assert!(matches!(found, Err(EvalError::IncompatiblePartials { .. })));
    }

    #[test]
    fn nothing_to_compare_has_no_p_value() {
        let none = observe_all(&[], 1, &CocoParams::default()).unwrap();
        let found = compare(&none, &none, None, Metric::Map, &BootstrapParams::default()).unwrap();
        assert_eq!((found.difference, found.p_value, found.n_groups), (None, None, 0));
    }

    #[test]
    fn p_values_count_both_sides() {
        assert_eq!(p_value(&[-1.0, 1.0, 2.0]), Some(1.0));
        assert_eq!(p_value(&[1.0; 39]), Some(2.0 / 40.0));
        assert_eq!(p_value(&[0.0; 9]), Some(1.0));
    }
}
