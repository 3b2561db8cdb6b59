#![doc = include_str!("../README.md")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "array views are handed over by value, which is their idiom"
)]

mod coded_scan;
mod codes;
mod columns;
mod draws;
mod duplicates;
mod error;
mod geometry;
mod k_center;
pub mod partial;
mod rank;
pub mod select;
mod stacked;
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
    SearchPlan, near_duplicates,
};
pub use error::{CoresetError, ParamError, Result};
pub use k_center::k_center;
pub use labelloop_index::Metric;
pub use rank::{Selected, rank_by_score};
pub use uniqueness::uniqueness;
pub use zcore::{Initial, ZCoreParams, ZCoreScores, ZCoreValidParams};
pub use zcore_rows::ZCoreRows;
pub use zcore_stability::ZCoreStability;
