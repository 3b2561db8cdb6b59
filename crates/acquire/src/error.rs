use labelloop_core::CoreError;
use labelloop_coreset::CoresetError;
use labelloop_index::IndexError;

use crate::{Bucket, UnderfillReason};

/// A parameter that cannot be worked with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamError {
    /// A share outside 0 to 1, or shares that do not add up to 1.
    #[error(transparent)]
    Share(#[from] CoreError),
    /// Less coverage than the floor, without a reason on record.
    #[error(
        "coverage is {found}: expected at least {floor}, or a reason for less in coverage_floor_override"
    )]
    CoverageBelowFloor {
        /// The share found.
        found: f64,
        /// The least that needs no reason.
        floor: f64,
    },
    /// A reason that says nothing.
    #[error("coverage_floor_override is blank: expected a reason")]
    BlankOverride,
    /// A number out of its range.
    #[error("{name} is {found}: expected {expected}")]
    Number {
        /// The parameter.
        name: &'static str,
        /// The value found.
        found: f64,
        /// The range.
        expected: &'static str,
    },
    /// A cap that lets nothing in.
    #[error("max_per_group is 0: expected at least 1, or none for no cap")]
    ZeroCap,
    /// Batch sizes whose least is above their most.
    #[error("min is {min} and max {max}: expected 1 <= min <= max")]
    SizeRange {
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// A parameter of the coverage score.
    #[error(transparent)]
    ZCore(#[from] labelloop_coreset::ParamError),
}

/// What this crate refuses, with the value found, what was expected and where.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// A parameter at fault.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// No sample is left to choose from.
    #[error("the pool is exhausted: expected at least 1 unlabelled sample")]
    Exhausted,
    /// A bucket that could not be filled, where the policy asked for that to be an error.
    #[error("bucket {bucket} lacks {missing} of its budget: {reason}")]
    Underfilled {
        /// The bucket.
        bucket: Bucket,
        /// What it lacks, in the unit of the budget.
        missing: f64,
        /// Why.
        reason: UnderfillReason,
    },
    /// A budget that buys nothing.
    #[error("budget is {found}: expected more than 0, and finite")]
    Budget {
        /// The budget found.
        found: f64,
    },
    /// A budget in cost, and candidates without any.
    #[error("budget is in cost, and the candidates have none: expected one cost for each candidate")]
    NoCosts,
    /// A list that does not fit the candidates.
    #[error("{what} has {found} entries: expected {expected}, one for each candidate")]
    LengthMismatch {
        /// Which list.
        what: &'static str,
        /// Entries found.
        found: usize,
        /// Candidates there are.
        expected: usize,
    },
    /// Vectors of another length than the candidates'.
    #[error("{what} has {found} columns: expected {expected} as the candidates")]
    DimensionMismatch {
        /// Which array.
        what: &'static str,
        /// Columns found.
        found: usize,
        /// Columns of the candidates.
        expected: usize,
    },
    /// A number that is not finite, in the row of a sample or of an array.
    #[error("embedding of {what}, column {column} is {found}: expected a finite number")]
    NotFinite {
        /// Whose embedding.
        what: String,
        /// Column, from 0.
        column: usize,
        /// The value found.
        found: f32,
    },
    /// A cost that is not positive.
    #[error("cost of sample {id} is {found}: expected more than 0, and finite")]
    InvalidCost {
        /// The sample.
        id: String,
        /// The cost found.
        found: f64,
    },
    /// A weight that is not positive.
    #[error("weight of the failure in image {image} is {found}: expected more than 0, and finite")]
    InvalidWeight {
        /// Where the failure was.
        image: String,
        /// The weight found.
        found: f64,
    },
    /// A failure whose embedding is not there.
    #[error("failure in image {image} points to embedding row {found}: expected a row below {expected}")]
    QueryRow {
        /// Where the failure was.
        image: String,
        /// The row it points to.
        found: usize,
        /// Rows there are.
        expected: usize,
    },
    /// A failure in an image that is itself a candidate: failures are found on validation images, and those must not
    /// be selected.
    #[error("image {image} has a failure and is a candidate: expected failures of images outside the pool")]
    QueryInPool {
        /// The image.
        image: String,
    },
    /// A feature of an object that is out of its range.
    #[error("{name} is {found}: expected {expected}")]
    InvalidFeature {
        /// The feature.
        name: &'static str,
        /// The value found.
        found: f64,
        /// The range.
        expected: &'static str,
    },
    /// A coverage score that failed.
    #[error(transparent)]
    Coreset(#[from] CoresetError),
    /// A search that failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Shares that cannot be dealt out.
    #[error(transparent)]
    Core(#[from] CoreError),
}

/// Result with [`AcquireError`].
pub type Result<T, E = AcquireError> = std::result::Result<T, E>;
