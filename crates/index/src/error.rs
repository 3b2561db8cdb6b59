use std::fmt;

/// Which of the two arrays of a search an error speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The rows that are searched.
    Pool,
    /// The rows that neighbours are asked for.
    Query,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Pool => "pool",
            Role::Query => "query",
        })
    }
}

/// What an index refuses, with the value found, what was expected and where.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// Vectors of length 0.
    #[error("{role} has 0 columns: expected at least 1")]
    NoColumns {
        /// Pool or query.
        role: Role,
    },
    /// A number that is not finite.
    #[error("{role} row {row}, column {column} is {found}: expected a finite number")]
    NotFinite {
        /// Pool or query.
        role: Role,
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value found.
        found: f32,
    },
    /// A vector without direction, which has no cosine to anything.
    #[error("{role} row {row} is a zero vector: expected a direction, as cosine similarity needs one")]
    ZeroVector {
        /// Pool or query.
        role: Role,
        /// Row, from 0.
        row: usize,
    },
    /// Queries of another length than the pool.
    #[error("queries have {found} columns: expected {expected} as in the pool")]
    DimensionMismatch {
        /// Columns of the queries.
        found: usize,
        /// Columns of the pool.
        expected: usize,
    },
    /// A filter that does not fit the pool.
    #[error("filter has {found} entries: expected {expected}, one for each row of the pool")]
    FilterLength {
        /// Entries of the filter.
        found: usize,
        /// Rows of the pool.
        expected: usize,
    },
    /// A row number that no row has.
    #[error("row {found} is out of range: expected less than {n_rows}")]
    RowOutOfRange {
        /// The row named.
        found: usize,
        /// Rows that there are.
        n_rows: usize,
    },
    /// More rows than a row number can name.
    #[error("pool has {found} rows: expected at most {expected}")]
    TooManyRows {
        /// Rows of the pool.
        found: usize,
        /// The limit.
        expected: usize,
    },
    /// More pairs or hits than the caller has room for.
    #[error("more than {expected} rows are that close: expected at most as many, or a smaller radius")]
    TooManyPairs {
        /// The limit.
        expected: usize,
    },
    /// A parameter of an approximate index.
    #[error(transparent)]
    HnswParam(#[from] crate::HnswParamError),
    /// Bytes that are no graph of the pool at hand.
    #[error(transparent)]
    File(#[from] crate::IndexFileError),
    /// The caller ended the work.
    #[error(transparent)]
    Cancelled(#[from] labelloop_core::Cancelled),
}

/// Result with [`IndexError`].
pub type Result<T, E = IndexError> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_place_found_and_expected() {
        let e = IndexError::NotFinite { role: Role::Query, row: 3, column: 1, found: f32::INFINITY };
        assert_eq!(e.to_string(), "query row 3, column 1 is inf: expected a finite number");
        let e = IndexError::DimensionMismatch { found: 3, expected: 2 };
        assert_eq!(e.to_string(), "queries have 3 columns: expected 2 as in the pool");
    }
}
