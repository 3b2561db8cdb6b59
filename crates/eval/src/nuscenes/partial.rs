use std::collections::BTreeMap;

use labelloop_core::SampleId;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::accumulate::accumulate;
use super::line::lines;
use super::record::{Matcher, Object, SampleRecord, Wanted};
use super::{NuscenesParams, NuscenesResult, SampleCase};
use crate::{EvalError, Result};

/// What the evaluation of some samples found: match records that can be stored, sent, merged in any order and finished
/// into the same bits as one evaluation of everything.
///
/// ```
/// use labelloop_core::{ClassIdx, Cuboid, CuboidFrame, SampleId};
/// use labelloop_eval::nuscenes::{DetectionBox, LabelBox, NuscenesParams, SampleCase, evaluate, observe};
///
/// let car = Cuboid::new([10.0, 2.0, 0.5], [4.5, 1.9, 1.7], 0.1, CuboidFrame::Lidar)?;
/// let labels = [LabelBox::new(ClassIdx(0), car)];
/// let found = [DetectionBox::new(ClassIdx(0), car, 0.5)];
/// let (a, b) = (SampleId::new("a")?, SampleId::new("b")?);
/// let seen = SampleCase { id: &a, labels: &labels, detections: &found, racks: &[] };
/// let missed = SampleCase { id: &b, labels: &labels, detections: &[], racks: &[] };
///
/// let params = NuscenesParams::default();
/// let mut merged = observe(&missed, &params)?;
/// merged.merge(observe(&seen, &params)?)?;
/// assert_eq!(merged.finish()?, evaluate(&[seen, missed], &params)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawPartial")]
pub struct Partial {
    params: NuscenesParams,
    samples: BTreeMap<SampleId, SampleRecord>,
}

#[derive(Deserialize)]
struct RawPartial {
    params: NuscenesParams,
    samples: BTreeMap<SampleId, SampleRecord>,
}

/// Matches one sample.
///
/// # Errors
/// As [`super::evaluate`].
pub fn observe(case: &SampleCase<'_>, params: &NuscenesParams) -> Result<Partial> {
    observe_all(std::slice::from_ref(case), params)
}

