use std::collections::BTreeMap;

use labelloop_core::ClassIdx;
use serde::{Deserialize, Serialize};

use super::{Failure, FailureKind, KindName, Position, SizeBand};
use crate::{EvalError, Result};

/// What counts as unusual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProfileParams {
    /// A box is of unusual aspect when its longer side is more than this many times its shorter one. Default: 3.
    pub max_aspect: f64,
    /// An object is of low contrast when its contrast, in the unit the caller gives it in, is below this. Default: 0.1.
    pub low_contrast: f64,
}

impl Default for ProfileParams {
    fn default() -> Self {
        Self { max_aspect: 3.0, low_contrast: 0.1 }
    }
}

/// Parameters that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileValidParams(ProfileParams);

impl ProfileParams {
    /// # Errors
    /// [`EvalError::InvalidParam`] unless `max_aspect` is finite and at least 1 and `low_contrast` finite and at
    /// least 0.
    pub fn check(self) -> Result<ProfileValidParams> {
        let Self { max_aspect, low_contrast } = self;
        if !(1.0 <= max_aspect && max_aspect.is_finite()) {
            let expected = "a finite number of at least 1";
            return Err(EvalError::InvalidParam { name: "max_aspect", found: max_aspect, expected });
        }
        if !(0.0 <= low_contrast && low_contrast.is_finite()) {
            let expected = "a finite number of at least 0";
            return Err(EvalError::InvalidParam { name: "low_contrast", found: low_contrast, expected });
        }
        Ok(ProfileValidParams(self))
    }
}

/// How many, and which share of those that it is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: usize,
    /// Share in `[0, 1]`; 0 of nothing.
    pub share: f64,
}

impl Tally {
    fn of(count: usize, whole: usize) -> Self {
        let share = if whole == 0 { 0.0 } else { count as f64 / whole as f64 };
        Self { count, share }
    }
}

/// What a set of failures has in common. Maps hold what occurs, so they are empty where there is no failure.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Breakdown {
    /// Failures of the set.
    pub count: usize,
    /// By size.
    pub size: BTreeMap<SizeBand, Tally>,
    /// By position, as shares of those whose picture has a known size.
    pub position: BTreeMap<Position, Tally>,
    /// By class.
    pub class: BTreeMap<ClassIdx, Tally>,
    /// Those of unusual aspect, degenerate boxes among them.
    pub unusual_aspect: Tally,
    /// Those of low contrast, as a share of those with a contrast; nothing where no contrast was given.
    pub low_contrast: Option<Tally>,
}

/// What a detector's failures have in common.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ErrorProfile {
    /// Labels that were not found.
    pub false_negatives: Breakdown,
    /// Detections that are wrong.
    pub false_positives: Breakdown,
    /// By kind, as shares of all failures.
    pub kinds: BTreeMap<KindName, Tally>,
    /// Classes taken for one another at the right place, the most frequent pair first, then by class.
    pub confusions: Vec<Confused>,
}

/// How often one class was taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confused {
    /// Class of the label.
    pub actual: ClassIdx,
    /// Class of the detection.
    pub predicted: ClassIdx,
    /// How often.
    pub count: usize,
}

/// Counts what failures have in common. `contrasts`, where given, has one entry for each failure.
///
/// ```
/// use labelloop_eval::failures::{ErrorProfile, ProfileParams, profile};
///
/// assert_eq!(profile(&[], None, &ProfileParams::default())?, ErrorProfile::default());
/// # Ok::<(), labelloop_eval::EvalError>(())
/// ```
///
/// # Errors
/// Those of [`ProfileParams::check`]; [`EvalError::Length`] unless there are as many contrasts as failures.
pub fn profile(
    failures: &[Failure],
    contrasts: Option<&[Option<f64>]>,
    params: &ProfileParams,
) -> Result<ErrorProfile> {
    let ProfileValidParams(params) = params.clone().check()?;
    if let Some(contrasts) = contrasts
        && contrasts.len() != failures.len()
    {
        return Err(EvalError::Length {
            name: "contrasts",
            found: contrasts.len(),
            expected: failures.len(),
        });
    }
    let contrast_of = |i: usize| contrasts.and_then(|c| c[i]).filter(|c| !c.is_nan());
    let all: Vec<_> = failures.iter().enumerate().map(|(i, f)| (f, contrast_of(i))).collect();
    let (missed, wrong): (Vec<_>, Vec<_>) = all.into_iter().partition(|(f, _)| f.kind.is_false_negative());
    Ok(ErrorProfile {
        false_negatives: breakdown(&missed, &params),
        false_positives: breakdown(&wrong, &params),
        kinds: shares(failures.iter().map(|f| f.kind.name())),
        confusions: confusions(failures),
    })
}

fn breakdown(failures: &[(&Failure, Option<f64>)], params: &ProfileParams) -> Breakdown {
    let is_unusual = |f: &Failure| {
        let (w, h) = (f.bbox.width(), f.bbox.height());
        f.bbox.is_degenerate() || params.max_aspect * w.min(h) < w.max(h)
    };
    let n_unusual = failures.iter().filter(|(f, _)| is_unusual(f)).count();
    let contrasts: Vec<f64> = failures.iter().filter_map(|(_, contrast)| *contrast).collect();
    let n_low = contrasts.iter().filter(|c| **c < params.low_contrast).count();
    Breakdown {
        count: failures.len(),
        size: shares(failures.iter().map(|(f, _)| f.size_band)),
        position: shares(failures.iter().filter_map(|(f, _)| f.position)),
        class: shares(failures.iter().map(|(f, _)| f.class)),
        unusual_aspect: Tally::of(n_unusual, failures.len()),
        low_contrast: (!contrasts.is_empty()).then(|| Tally::of(n_low, contrasts.len())),
    }
}

fn shares<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, Tally> {
    let mut counts: BTreeMap<K, usize> = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    let whole = counts.values().sum();
    counts.into_iter().map(|(key, count)| (key, Tally::of(count, whole))).collect()
}

fn confusions(failures: &[Failure]) -> Vec<Confused> {
    let mut counts: BTreeMap<(ClassIdx, ClassIdx), usize> = BTreeMap::new();
    for failure in failures {
        if let FailureKind::Confusion { actual, predicted, .. } = failure.kind {
            *counts.entry((actual, predicted)).or_default() += 1;
        }
    }
    let mut pairs: Vec<Confused> = counts
        .into_iter()
        .map(|((actual, predicted), count)| Confused { actual, predicted, count })
        .collect();
    pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.count), pair.actual, pair.predicted));
    pairs
}
