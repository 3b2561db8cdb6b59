use std::collections::BTreeMap;

use labelloop_core::SampleId;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::accumulate::{ClassBits, accumulate};
use super::kernel::Bits;
use super::line::lines;
use super::record::ImageRecord;
use super::{CocoParams, CocoResult};
use crate::case::checked_by_id;
use crate::{EvalError, ImageCase, Result};

/// What the evaluation of some pictures found: match records that can be stored, sent, merged in any order and
/// finished into the same bits as one evaluation of everything.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_eval::{ImageCase, coco};
///
/// let bbox = BBox::new(0.0, 0.0, 40.0, 40.0)?;
/// let labels = [LabelledBox::new(ClassIdx(0), bbox)];
/// let found = [ScoredBox::new(ClassIdx(0), bbox, 0.5)?];
/// let (a, b) = (SampleId::new("a")?, SampleId::new("b")?);
/// let seen = ImageCase { id: &a, size: None, labels: &labels, detections: &found };
/// let missed = ImageCase { id: &b, size: None, labels: &labels, detections: &[] };
///
/// let params = coco::CocoParams::default();
/// let mut merged = coco::observe(&missed, 1, &params)?;
/// merged.merge(coco::observe(&seen, 1, &params)?)?;
/// assert_eq!(merged.finish()?, coco::evaluate(&[seen, missed], 1, &params)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawPartial")]
pub struct Partial {
    params: CocoParams,
    n_classes: usize,
    images: BTreeMap<SampleId, ImageRecord>,
}

#[derive(Deserialize)]
struct RawPartial {
    params: CocoParams,
    n_classes: usize,
    images: BTreeMap<SampleId, ImageRecord>,
}

/// Matches one picture.
///
/// # Errors
/// As [`super::evaluate`].
pub fn observe(case: &ImageCase<'_>, n_classes: usize, params: &CocoParams) -> Result<Partial> {
    observe_all(std::slice::from_ref(case), n_classes, params)
}

/// Matches the pictures of a shard, in parallel.
///
/// # Errors
/// As [`super::evaluate`].
pub fn observe_all(cases: &[ImageCase<'_>], n_classes: usize, params: &CocoParams) -> Result<Partial> {
    let params = params.clone().check()?;
    let bits = Bits::new(&params);
    let images = checked_by_id(cases, n_classes)?
        .par_iter()
        .map(|case| (case.id.clone(), ImageRecord::of(case, &params, &bits)))
        .collect::<Vec<_>>();
    Ok(Partial { params: params.without_order(), n_classes, images: images.into_iter().collect() })
}

impl Partial {
    /// Takes the pictures of another shard in.
    ///
    /// # Errors
    /// [`EvalError::IncompatiblePartials`] for other parameters or another number of classes,
    /// [`EvalError::DuplicateImage`] for a picture that both hold; nothing is taken in then.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        self.check_compatible(&other)?;
        if let Some(id) = other.images.keys().find(|id| self.images.contains_key(*id)) {
            return Err(EvalError::DuplicateImage { image: id.to_string() });
        }
        self.images.extend(other.images);
        Ok(())
    }

    /// Takes the pictures of another shard in, in place of those with the same id: new predictions for some pictures
    /// cost the matching of those alone.
    ///
    /// # Errors
    /// [`EvalError::IncompatiblePartials`] as [`Partial::merge`].
    pub fn replace(&mut self, other: Self) -> Result<()> {
        self.check_compatible(&other)?;
        self.images.extend(other.images);
        Ok(())
    }

    /// The result over all pictures taken in so far.
    ///
    /// # Errors
    /// [`EvalError::InvalidParam`] and its like only when a stored partial was tampered with.
    pub fn finish(&self) -> Result<CocoResult> {
        let params = self.params.clone().check()?;
        let lines = lines(&self.by_order(), self.n_classes, &params);
        let classes = lines.into_par_iter().map(|line| ClassBits::new(line, &params)).collect();
        Ok(accumulate(classes, &params))
    }

    /// Pictures taken in, by id.
    pub fn image_ids(&self) -> impl Iterator<Item = &SampleId> {
        self.images.keys()
    }

    /// Number of pictures taken in.
    pub fn n_images(&self) -> usize {
        self.images.len()
    }

    /// Number of classes of the evaluation.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// The parameters, without the order of pictures.
    pub fn params(&self) -> &CocoParams {
        &self.params
    }

    /// Records in the order in which detections are lined up.
    pub(crate) fn by_order(&self) -> Vec<&ImageRecord> {
        self.ordered().into_iter().map(|(_, record)| record).collect()
    }

    /// Ids and records in the order in which detections are lined up.
    pub(crate) fn ordered(&self) -> Vec<(&SampleId, &ImageRecord)> {
        let mut records: Vec<_> = self.images.iter().collect();
        // Stable, so ids decide where there are no ranks and between equal ones.
        records.sort_by_key(|(_, record)| (record.rank.is_none(), record.rank));
        records
    }

    fn check_compatible(&self, other: &Self) -> Result<()> {
        if self.params != other.params {
            return Err(EvalError::IncompatiblePartials { what: "parameters" });
        }
        if self.n_classes != other.n_classes {
            return Err(EvalError::IncompatiblePartials { what: "number of classes" });
        }
        Ok(())
    }
}

