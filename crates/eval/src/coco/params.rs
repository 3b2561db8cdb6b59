use std::collections::BTreeMap;

use labelloop_core::SampleId;
use serde::{Deserialize, Serialize};

use super::numpy::linspace;
use crate::error::{check_iou, check_share};
use crate::{EvalError, Result};

/// A range of object areas that is evaluated by itself; both ends belong to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AreaRange {
    /// Name; the twelve statistics look for `all`, `small`, `medium` and `large`.
    pub label: String,
    /// Lower end in square pixels.
    pub min: f64,
    /// Upper end in square pixels.
    pub max: f64,
}

/// In which order pictures are lined up before detections are sorted by score. It decides between detections of
/// exactly equal score in different pictures, and nothing else.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageOrder {
    /// By the text of the id.
    #[default]
    Id,
    /// By the number that the id spells, as pycocotools orders numeric image ids; ids that spell none come last, by
    /// text.
    Number,
    /// By a number given for each id, for instance COCO's image id where samples are named by file; ids without one
    /// come last, by text.
    Ranked(BTreeMap<SampleId, i64>),
}

/// What COCO's protocol is run with.
///
/// ```
/// use labelloop_eval::coco::CocoParams;
///
/// let params = CocoParams::default();
/// assert_eq!(params.max_dets, [1, 10, 100]);
/// assert_eq!((params.iou_thresholds.len(), params.recall_thresholds.len()), (10, 101));
/// assert!(CocoParams { iou_thresholds: vec![f64::NAN], ..params }.check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CocoParams {
    /// Thresholds of IoU, ascending in `(0, 1]`. Default: .5, .55 … .95, bit by bit as numpy's `linspace` gives them.
    pub iou_thresholds: Vec<f64>,
    /// Recalls at which precision is read off, ascending in `[0, 1]`. Default: 0, .01 … 1 by `linspace`.
    pub recall_thresholds: Vec<f64>,
    /// Areas evaluated by themselves. Default: all, small (to 32²), medium (to 96²), large (to 1e10).
    pub areas: Vec<AreaRange>,
    /// How many detections per picture and class count, ascending. Default: 1, 10, 100.
    pub max_dets: Vec<usize>,
    /// What decides between equal scores of different pictures. Default: the text of the id.
    pub image_order: ImageOrder,
}

impl Default for CocoParams {
    fn default() -> Self {
        let area = |label: &str, min, max| AreaRange { label: label.to_owned(), min, max };
        Self {
            iou_thresholds: linspace(0.5, 0.95, 10),
            recall_thresholds: linspace(0.0, 1.0, 101),
            areas: vec![
                area("all", 0.0, 1e10),
                area("small", 0.0, 1024.0),
                area("medium", 1024.0, 9216.0),
                area("large", 9216.0, 1e10),
            ],
            max_dets: vec![1, 10, 100],
            image_order: ImageOrder::Id,
        }
    }
}

/// Parameters that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoValidParams(CocoParams);

impl CocoParams {
    /// # Errors
    /// [`EvalError::EmptyParam`], [`EvalError::InvalidParam`] and [`EvalError::Unsorted`] for lists that are empty,
    /// out of range or not ascending; [`EvalError::InvalidAreaRange`] for an empty range or a name used twice.
    pub fn check(self) -> Result<CocoValidParams> {
        check_ascending("iou_thresholds", &self.iou_thresholds)?;
        check_ascending("recall_thresholds", &self.recall_thresholds)?;
        self.iou_thresholds.iter().try_for_each(|t| check_iou(*t))?;
        self.recall_thresholds.iter().try_for_each(|t| check_share("recall_thresholds", *t))?;
        let counts: Vec<f64> = self.max_dets.iter().map(|n| *n as f64).collect();
        check_ascending("max_dets", &counts)?;
        if counts[0] < 1.0 {
            return Err(EvalError::InvalidParam {
                name: "max_dets",
                found: counts[0],
                expected: "at least 1",
            });
        }
        check_areas(&self.areas)?;
        Ok(CocoValidParams(self))
    }
}

impl CocoValidParams {
    /// The parameters.
    pub fn get(&self) -> &CocoParams {
        &self.0
    }

    /// Bits that a detection needs: one for each area and threshold, in words of 64.
    pub(super) fn n_words(&self) -> usize {
        (self.0.areas.len() * self.0.iou_thresholds.len()).div_ceil(64)
    }

    /// The largest number of detections per picture and class.
    pub(super) fn most_detections(&self) -> usize {
        self.0.max_dets.last().copied().unwrap_or(0)
    }

    /// Where a picture stands: pictures with a number come first.
    pub(super) fn rank(&self, id: &SampleId) -> Option<i64> {
        match &self.0.image_order {
            ImageOrder::Id => None,
            ImageOrder::Number => id.as_str().parse().ok(),
            ImageOrder::Ranked(ranks) => ranks.get(id).copied(),
        }
    }

