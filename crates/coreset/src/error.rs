use labelloop_core::Cancelled;
use labelloop_index::IndexError;

use crate::partial::PartialError;

/// A parameter that cannot be worked with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamError {
    /// No draws.
    #[error("n_draws is 0: expected at least 1")]
    NoDraws,
    /// Draws without columns.
    #[error("n_dims is 0: expected at least 1")]
    NoDims,
    /// No neighbours to share the penalty.
    #[error("n_neighbours is 0: expected at least 1")]
    NoNeighbours,
    /// Too few seeds to compare.
    #[error("{found} seeds: expected at least {expected}, as scores of different seeds are compared")]
    Seeds {
        /// Seeds found.
        found: usize,
        /// Seeds needed.
        expected: usize,
    },
    /// An exponent of the distance that is not a number from 0 to 64.
    #[error("exponent is {found}: expected a number from 0 to 64")]
    Exponent {
        /// The value found.
        found: f64,
    },
    /// A negative or non-finite guard against division by zero.
    #[error("eps is {found}: expected a finite number of at least 0")]
    Eps {
        /// The value found.
        found: f64,
    },
    /// A radius that no distance can be compared with.
    #[error("radius is {found}: expected a finite number of at least 0")]
    Radius {
        /// The value found.
        found: f64,
    },
    /// An inner product, which is no distance.
    #[error("metric is dot: expected cosine or l2, as a radius needs a distance")]
    NotADistance,
    /// A number that leaves nothing to do.
    #[error("{what} is 0: expected at least 1")]
    AtLeastOne {
        /// The parameter.
        what: &'static str,
    },
    /// A tolerance that no shift can be compared with.
    #[error("tolerance is {found}: expected a finite number of at least 0")]
    Tolerance {
        /// The value found.
        found: f64,
    },
    /// A selection by nothing.
    #[error("there are 0 objectives: expected at least 1")]
    NoObjectives,
    /// A method that there is not.
    #[error("method is {found:?}: expected one of {expected}")]
    UnknownMethod {
        /// The name found.
        found: String,
        /// The names there are.
        expected: String,
    },
    /// An objective that counts nothing, or nobody knows how much.
    #[error("strength is {found}: expected a finite number other than 0")]
    Strength {
        /// The value found.
        found: f64,
    },
    /// A quota that leaves nothing to pick.
    #[error("per_group is 0: expected at least 1")]
    NoQuota,
    /// A distance to keep that cannot be compared with.
    #[error("min_distance is {found}: expected a finite number of at least 0")]
    MinDistance {
        /// The value found.
        found: f64,
    },
    /// A width of a kernel that is none.
    #[error("bandwidth is {found}: expected a finite number above 0")]
    Bandwidth {
        /// The value found.
        found: f64,
    },
    /// A share of the best that stochastic search may miss.
    #[error("epsilon is {found}: expected a number between 0 and 1, both left out")]
    Epsilon {
        /// The value found.
        found: f64,
    },
}

/// What this crate refuses, with the value found, what was expected and where.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CoresetError {
    /// A parameter at fault.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// Rows of length 0.
    #[error("embeddings have 0 columns: expected at least 1")]
    NoColumns,
    /// A number that is not finite.
    #[error("{what} row {row}, column {column} is {found}: expected a finite number")]
    NotFinite {
        /// Which array.
        what: &'static str,
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value found.
        found: f64,
    },
    /// Two arrays whose rows differ in length.
    #[error("{what} has {found} columns: expected {expected}")]
    DimensionMismatch {
        /// Which array.
        what: &'static str,
        /// Columns found.
        found: usize,
        /// Columns expected.
        expected: usize,
    },
    /// Two lists that should be as long as each other.
    #[error("{what} has {found} entries: expected {expected}")]
    LengthMismatch {
        /// Which list.
        what: &'static str,
        /// Entries found.
        found: usize,
        /// Entries expected.
        expected: usize,
    },
    /// A draw that names a column which there is not.
    #[error("draw {draw} uses column {found}: expected a column below {expected}")]
    DrawColumn {
        /// The draw, from 0.
        draw: usize,
        /// The column it names.
        found: usize,
        /// Columns there are.
        expected: usize,
    },
    /// A score that cannot be ranked.
    #[error("score {position} is not a number: expected one for each id")]
    ScoreNotANumber {
        /// Its position, from 0.
        position: usize,
    },
    /// More rows than a row number can name.
    #[error("embeddings have {found} rows: expected at most {expected}")]
    TooManyRows {
        /// Rows found.
        found: usize,
        /// The limit.
        expected: usize,
    },
    /// A weight that is none.
    #[error("weight of row {row} is {found}: expected a finite number of at least 0")]
    Weight {
        /// Row, from 0.
        row: usize,
        /// The value found.
        found: f64,
    },
    /// A quota without groups to count by.
    #[error("per_group asks for groups of rows: none are given")]
    NoGroups,
    /// A vector without direction under cosine.
    #[error("{what} row {row} is a zero vector: expected a direction, as cosine needs one")]
    ZeroVector {
        /// Which array.
        what: &'static str,
        /// Row, from 0.
        row: usize,
    },
    /// A partial result at fault.
    #[error(transparent)]
    Partial(#[from] PartialError),
    /// A row number beyond the rows.
    #[error("{what} names row {found}: expected a row below {expected}")]
    RowOutOfRange {
        /// Who names it.
        what: &'static str,
        /// The number found.
        found: usize,
        /// Rows there are.
        expected: usize,
    },
    /// More pairs than the caller has room for.
    #[error("more than {expected} pairs are near-duplicates: expected at most as many, or ask for groups")]
    TooManyPairs {
        /// The limit.
        expected: usize,
    },
    /// A search that failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The caller ended the work.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Result with [`CoresetError`].
pub type Result<T, E = CoresetError> = std::result::Result<T, E>;
