use std::fs;
use std::path::Path;

use labelloop_core::ScoredBox;
use labelloop_media::RgbImage;
use ndarray::{Array2, Axis, concatenate};

use crate::decode::decode;
use crate::features::Projection;
use crate::partial::N_BOX;
use crate::solve::Solution;
use crate::{GridFeatures, GridValidParams, Result, TrainError, store};

/// A fitted detector: finds the objects of `n_classes` classes in pictures of any size. Made by
/// [`crate::GridLearner::fit`].
#[derive(Debug, Clone)]
pub struct GridDetector {
    pub(crate) params: GridValidParams,
    pub(crate) projection: Projection,
    /// Shape: features + 1 x (classes + 4), heat first, then boxes.
    pub(crate) weights: Array2<f32>,
    /// Shape: classes x 4, the mean box of each class.
    pub(crate) class_boxes: Array2<f32>,
}

impl GridDetector {
    pub(crate) fn new(params: &GridValidParams, projection: Projection, solution: Solution) -> Self {
        let Solution { heat, boxes, class_boxes } = solution;
        let weights =
            concatenate(Axis(1), &[heat.view(), boxes.view()]).expect("both have a row per feature");
        Self { params: params.clone(), projection, weights, class_boxes }
    }

    /// Objects of a picture, by falling score, then class and position; boxes lie inside the picture, scores in
    /// `[0, 1]`. A score is the height of the predicted heat map, not a calibrated probability.
    ///
    /// Time: O(cells x inputs x random features).
    ///
    /// # Errors
    /// None for a detector that was fitted; kept for those that were loaded with weights that are not finite.
    pub fn detect(&self, image: &RgbImage) -> Result<Vec<ScoredBox>> {
        let (grid, out) = self.projection.read_out(image, &self.weights);
        decode(grid, &out, &self.class_boxes, self.params.get())
    }

    /// Objects of a picture whose features were kept; the same as [`GridDetector::detect`] but for rounding.
    ///
    /// Time: O(cells x random features x classes).
    ///
    /// # Errors
    /// [`TrainError::Incompatible`] for features of another stride, seed or number.
    pub fn detect_features(&self, features: &GridFeatures) -> Result<Vec<ScoredBox>> {
        if features.tag != self.projection.tag {
            return Err(TrainError::Incompatible { what: "features" });
        }
        decode(features.grid, &features.hidden.dot(&self.weights), &self.class_boxes, self.params.get())
    }

    /// Random features of a picture for [`GridDetector::detect_features`].
    pub fn features(&self, image: &RgbImage) -> GridFeatures {
        self.projection.features(image)
    }

    /// Number of classes that it tells apart.
    pub fn n_classes(&self) -> usize {
        self.weights.ncols() - N_BOX
    }

    /// Side of a grid cell in pixels.
    pub fn stride(&self) -> u32 {
        self.projection.tag.stride
    }

    /// Parameters that it was fitted with.
    pub fn params(&self) -> &GridValidParams {
        &self.params
    }

    /// Writes the detector to a file, in the format of [`GridDetector::to_bytes`].
    ///
    /// The bytes go to a file next to it first, which then takes its name, so that a crash leaves no half of one.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        store::write_whole(path, &self.to_bytes())
    }

    /// Reads a file that [`GridDetector::save`] wrote.
    ///
    /// # Errors
    /// [`TrainError::Io`] or [`TrainError::NotADetector`].
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|source| TrainError::Io { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes)
    }

    /// The detector as bytes: the same for the same detector, so that they can be hashed.
    ///
    /// A line of text that names format and version, the length of a JSON header, the header (parameters, stride,
    /// classes), weights as little-endian 32-bit floats, and a 64-bit FNV-1a sum over all before.
    pub fn to_bytes(&self) -> Vec<u8> {
        store::to_bytes(self)
    }

    /// Reads what [`GridDetector::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`TrainError::NotADetector`] for bytes that are cut, changed, or of another format or version, and
    /// [`TrainError::Param`] for parameters that the check refuses.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        store::from_bytes(bytes)
    }
}
