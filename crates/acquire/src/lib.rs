#![doc = include_str!("../README.md")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "array views are handed over by value, which is their idiom"
)]

mod batch_size;
mod buckets;
mod budget;
mod candidates;
mod coverage;
mod error;
mod failures;
mod informativeness;
mod params;
mod plan;
mod policy;
mod queue;
mod random;
mod shelf;
mod targeted;
mod unit_rows;

pub use batch_size::{BatchSize, BatchSizeParams, batch_size};
pub use budget::Budget;
pub use candidates::Candidates;
pub use coverage::{CoverageScores, coverage_scores};
pub use error::{AcquireError, ParamError, Result};
pub use failures::{FailureKind, FailureQuery, Failures};
pub use informativeness::informativeness;
pub use params::{COVERAGE_FLOOR, CarryOver, PolicyParams, PolicyValidParams};
pub use plan::{BatchPlan, Bucket, BucketFill, FallbackReason, Notice, Pick, UnderfillReason};
pub use policy::{first_batch, first_batch_scored, plan_batch, plan_batch_scored};
pub use random::random_batch;