/// Matches the samples of a shard, in parallel.
///
/// # Errors
/// As [`super::evaluate`].
pub fn observe_all(cases: &[SampleCase<'_>], params: &NuscenesParams) -> Result<Partial> {
    observed(cases, params, None)
}

/// Matches the samples of a shard and keeps what falls into a slice: near or far, with few points or many, of one scene.
///
/// Everything is matched as ever. Of the labels those wanted are asked for; a detection that finds another one counts
/// neither way, and one that finds none is a false alarm if it is wanted. A question that detections have no answer to,
/// such as the number of points, should want them all. Merge only records of one slice.
///
/// ```
/// use labelloop_core::{ClassIdx, Cuboid, CuboidFrame, SampleId};
/// use labelloop_eval::nuscenes::{DetectionBox, LabelBox, NuscenesParams, Object, SampleCase, observe_where};
///
/// let at = |x| Cuboid::new([x, 2.0, 0.5], [4.5, 1.9, 1.7], 0.1, CuboidFrame::Lidar);
/// let labels = [LabelBox::new(ClassIdx(0), at(10.0)?), LabelBox::new(ClassIdx(0), at(40.0)?)];
/// let found = [DetectionBox::new(ClassIdx(0), labels[0].cuboid, 0.5)];
/// let id = SampleId::new("a")?;
/// let case = SampleCase { id: &id, labels: &labels, detections: &found, racks: &[] };
///
/// let near = |_: &SampleId, object: Object<'_>| object.range().is_some_and(|metres| metres < 20.0);
/// let result = observe_where(&[case], &NuscenesParams::default(), &near)?.finish()?;
/// assert_eq!((result.classes[0].n_labels, result.classes[0].ap), (1, Some(1.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`super::evaluate`].
pub fn observe_where(
    cases: &[SampleCase<'_>],
    params: &NuscenesParams,
    is_wanted: &(dyn Fn(&SampleId, Object<'_>) -> bool + Sync),
) -> Result<Partial> {
    observed(cases, params, Some(is_wanted))
}

fn observed(
    cases: &[SampleCase<'_>],
    params: &NuscenesParams,
    wanted: Option<Wanted<'_>>,
) -> Result<Partial> {
    let params = params.clone().check()?;
    let mut by_id: Vec<&SampleCase<'_>> = cases.iter().collect();
    by_id.sort_by(|a, b| a.id.cmp(b.id));
    if let Some(pair) = by_id.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return Err(EvalError::DuplicateImage { image: pair[0].id.to_string() });
    }
    let records: Vec<Result<SampleRecord>> = by_id
        .par_iter()
        .map_init(Matcher::default, |matcher, case| SampleRecord::of(case, &params, wanted, matcher))
        .collect();
    let named = by_id.into_iter().zip(records).map(|(case, record)| Ok((case.id.clone(), record?)));
    // The first refusal by id, at any number of threads.
    Ok(Partial { params: params.without_order(), samples: named.collect::<Result<_>>()? })
}

impl Partial {
    /// Takes the samples of another shard in.
    ///
    /// # Errors
    /// [`EvalError::IncompatiblePartials`] for other parameters, [`EvalError::DuplicateImage`] for a sample that both
    /// hold; nothing is taken in then.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        self.check_compatible(&other)?;
        if let Some(id) = other.samples.keys().find(|id| self.samples.contains_key(*id)) {
            return Err(EvalError::DuplicateImage { image: id.to_string() });
        }
        self.samples.extend(other.samples);
        Ok(())
    }

    /// Takes the samples of another shard in, in place of those with the same id: new predictions for some samples cost
    /// the matching of those alone.
    ///
    /// # Errors
    /// [`EvalError::IncompatiblePartials`] as [`Partial::merge`].
    pub fn replace(&mut self, other: Self) -> Result<()> {
        self.check_compatible(&other)?;
        self.samples.extend(other.samples);
        Ok(())
    }

    /// The result over all samples taken in so far.
    ///
    /// O(n log n) in detections of a class.
    ///
    /// # Errors
    /// [`EvalError::InvalidParam`] and its like only when a stored partial was tampered with.
    pub fn finish(&self) -> Result<NuscenesResult> {
        let params = self.params.clone().check()?;
        let samples: Vec<&SampleRecord> = self.ordered().into_iter().map(|(_, record)| record).collect();
        let lines = lines(&samples, self.params.classes.len(), params.tp_place());
        let classes = accumulate(&lines, &params);
        Ok(NuscenesResult::new(self.params.clone(), classes, self.samples.len()))
    }

    /// Samples taken in, by id.
    pub fn sample_ids(&self) -> impl Iterator<Item = &SampleId> {
        self.samples.keys()
    }

    /// Number of samples taken in.
    pub fn n_samples(&self) -> usize {
        self.samples.len()
    }

    /// The parameters, without the order of samples.
    pub fn params(&self) -> &NuscenesParams {
        &self.params
    }

    /// Ids and records in the order of samples.
    pub(super) fn ordered(&self) -> Vec<(&SampleId, &SampleRecord)> {
        let mut records: Vec<_> = self.samples.iter().collect();
        // Stable, so ids decide where there are no ranks and between equal ones.
        records.sort_by_key(|(_, record)| (record.rank.is_none(), record.rank));
        records
    }

    fn check_compatible(&self, other: &Self) -> Result<()> {
        if self.params != other.params {
            return Err(EvalError::IncompatiblePartials { what: "parameters" });
        }
        Ok(())
    }
}

impl TryFrom<RawPartial> for Partial {
    type Error = EvalError;

    fn try_from(raw: RawPartial) -> Result<Self> {
        let params = raw.params.check()?;
        for (id, sample) in &raw.samples {
            let damaged = |what| EvalError::DamagedPartial { image: id.to_string(), what };
            if sample.classes.windows(2).any(|p| p[1].class <= p[0].class) {
                return Err(damaged("classes do not ascend"));
            }
            for class in &sample.classes {
                class.check(&params).map_err(damaged)?;
            }
        }
        Ok(Self { params: params.without_order(), samples: raw.samples })
    }
}