    /// The same without the order of pictures, which each record carries by itself.
    pub(super) fn without_order(&self) -> CocoParams {
        CocoParams {
            iou_thresholds: self.0.iou_thresholds.clone(),
            recall_thresholds: self.0.recall_thresholds.clone(),
            areas: self.0.areas.clone(),
            max_dets: self.0.max_dets.clone(),
            image_order: ImageOrder::Id,
        }
    }
}

fn check_ascending(name: &'static str, values: &[f64]) -> Result<()> {
    if values.is_empty() {
        return Err(EvalError::EmptyParam { name });
    }
    match values.windows(2).find(|p| !(p[0] < p[1])) {
        Some(pair) => Err(EvalError::Unsorted { name, before: pair[0], after: pair[1] }),
        None => Ok(()),
    }
}

fn check_areas(areas: &[AreaRange]) -> Result<()> {
    if areas.is_empty() {
        return Err(EvalError::EmptyParam { name: "areas" });
    }
    for (i, area) in areas.iter().enumerate() {
        let is_range = 0.0 <= area.min && area.min <= area.max;
        if !is_range || areas[..i].iter().any(|other| other.label == area.label) {
            return Err(EvalError::InvalidAreaRange {
                label: area.label.clone(),
                min: area.min,
                max: area.max,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut CocoParams)) -> EvalError {
        let mut params = CocoParams::default();
        change(&mut params);
        params.check().unwrap_err()
    }

    #[test]
    fn defaults_are_those_documented() {
        let params = CocoParams::default().check().unwrap();
        let params = params.get();
        // numpy 2.4: np.linspace(.5, .95, 10)[[1, 3, 6, 9]]
        let t = &params.iou_thresholds;
        assert_eq!([t[0], t[1], t[3], t[5], t[9]], [0.5, 0.55, 0.65, 0.75, 0.95]);
        assert_eq!(t[6].to_bits(), 0.8f64.to_bits());
        assert_eq!(params.recall_thresholds[35], 0.35000000000000003);
        assert_eq!(params.recall_thresholds[100], 1.0);
        let areas: Vec<_> = params.areas.iter().map(|a| (a.label.as_str(), a.min, a.max)).collect();
        let expected = [("all", 0.0, 1e10), ("small", 0.0, 1024.0), ("medium", 1024.0, 9216.0)];
        assert_eq!(areas[..3], expected);
        assert_eq!(areas[3], ("large", 9216.0, 1e10));
        assert_eq!(params.image_order, ImageOrder::Id);
    }

    #[test]
    fn iou_thresholds_out_of_range_are_refused() {
        assert!(matches!(refused(|p| p.iou_thresholds = vec![]), EvalError::EmptyParam { .. }));
        for bad in [f64::NAN, 0.0, -0.5, 1.5, f64::INFINITY] {
            assert!(matches!(refused(|p| p.iou_thresholds = vec![bad]), EvalError::InvalidParam { .. }));
        }
        assert!(matches!(refused(|p| p.iou_thresholds = vec![0.6, 0.5]), EvalError::Unsorted { .. }));
        assert!(matches!(refused(|p| p.iou_thresholds = vec![0.5, f64::NAN]), EvalError::Unsorted { .. }));
    }

    #[test]
    fn recall_thresholds_out_of_range_are_refused() {
        assert!(matches!(refused(|p| p.recall_thresholds = vec![]), EvalError::EmptyParam { .. }));
        assert!(matches!(refused(|p| p.recall_thresholds = vec![1.1]), EvalError::InvalidParam { .. }));
        assert!(matches!(refused(|p| p.recall_thresholds = vec![0.5, 0.5]), EvalError::Unsorted { .. }));
    }

    #[test]
    fn detection_limits_out_of_range_are_refused() {
        assert!(matches!(refused(|p| p.max_dets = vec![]), EvalError::EmptyParam { .. }));
        assert!(matches!(refused(|p| p.max_dets = vec![0, 1]), EvalError::InvalidParam { .. }));
        assert!(matches!(refused(|p| p.max_dets = vec![10, 1]), EvalError::Unsorted { .. }));
    }

    #[test]
    fn empty_and_repeated_areas_are_refused() {
        assert!(matches!(refused(|p| p.areas.clear()), EvalError::EmptyParam { .. }));
        assert!(matches!(refused(|p| p.areas[0].min = f64::NAN), EvalError::InvalidAreaRange { .. }));
        assert!(matches!(refused(|p| p.areas[1].max = -1.0), EvalError::InvalidAreaRange { .. }));
        assert!(matches!(refused(|p| p.areas[1].label = "all".into()), EvalError::InvalidAreaRange { .. }));
    }

    #[test]
    fn order_by_number_ranks_numbers_only() {
        let params = CocoParams { image_order: ImageOrder::Number, ..CocoParams::default() }.check().unwrap();
        assert_eq!(params.rank(&SampleId::new("42").unwrap()), Some(42));
        assert_eq!(params.rank(&SampleId::new("a42").unwrap()), None);
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<CocoParams>(r#"{"max_det": [1]}"#).is_err());
        let params: CocoParams = serde_json::from_str("{}").unwrap();
        assert_eq!(params, CocoParams::default());
    }
}
