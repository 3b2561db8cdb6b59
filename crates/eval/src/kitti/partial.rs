use std::collections::BTreeMap;

use labelloop_core::SampleId;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::input::{Frame, checked_by_id};
use super::observe::observe_frame;
use super::record::FrameRecord;
use super::view::{Outside, Words};
use super::{KittiParams, KittiResult};
use crate::{EvalError, Result};

/// What the evaluation of some frames found: records that can be stored, sent, merged in any order and finished into the
/// same bits as one evaluation of everything.
///
/// ```
/// use labelloop_core::{BBox, SampleId};
/// use labelloop_eval::kitti::{Detection, Frame, KittiParams, Label, evaluate, observe};
///
/// let bbox = BBox::new(0.0, 0.0, 60.0, 60.0)?;
/// let labels = [Label::new("Car", Some(bbox), None)];
/// let found = [Detection::new("Car", Some(bbox), None, 0.5)];
/// let (a, b) = (SampleId::new("a")?, SampleId::new("b")?);
/// let seen = Frame { id: &a, labels: &labels, detections: &found };
/// let missed = Frame { id: &b, labels: &labels, detections: &[] };
///
/// let params = KittiParams::default();
/// let mut merged = observe(&missed, &params)?;
/// merged.merge(observe(&seen, &params)?)?;
/// assert_eq!(merged.finish()?, evaluate(&[seen, missed], &params)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawPartial")]
pub struct Partial {
    params: KittiParams,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slice: Option<String>,
    frames: BTreeMap<SampleId, FrameRecord>,
}

#[derive(Deserialize)]
struct RawPartial {
    params: KittiParams,
    #[serde(default)]
    slice: Option<String>,
    frames: BTreeMap<SampleId, FrameRecord>,
}

/// Matches one frame.
///
/// # Errors
/// As [`super::evaluate`].
pub fn observe(frame: &Frame<'_>, params: &KittiParams) -> Result<Partial> {
    observe_all(std::slice::from_ref(frame), params)
}

