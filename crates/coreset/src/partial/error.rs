/// What is wrong with a partial result, or with merging two of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartialError {
    /// Two partials that belong to different runs or rounds.
    #[error("partials differ in {what}: expected parts of one round of one run")]
    Incompatible {
        /// What differs.
        what: &'static str,
    },
    /// Rows were lost, came twice, or changed between two rounds.
    #[error(
        "{found} rows were seen with digest {found_digest:016x}: expected {expected} with digest {expected_digest:016x}"
    )]
    Rows {
        /// Rows seen.
        found: u64,
        /// Rows expected.
        expected: u64,
        /// Digest of the rows seen.
        found_digest: u64,
        /// Digest of the rows expected.
        expected_digest: u64,
    },
    /// A row number that the run does not have, or that the last row of a shard would exceed.
    #[error("row number {found} is too large: expected at most {expected}")]
    RowNumber {
        /// The number found.
        found: u64,
        /// The largest there may be.
        expected: u64,
    },
    /// A part that is dealt whole came in pieces.
    #[error("part {part} came twice: expected all of its rows at once")]
    PartTwice {
        /// The part.
        part: u32,
    },
    /// A part of which rows are missing, or that has too many.
    #[error("part {part} has {found} rows: expected {expected}")]
    PartRows {
        /// The part.
        part: u32,
        /// Rows found.
        found: u32,
        /// Rows expected.
        expected: u32,
    },
    /// A number of parts that rows cannot be dealt to.
    #[error("n_parts is 0: expected at least 1")]
    NoParts,
    /// Bytes that are no partial.
    #[error("a partial of {kind} cannot be read: {reason}")]
    Unreadable {
        /// The kind of partial that was asked for.
        kind: &'static str,
        /// What is wrong, in the words of whoever found it.
        reason: String,
    },
    /// A field that is not what it should be.
    #[error("{field} of a partial of {kind} is damaged at entry {entry}: expected {expected}")]
    Field {
        /// The kind of partial.
        kind: &'static str,
        /// The field.
        field: &'static str,
        /// Entry, from 0.
        entry: usize,
        /// What was expected.
        expected: &'static str,
    },
    /// A partial of a later or earlier version.
    #[error("a partial of {kind} has version {found:?}: expected {expected:?}")]
    Version {
        /// The kind of partial.
        kind: &'static str,
        /// The version found.
        found: String,
        /// The version that can be read.
        expected: &'static str,
    },
}
