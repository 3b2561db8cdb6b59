use std::fs;
use std::path::Path;

use labelloop_core::{ClassIdx, ScoredCuboid};
use labelloop_media::PointCloud;
use rayon::prelude::*;

use super::cluster::clusters;
use super::describe::Description;
use super::examples::described;
use super::model::Model;
use super::place::place;
use super::read_out::{probability, read};
use super::scan::Scene;
use super::{CloudDetectorValidParams, store};
use crate::store::write_whole;
use crate::{Result, TrainError};

/// A detector of objects in point clouds. Made by [`CloudDetectorValidParams::train`].
#[derive(Debug, Clone, PartialEq)]
pub struct CloudDetector {
    pub(crate) model: Model,
}

impl CloudDetector {
    /// Objects of a cloud in the lidar's frame, by falling score, then class, then place; the sensor is at the origin.
    ///
    /// A score is the probability that the cluster is an object of the class, as it was on clouds held out in training.
    /// A cluster may be proposed for several classes; of clusters that share points the one with the best proposal stays.
    ///
    /// Time: O(n log n) for n points, and O(clusters x features x classes).
    pub fn detect(&self, cloud: &PointCloud) -> Vec<ScoredCuboid> {
        let params = self.model.params.get();
        let scene = Scene::of(cloud, params);
        let clusters = clusters(&scene.points, params);
        let read: Vec<Reading> = clusters.par_iter().map(|c| self.reading(described(c, &scene))).collect();
        let mut proposals: Vec<(f64, usize, usize)> = read
            .iter()
            .enumerate()
            .flat_map(|(i, r)| r.scores.iter().enumerate().map(move |(class, score)| (*score, class, i)))
            .filter(|(score, class, _)| {
                params.score_floor <= *score && 0.0 < self.model.classes[*class].n_examples
            })
            .collect();
        proposals.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut taken: Vec<usize> = Vec::new();
        let mut found = Vec::new();
        for (score, class, i) in proposals {
            // One cluster may be of several classes; a part of it, or what it is a part of, is another thing altogether.
            let is_beaten = taken.iter().any(|other| *other != i && clusters[*other].meets(&clusters[i]));
            if is_beaten || found.len() == params.max_detections {
                continue;
            }
            taken.push(i);
            found.extend(self.scored(&read[i], class, score));
        }
        found
    }

    /// Number of classes that it tells apart.
    pub fn n_classes(&self) -> usize {
        self.model.classes.len()
    }

    /// Parameters that it was trained with.
    pub fn params(&self) -> &CloudDetectorValidParams {
        &self.model.params
    }

    /// Writes the detector to a file, in the format of [`CloudDetector::to_bytes`], whole or not at all.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        write_whole(path, &self.to_bytes())
    }

    /// Reads a file that [`CloudDetector::save`] wrote.
    ///
    /// # Errors
    /// [`TrainError::Io`] or [`TrainError::NotADetector`].
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|source| TrainError::Io { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes)
    }

    /// The detector as bytes: the same for the same detector, so that they can be hashed.
    ///
    /// A line of text that names format and version, the length of a JSON header, the header (parameters, classes),
    /// numbers as little-endian 64-bit floats, and a 64-bit FNV-1a sum over all before.
    pub fn to_bytes(&self) -> Vec<u8> {
        store::to_bytes(self)
    }

    /// Reads what [`CloudDetector::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`TrainError::NotADetector`] for bytes that are cut, changed, or of another format or version, and
    /// [`TrainError::Param`] for parameters that the check refuses.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        store::from_bytes(bytes)
    }

    fn reading(&self, description: Description) -> Reading {
        let row = self.model.hidden.of(&description.inputs);
        let votes = read(&row, &self.model.votes);
        let scores = votes.iter().zip(&self.model.classes).map(|(v, c)| probability(*v, c.curve)).collect();
        Reading { scores, sizes: read(&row, &self.model.sizes), description }
    }

    fn scored(&self, reading: &Reading, class: usize, score: f64) -> Option<ScoredCuboid> {
        let known = &self.model.classes[class];
        let size = known.size_of(&reading.sizes);
        let cuboid = place(&reading.description, size, known.bottom, &known.sectors)?;
        ScoredCuboid::new(ClassIdx(class as u32), cuboid, score).ok()
    }
}

/// What is read from one cluster.
struct Reading {
    description: Description,
    /// Probability of each class.
    scores: Vec<f64>,
    sizes: Vec<f64>,
}
