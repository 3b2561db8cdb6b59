//! The methods, one file each.

mod clusters;
mod facility_location;
mod fixed;
mod isolation;
mod k_center;
mod k_means;
mod k_means_pp;
mod k_medoids;
mod kernel_herding;
mod max_herding;
mod prob_cover;
mod random;
mod scores;
mod typiclust;
mod uniqueness;
pub(crate) mod zcore;

pub use facility_location::FacilityLocationParams;
pub use fixed::FixedScore;
pub use isolation::IsolationParams;
pub use k_center::KCenterParams;
pub use k_means::KMeansSelectParams;
pub use k_means_pp::KMeansPlusPlusParams;
pub use k_medoids::KMedoidsSelectParams;
pub use kernel_herding::KernelHerdingParams;
pub use max_herding::MaxHerdingParams;
pub(crate) use prob_cover::squared_of;
pub use prob_cover::{ProbCoverParams, Radius};
pub use random::RandomParams;
pub use uniqueness::UniquenessParams;
