use labelloop_core::{BBox, Seed};
use serde::{Deserialize, Serialize};

use crate::ParamError;

/// How the built-in detector learns and detects. [`GridParams::check`] turns it into [`GridValidParams`].
///
/// ```
/// use labelloop_train::GridParams;
///
/// let params = GridParams { n_random_features: 300, ..GridParams::default() };
/// assert!(params.check().is_ok());
/// assert!(GridParams { lambda: f64::NAN, ..GridParams::default() }.check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GridParams {
    /// Side of a grid cell in pixels, 2 to 64. `None`: chosen from the sizes of all labels when fitting (see
    /// [`stride_for`]), for which the learner keeps the pictures. Default none.
    pub stride: Option<u32>,
    /// Number of random ReLU features, 16 to 4096. Time and memory grow with its square. Default 600.
    pub n_random_features: usize,
    /// Strength of the ridge penalty, above 0. Default 30.
    pub lambda: f64,
    /// Standard deviation of an object's bump in the heat map, as a share of the object's sides. Default 0.14.
    pub heat_sigma: f64,
    /// Extra weight of a cell at the very middle of an object; background weighs 1. Default 4.
    pub positive_weight: f64,
    /// Extra weight that the heat map gives to each object, shared among its cells, so that small ones count as much
    /// as large ones. Default 80.
    pub object_weight: f64,
    /// Most background cells that one picture contributes; a random part stands for all. Default 2000.
    pub max_background_cells: usize,
    /// Detections with a lower score are dropped. Default 0.02.
    pub score_floor: f64,
    /// Most detections per picture. Default 100.
    pub max_detections: usize,
    /// Of two detections of one class that overlap by more than this IoU, the weaker is dropped. Default 0.5.
    pub nms_iou: f64,
    /// Where the random features come from. Default 0.
    pub seed: Seed,
}

impl Default for GridParams {
    fn default() -> Self {
        Self {
            stride: None,
            n_random_features: 600,
            lambda: 30.0,
            heat_sigma: 0.14,
            positive_weight: 4.0,
            object_weight: 80.0,
            max_background_cells: 2000,
            score_floor: 0.02,
            max_detections: 100,
            nms_iou: 0.5,
            seed: Seed::new(0),
        }
    }
}

impl GridParams {
    /// Checks every field.
    ///
    /// # Errors
    /// [`ParamError::OutOfRange`] naming the first field at fault.
    pub fn check(&self) -> Result<GridValidParams, ParamError> {
        let stride = f64::from(self.stride.unwrap_or(8));
        in_range("stride", stride, 2.0, 64.0, "2 to 64 pixels, or none")?;
        let n = self.n_random_features as f64;
        in_range("n_random_features", n, 16.0, 4096.0, "a number from 16 to 4096")?;
        in_range("lambda", self.lambda, 1e-6, 1e12, "a number from 1e-6 to 1e12")?;
        in_range("heat_sigma", self.heat_sigma, 0.02, 1.0, "a number from 0.02 to 1")?;
        in_range("positive_weight", self.positive_weight, 0.0, 1000.0, "a number from 0 to 1000")?;
        in_range("object_weight", self.object_weight, 0.0, 1e6, "a number from 0 to 1e6")?;
        let n = self.max_background_cells as f64;
        in_range("max_background_cells", n, 1.0, 1e9, "at least 1")?;
        in_range("score_floor", self.score_floor, 0.0, 1.0, "a number from 0 to 1")?;
        in_range("max_detections", self.max_detections as f64, 1.0, 1e6, "a number from 1 to 1e6")?;
        in_range("nms_iou", self.nms_iou, 0.0, 1.0, "a number from 0 to 1")?;
        Ok(GridValidParams(self.clone()))
    }
}

pub(crate) fn in_range(
    name: &'static str,
    found: f64,
    low: f64,
    high: f64,
    expected: &'static str,
) -> Result<(), ParamError> {
    if (low..=high).contains(&found) { Ok(()) } else { Err(ParamError::OutOfRange { name, found, expected }) }
}

/// Parameters that passed [`GridParams::check`].
#[derive(Debug, Clone, PartialEq)]
pub struct GridValidParams(GridParams);

impl GridValidParams {
    /// The checked values.
    pub fn get(&self) -> &GridParams {
        &self.0
    }
}

