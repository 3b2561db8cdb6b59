use std::collections::BTreeMap;

use labelloop_core::{GroupKey, SampleId};
use rayon::prelude::*;

use super::{BootstrapParams, Interval, Metric, Sampler, Units};
use crate::Result;
use crate::coco::Partial;

/// [`super::ci`] and the same for each class by itself, in the order of classes, all from the same draws. A draw without a
/// label of a class says nothing about that class.
///
/// O(draws x detections x thresholds).
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_eval::bootstrap::{BootstrapParams, Metric, ci_by_class};
/// use labelloop_eval::{ImageCase, coco};
///
/// let id = SampleId::new("a")?;
/// let bbox = BBox::new(0.0, 0.0, 40.0, 40.0)?;
/// let labels = [LabelledBox::new(ClassIdx(1), bbox)];
/// let case = ImageCase { id: &id, size: None, labels: &labels, detections: &[] };
/// let records = coco::observe(&case, 2, &coco::CocoParams::default())?;
/// let (all, classes) = ci_by_class(&records, None, Metric::Map, &BootstrapParams::default())?;
/// assert_eq!((all.value, classes[0].value, classes[1].value), (Some(0.0), None, Some(0.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`super::ci`].
pub fn ci_by_class(
    records: &Partial,
    groups: Option<&BTreeMap<SampleId, GroupKey>>,
    metric: Metric,
    params: &BootstrapParams,
) -> Result<(Interval, Vec<Interval>)> {
    let params = params.clone().check()?;
    let params = params.get();
    let units = Units::new(records, groups)?;
    let sampler = Sampler::new(records, &units, metric)?;
    let draws: Vec<(Option<f64>, Vec<Option<f64>>)> = (0..params.n_draws)
        .into_par_iter()
        .map(|draw| sampler.values_by_class(&units.draw(params.seed, draw)))
        .collect();
    let (value, values) = sampler.values_by_class(&vec![1; units.n_groups]);
    let interval = |value, drawn| Interval::new(value, drawn, params.confidence, units.n_groups);
    let all = interval(value, draws.iter().filter_map(|draw| draw.0).collect());
    let classes = values
        .iter()
        .enumerate()
        .map(|(class, value)| interval(*value, draws.iter().filter_map(|draw| draw.1[class]).collect()));
    Ok((all, classes.collect()))
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx, LabelledBox, ScoredBox};

    use super::*;
    use crate::ImageCase;
    use crate::bootstrap::ci;
    use crate::coco::{CocoParams, observe_all};

    /// Twelve pictures with a label of one of three classes each, every other one found.
    fn records(only: Option<u32>) -> Partial {
        let bbox = BBox::new(0.0, 0.0, 40.0, 40.0).unwrap();
        let ids: Vec<SampleId> = (0..12).map(|i| SampleId::new(format!("{i:02}")).unwrap()).collect();
        let labels: Vec<_> = (0..12).map(|i| LabelledBox::new(ClassIdx(i % 3), bbox)).collect();
        let found: Vec<_> =
            (0..12).map(|i| ScoredBox::new(ClassIdx(i % 3), bbox, f64::from(i) / 12.0).unwrap()).collect();
        let cases: Vec<ImageCase<'_>> = ids
            .iter()
            .enumerate()
            .map(|(i, id)| {
                let is_asked = only.is_none_or(|class| i as u32 % 3 == class);
                let labels = if is_asked { &labels[i..=i] } else { &[] };
                let detections = if is_asked && i % 2 == 0 { &found[i..=i] } else { &[] };
                ImageCase { id, size: None, labels, detections }
            })
            .collect();
        observe_all(&cases, 4, &CocoParams::default()).unwrap()
    }

    #[test]
    fn classes_are_problems_of_their_own_and_the_whole_is_the_whole() {
        let params = BootstrapParams::default();
        for metric in [Metric::Map, Metric::Map50, Metric::F1 { iou: 0.5, min_score: 0.2 }] {
            let (all, classes) = ci_by_class(&records(None), None, metric, &params).unwrap();
            assert_eq!(all, ci(&records(None), None, metric, &params).unwrap());
            for class in 0..3 {
                let alone = ci(&records(Some(class)), None, metric, &params).unwrap();
                assert_eq!(classes[class as usize], alone, "{metric:?} {class}");
            }
            assert_eq!((classes[3].value, classes[3].n_draws, classes.len()), (None, 0, 4));
        }
    }

    #[test]
    fn parameters_are_checked() {
        let params = BootstrapParams { n_draws: 0, ..BootstrapParams::default() };
        assert!(ci_by_class(&records(None), None, Metric::Map, &params).is_err());
        let metric = Metric::F1 { iou: 0.42, min_score: 0.2 };
        assert!(ci_by_class(&records(None), None, metric, &BootstrapParams::default()).is_err());
    }
}
