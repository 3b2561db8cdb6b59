#![doc = include_str!("../README.md")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "array views are handed over by value, which is their idiom"
)]

mod checks;
mod closest;
mod coded_scan;
mod codes;
mod columns;
mod draws;
mod duplicates;
mod error;
mod geometry;
mod isolation;
mod k_center;
mod kmeans;
mod kmedoids;
mod knn;
mod mean_shift;
mod outliers;
pub mod partial;
mod rank;
mod representativeness;
mod seeding;
pub mod select;
mod stacked;
mod typiclust;
mod uniqueness;
mod zcore;
mod zcore_kernel;
mod zcore_plan;
mod zcore_rows;
mod zcore_sample;
mod zcore_search;
mod zcore_stability;

pub use draws::DrawPlan;
pub use duplicates::{
    DuplicateGroup, DuplicateGroups, DuplicatePair, DuplicateParams, DuplicateValidParams, Redundant,
    SearchPlan, hash_distance, hash_duplicates, near_duplicates,
};
pub use error::{CoresetError, ParamError, Result};
pub use isolation::isolation;
pub use k_center::k_center;
pub use kmeans::{KMeans, KMeansParams, KMeansValidParams};
pub use kmedoids::{KMedoids, KMedoidsParams, KMedoidsValidParams};
pub use labelloop_index::Metric;
pub use mean_shift::MeanShiftParams;
pub use outliers::{OutlierParams, OutlierScore, OutlierValidParams};
pub use rank::{Selected, rank_by_score};
pub use representativeness::{Closeness, Clusters, RepresentativenessParams};
pub use typiclust::TypiClustParams;
pub use uniqueness::uniqueness;
pub use zcore::{Initial, ZCoreParams, ZCoreScores, ZCoreValidParams};
pub use zcore_rows::ZCoreRows;
pub use zcore_stability::ZCoreStability;
