//! What was learned.

use nalgebra::DMatrix;

use super::CloudDetectorValidParams;
use super::place::N_SECTORS;
use super::read_out::Hidden;

/// Numbers of a class in the file.
pub(crate) const N_CLASS_NUMBERS: usize = 7 + N_SECTORS;
/// A read size is kept within this factor of its class's mean, as a logarithm.
const MOST_LOG_SIZE: f64 = 0.5;

/// Everything that detecting needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    pub(crate) params: CloudDetectorValidParams,
    pub(crate) hidden: Hidden,
    /// Features x classes: whether a cluster is of the class.
    pub(crate) votes: DMatrix<f64>,
    /// Features x 3: logarithm of length, width and height over those of the class.
    pub(crate) sizes: DMatrix<f64>,
    pub(crate) classes: Vec<ClassModel>,
}

/// What is known of one class.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClassModel {
    /// Clusters that it was learned from; a class without any is never found.
    pub(crate) n_examples: f64,
    /// Mean logarithms of length, width and height.
    pub(crate) size: [f64; 3],
    /// Mean height of the bottom above the ground.
    pub(crate) bottom: f64,
    /// Slope and offset of the curve from votes to probabilities.
    pub(crate) curve: [f64; 2],
    /// Labels by sector of their heading.
    pub(crate) sectors: [f64; N_SECTORS],
}

impl ClassModel {
    /// Length, width and height of an object whose features give these logarithms beside the mean.
    pub(crate) fn size_of(&self, differences: &[f64]) -> [f64; 3] {
        std::array::from_fn(|i| (self.size[i] + differences[i].clamp(-MOST_LOG_SIZE, MOST_LOG_SIZE)).exp())
    }

    pub(crate) fn to_numbers(&self) -> impl Iterator<Item = f64> + '_ {
        let head = [self.n_examples, self.bottom].into_iter();
        head.chain(self.size).chain(self.curve).chain(self.sectors)
    }

    pub(crate) fn of_numbers(n: &[f64; N_CLASS_NUMBERS]) -> Self {
        Self {
            n_examples: n[0],
            bottom: n[1],
            size: [n[2], n[3], n[4]],
            curve: [n[5], n[6]],
            sectors: std::array::from_fn(|i| n[7 + i]),
        }
    }
}