/// The grid's cell side in pixels that suits objects of these sizes: a power of two from 4 to 16, near an eighth of
/// the square root of a small object's area (the lower quartile), so that such an object covers several cells each way.
///
/// ```
/// use labelloop_core::BBox;
/// use labelloop_train::stride_for;
///
/// let cells = [BBox::new(0.0, 0.0, 100.0, 100.0)?, BBox::new(9.0, 9.0, 90.0, 110.0)?];
/// assert_eq!(stride_for(cells), 8);
/// assert_eq!(stride_for([BBox::new(0.0, 0.0, 30.0, 30.0)?]), 4);
/// assert_eq!(stride_for([]), 8);
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
pub fn stride_for(boxes: impl IntoIterator<Item = BBox>) -> u32 {
    let mut sides: Vec<f64> = boxes.into_iter().map(|b| b.area().sqrt()).filter(|s| 0.0 < *s).collect();
    sides.sort_by(f64::total_cmp);
    match sides.get(sides.len() / 4) {
        None => 8,
        Some(side) if *side < 48.0 => 4,
        Some(side) if *side < 128.0 => 8,
        Some(_) => 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut GridParams)) -> &'static str {
        let mut params = GridParams::default();
        change(&mut params);
        match params.check() {
            Err(ParamError::OutOfRange { name, .. }) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_those_documented() {
        let d = GridParams::default();
        assert_eq!((d.stride, d.n_random_features, d.lambda, d.heat_sigma), (None, 600, 30.0, 0.14));
        assert_eq!((d.positive_weight, d.object_weight, d.max_background_cells), (4.0, 80.0, 2000));
        assert_eq!((d.score_floor, d.max_detections, d.nms_iou, d.seed), (0.02, 100, 0.5, Seed::new(0)));
        assert_eq!(d.check().unwrap().get(), &d);
    }

    #[test]
    fn strides_out_of_range_are_refused() {
        assert_eq!(refused(|p| p.stride = Some(1)), "stride");
        assert_eq!(refused(|p| p.stride = Some(65)), "stride");
    }

    #[test]
    fn feature_counts_out_of_range_are_refused() {
        assert_eq!(refused(|p| p.n_random_features = 15), "n_random_features");
        assert_eq!(refused(|p| p.n_random_features = 4097), "n_random_features");
    }

    #[test]
    fn penalties_out_of_range_are_refused() {
        for lambda in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(refused(|p| p.lambda = lambda), "lambda");
        }
    }

    #[test]
    fn bumps_out_of_range_are_refused() {
        for sigma in [0.0, 1.5, f64::NAN] {
            assert_eq!(refused(|p| p.heat_sigma = sigma), "heat_sigma");
        }
    }

    #[test]
    fn weights_out_of_range_are_refused() {
        assert_eq!(refused(|p| p.positive_weight = -1.0), "positive_weight");
        assert_eq!(refused(|p| p.positive_weight = f64::NAN), "positive_weight");
        assert_eq!(refused(|p| p.object_weight = f64::INFINITY), "object_weight");
    }

    #[test]
    fn no_background_at_all_is_refused() {
        assert_eq!(refused(|p| p.max_background_cells = 0), "max_background_cells");
    }

    #[test]
    fn detection_limits_out_of_range_are_refused() {
        assert_eq!(refused(|p| p.score_floor = f64::NAN), "score_floor");
        assert_eq!(refused(|p| p.max_detections = 0), "max_detections");
        assert_eq!(refused(|p| p.nms_iou = 1.01), "nms_iou");
    }

    #[test]
    fn configuration_files_may_leave_out_but_not_invent_fields() {
        let p: GridParams = serde_json::from_str(r#"{"stride": 4, "seed": 7}"#).unwrap();
        assert_eq!(p, GridParams { stride: Some(4), seed: Seed::new(7), ..GridParams::default() });
        assert!(serde_json::from_str::<GridParams>(r#"{"strides": 4}"#).is_err());
    }

    #[test]
    fn a_few_tiny_or_huge_labels_do_not_decide_the_stride() {
        let b = |side: f64| BBox::new(0.0, 0.0, side, side).unwrap();
        let many = (0..20).map(|_| b(100.0));
        assert_eq!(stride_for(many.clone().chain([b(3.0), b(0.0), b(900.0)])), 8);
        assert_eq!(stride_for([b(300.0)]), 16);
    }
}
