//! The methods, one file each.

mod fixed;
mod k_center;
mod random;
mod uniqueness;
pub(crate) mod zcore;

pub use fixed::FixedScore;
pub use k_center::KCenterParams;
pub use random::RandomParams;
pub use uniqueness::UniquenessParams;