impl TryFrom<RawPartial> for Partial {
    type Error = EvalError;

    fn try_from(raw: RawPartial) -> Result<Self> {
        let params = raw.params.check()?;
        for (id, image) in &raw.images {
            let damaged = |what| EvalError::DamagedPartial { image: id.to_string(), what };
            if image.classes.windows(2).any(|p| p[1].class <= p[0].class) {
                return Err(damaged("classes do not ascend"));
            }
            for class in &image.classes {
                class.check(raw.n_classes, &params).map_err(damaged)?;
            }
        }
        Ok(Self { params: params.without_order(), n_classes: raw.n_classes, images: raw.images })
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx, LabelledBox, ScoredBox};

    use super::*;

    fn partial(id: &str, params: &CocoParams) -> Partial {
        let id = SampleId::new(id).unwrap();
        let bbox = BBox::new(0.0, 0.0, 10.0, 10.0).unwrap();
        let labels = [LabelledBox::new(ClassIdx(0), bbox)];
        let detections = [0.5, 0.9].map(|s| ScoredBox::new(ClassIdx(0), bbox, s).unwrap());
        observe(&ImageCase { id: &id, size: None, labels: &labels, detections: &detections }, 1, params)
            .unwrap()
    }

    #[test]
    fn the_same_picture_twice_is_refused_and_changes_nothing() {
        let params = CocoParams::default();
        let mut merged = partial("a", &params);
        let before = merged.clone();
        assert!(matches!(merged.merge(partial("a", &params)), Err(EvalError::DuplicateImage { .. })));
        assert_eq!(merged, before);
        assert_eq!((merged.n_images(), merged.n_classes()), (1, 1));
    }

    #[test]
    fn other_parameters_and_classes_are_refused() {
        let params = CocoParams::default();
        let other = CocoParams { max_dets: vec![1], ..params.clone() };
        let mut merged = partial("a", &params);
        assert!(matches!(merged.merge(partial("b", &other)), Err(EvalError::IncompatiblePartials { .. })));
        assert!(merged.replace(partial("b", &other)).is_err());
        let empty = observe_all(&[], 2, &params).unwrap();
        assert!(merged.merge(empty).unwrap_err().to_string().contains("number of classes"));
    }

    #[test]
    fn damaged_records_are_refused_when_read() {
        let json = serde_json::to_value(partial("a", &CocoParams::default())).unwrap();
        assert!(serde_json::from_value::<Partial>(json.clone()).is_ok());
        let damages: [(&str, serde_json::Value); 6] = [
            ("class", 7.into()),
            ("n_labels", vec![1].into()),
            ("scores", vec![0.5, 0.9].into()),
            ("scores", vec![2.0, 0.9].into()),
            ("tp", vec![1].into()),
            ("fp", json["images"]["a"]["classes"][0]["tp"].clone()),
        ];
        for (field, value) in damages {
            let mut bad = json.clone();
            bad["images"]["a"]["classes"][0][field] = value;
            let said = serde_json::from_value::<Partial>(bad).unwrap_err().to_string();
            assert!(said.contains("image a is damaged"), "{field}: {said}");
        }
        let mut bad = json.clone();
        bad["params"]["max_dets"] = Vec::<usize>::new().into();
        assert!(serde_json::from_value::<Partial>(bad).is_err());
    }

    #[test]
    fn numbered_pictures_come_first_in_their_order() {
        let params = CocoParams { image_order: super::super::ImageOrder::Number, ..CocoParams::default() };
        let mut merged = partial("x", &params);
        for id in ["10", "9", "a"] {
            merged.merge(partial(id, &params)).unwrap();
        }
        let order: Vec<&str> = merged.ordered().into_iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(order, ["9", "10", "a", "x"]);
    }

    #[test]
    fn more_than_64_bits_of_areas_and_thresholds_are_kept() {
        let thresholds = crate::coco::numpy::linspace(0.5, 0.95, 46);
        let params = CocoParams { iou_thresholds: thresholds, ..CocoParams::default() };
        let result = partial("a", &params).finish().unwrap();
        assert_eq!(result.ap(Some(0.95), "small", None), Some(0.9999999999999999));
        assert_eq!(result.ap(Some(0.5), "large", None), None);
    }
}