/// Matches the frames of a shard, in parallel.
///
/// # Errors
/// As [`super::evaluate`].
pub fn observe_all(frames: &[Frame<'_>], params: &KittiParams) -> Result<Partial> {
    observe_outside(frames, None, params, None)
}

/// Matches the frames of a slice, of which `outside` says for each frame what is not of it.
pub(crate) fn observe_outside(
    frames: &[Frame<'_>],
    outside: Option<&[Outside]>,
    params: &KittiParams,
    slice: Option<String>,
) -> Result<Partial> {
    let params = params.clone().check()?;
    let words = Words::new(&params);
    let records = checked_by_id(frames)?
        .into_par_iter()
        .map(|i| {
            let record = observe_frame(&frames[i], &params, &words, outside.map(|all| &all[i]))?;
            Ok((frames[i].id.clone(), record))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Partial { params: params.into_inner(), slice, frames: records.into_iter().collect() })
}

impl Partial {
    /// Takes the frames of another shard in.
    ///
    /// # Errors
    /// [`EvalError::IncompatiblePartials`] for other parameters or another slice, [`EvalError::DuplicateImage`] for a
    /// frame that both hold; nothing is taken in then.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        self.check_compatible(&other)?;
        if let Some(id) = other.frames.keys().find(|id| self.frames.contains_key(*id)) {
            return Err(EvalError::DuplicateImage { image: id.to_string() });
        }
        self.frames.extend(other.frames);
        Ok(())
    }

    /// Takes the frames of another shard in, in place of those with the same id.
    ///
    /// # Errors
    /// [`EvalError::IncompatiblePartials`] as [`Partial::merge`].
    pub fn replace(&mut self, other: Self) -> Result<()> {
        self.check_compatible(&other)?;
        self.frames.extend(other.frames);
        Ok(())
    }

    /// The result over all frames taken in so far. O(frames x classes).
    ///
    /// # Errors
    /// Those of [`KittiParams::check`], only when a stored partial was tampered with.
    pub fn finish(&self) -> Result<KittiResult> {
        KittiResult::new(self, &self.params.clone().check()?)
    }

    /// The frames for which `is_asked`, as a partial of their own: a recording, a night.
    #[must_use]
    pub fn select(&self, is_asked: impl Fn(&SampleId) -> bool) -> Self {
        let frames = self.frames.iter().filter(|(id, _)| is_asked(id));
        let frames = frames.map(|(id, record)| (id.clone(), record.clone())).collect();
        Self { params: self.params.clone(), slice: self.slice.clone(), frames }
    }

    /// Frames taken in, by id.
    pub fn frame_ids(&self) -> impl Iterator<Item = &SampleId> {
        self.frames.keys()
    }

    /// Number of frames taken in.
    pub fn n_frames(&self) -> usize {
        self.frames.len()
    }

    /// The parameters.
    pub fn params(&self) -> &KittiParams {
        &self.params
    }

    /// Records by id of their frame.
    pub(super) fn records(&self) -> impl Iterator<Item = (&SampleId, &FrameRecord)> {
        self.frames.iter()
    }

    fn check_compatible(&self, other: &Self) -> Result<()> {
        if self.params != other.params {
            return Err(EvalError::IncompatiblePartials { what: "parameters" });
        }
        if self.slice != other.slice {
            return Err(EvalError::IncompatiblePartials { what: "slice" });
        }
        Ok(())
    }
}

impl TryFrom<RawPartial> for Partial {
    type Error = EvalError;

    fn try_from(raw: RawPartial) -> Result<Self> {
        let params = raw.params.check()?.into_inner();
        for (id, frame) in &raw.frames {
            let damaged = |what| EvalError::DamagedPartial { image: id.to_string(), what };
            frame.check(params.classes.len()).map_err(damaged)?;
        }
        Ok(Self { params, slice: raw.slice, frames: raw.frames })
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::BBox;

    use super::*;
    use crate::kitti::{Detection, Label};

    fn partial(id: &str, params: &KittiParams) -> Partial {
        let id = SampleId::new(id).unwrap();
        let bbox = Some(BBox::new(0.0, 0.0, 50.0, 50.0).unwrap());
        let labels = [Label::new("Car", bbox, None)];
        let detections = [0.5, 0.9].map(|score| Detection::new("Car", bbox, None, score));
        observe(&Frame { id: &id, labels: &labels, detections: &detections }, params).unwrap()
    }

    #[test]
    fn the_same_frame_twice_is_refused_and_changes_nothing() {
        let params = KittiParams::default();
        let mut merged = partial("a", &params);
        let before = merged.clone();
        assert!(matches!(merged.merge(partial("a", &params)), Err(EvalError::DuplicateImage { .. })));
        assert_eq!(merged, before);
        assert!(merged.replace(partial("a", &params)).is_ok());
        assert_eq!((merged.n_frames(), merged.params()), (1, &params));
    }

    #[test]
    fn other_parameters_and_slices_are_refused() {
        let params = KittiParams::default();
        let mut merged = partial("a", &params);
        let other = partial("b", &KittiParams::loose());
        assert_eq!(merged.merge(other), Err(EvalError::IncompatiblePartials { what: "parameters" }));
        let other = Partial { slice: Some("range 0 to 20 m".to_owned()), ..partial("b", &params) };
        assert_eq!(merged.replace(other), Err(EvalError::IncompatiblePartials { what: "slice" }));
    }

    #[test]
    fn a_selection_is_what_was_selected() {
        let params = KittiParams::default();
        let mut merged = partial("a", &params);
        merged.merge(partial("b", &params)).unwrap();
        assert_eq!(merged.select(|id| id.as_str() == "b"), partial("b", &params));
        assert_eq!(merged.select(|_| false).finish().unwrap().n_frames, 0);
    }

    #[test]
    fn stored_records_come_back_and_damaged_ones_are_refused() {
        let whole = partial("a", &KittiParams::default());
        let json = serde_json::to_value(&whole).unwrap();
        assert_eq!(serde_json::from_value::<Partial>(json.clone()).unwrap(), whole);
        let curve = "/frames/a/0/curves/0/0";
        let damages: [(String, serde_json::Value); 8] = [
            ("/frames/a/0/class".into(), 7.into()),
            ("/frames/a/0/totals/n_labels_without_alpha".into(), 7.into()),
            ("/frames/a/0/totals/n_detections_with_bbox".into(), 7.into()),
            (format!("{curve}/n_valid"), 0.into()),
            (format!("{curve}/scores"), vec![0.5, 0.9].into()),
            (format!("{curve}/steps/0/tp"), 2.into()),
            (format!("{curve}/steps/0/score"), 0.1.into()),
            (format!("{curve}/steps/0/similarity"), 3.0.into()),
        ];
        for (place, value) in damages {
            let mut bad = json.clone();
            *bad.pointer_mut(&place).unwrap() = value;
            let said = serde_json::from_value::<Partial>(bad).unwrap_err().to_string();
            assert!(said.contains("image a is damaged"), "{place}: {said}");
        }
        let mut bad = json.clone();
        *bad.pointer_mut("/params/warn_share").unwrap() = 7.into();
        assert!(serde_json::from_value::<Partial>(bad).is_err());
        let mut bad = json.clone();
        let record = bad["frames"]["a"][0].clone();
        bad["frames"]["a"].as_array_mut().unwrap().push(record);
        assert!(serde_json::from_value::<Partial>(bad).unwrap_err().to_string().contains("do not ascend"));
    }
}
