//! The methods, one file each.

mod clusters;
mod fixed;
mod isolation;
mod k_center;
mod k_means;
mod k_means_pp;
mod k_medoids;
mod random;
mod scores;
mod typiclust;
mod uniqueness;
pub(crate) mod zcore;

pub use fixed::FixedScore;
pub use isolation::IsolationParams;
pub use k_center::KCenterParams;
pub use k_means::KMeansSelectParams;
pub use k_means_pp::KMeansPlusPlusParams;
pub use k_medoids::KMedoidsSelectParams;
pub use random::RandomParams;
pub use uniqueness::UniquenessParams;
