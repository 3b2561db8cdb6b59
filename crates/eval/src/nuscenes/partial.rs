use std::collections::BTreeMap;

use labelloop_core::SampleId;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::accumulate::accumulate;
use super::line::lines;
use super::record::{Matcher, SampleRecord};
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
    let params = params.clone().check()?;
    let mut by_id: Vec<&SampleCase<'_>> = cases.iter().collect();
    by_id.sort_by(|a, b| a.id.cmp(b.id));
    if let Some(pair) = by_id.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return Err(EvalError::DuplicateImage { image: pair[0].id.to_string() });
    }
    let records: Vec<Result<SampleRecord>> = by_id
        .par_iter()
        .map_init(Matcher::default, |matcher, case| SampleRecord::of(case, &params, matcher))
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
