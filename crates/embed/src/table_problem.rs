/// What is wrong with a table of vectors. Rows are numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableProblem {
    /// Not a file that can be read at all.
    #[error("{reason}")]
    Format {
        /// What the reader said.
        reason: String,
    },
    /// A column that is not there.
    #[error("no column {column:?}: found {}", found.join(", "))]
    NoColumn {
        /// The column wanted.
        column: String,
        /// Those there are.
        found: Vec<String>,
    },
    /// A column of another type.
    #[error("column {column:?} is {found}: expected {expected}")]
    ColumnType {
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A value that is missing.
    #[error("column {column:?}, row {row} is null")]
    Null {
        /// The column.
        column: String,
        /// Row.
        row: usize,
    },
    /// A vector that is longer or shorter than the first.
    #[error("row {row} has {found} numbers: expected {expected} as in row 0")]
    Length {
        /// Row.
        row: usize,
        /// Its numbers.
        found: usize,
        /// Numbers of the first row.
        expected: usize,
    },
    /// A number that is not finite, or too large for `f32`.
    #[error("row {row}, number {number} is {found}: expected a finite f32")]
    NotFinite {
        /// Row.
        row: usize,
        /// Place in the vector, from 0.
        number: usize,
        /// The value, as text.
        found: String,
    },
    /// An id that cannot be one.
    #[error("row {row}: id {found:?}: {reason}")]
    Id {
        /// Row.
        row: usize,
        /// The text.
        found: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An id that was there already.
    #[error("row {row}: id {id:?} is that of row {first} already")]
    DuplicateId {
        /// Row.
        row: usize,
        /// Row that has it already.
        first: usize,
        /// The id.
        id: String,
    },
    /// A content that is not 64 hexadecimal digits.
    #[error("row {row}: content {found:?}: expected 64 hexadecimal digits")]
    Content {
        /// Row.
        row: usize,
        /// The text.
        found: String,
    },
    /// Other numbers of ids or contents than of vectors.
    #[error("{found} {what} for {expected} rows")]
    Count {
        /// `ids` or `contents`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// Rows.
        expected: usize,
    },
    /// No row that would say how long vectors are.
    #[error("no rows, and so no length of vectors")]
    NoRows,
}
