use crate::CuboidFrame;

/// What the vocabulary refuses, with the value found and what was expected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// A box whose numbers do not describe a rectangle.
    #[error(
        "box x {x}, y {y}, width {width}, height {height}: expected finite numbers and sizes of at least 0"
    )]
    InvalidBox {
        /// Left edge as given.
        x: f64,
        /// Top edge as given.
        y: f64,
        /// Width as given.
        width: f64,
        /// Height as given.
        height: f64,
    },
    /// A cuboid with a non-finite number or a size that is not positive.
    #[error("cuboid field {field} is {found}: expected {expected}")]
    InvalidCuboid {
        /// The field at fault.
        field: &'static str,
        /// Its value.
        found: f64,
        /// What it should have been.
        expected: &'static str,
    },
    /// A transform or a projection that is none.
    #[error(
        "{field} of the transform is {found}: expected finite numbers, a rotation and positive focal lengths"
    )]
    InvalidTransform {
        /// What is at fault.
        field: &'static str,
        /// Its value.
        found: f64,
    },
    /// A cuboid in a frame that the work at hand cannot take.
    #[error("cuboid is in the {found:?} frame: expected {expected:?}")]
    WrongFrame {
        /// Frame of the cuboid.
        found: CuboidFrame,
        /// Frame that would do.
        expected: CuboidFrame,
    },
    /// A stated area that is none.
    #[error("area {found}: expected a finite number of at least 0")]
    InvalidArea {
        /// The area as given.
        found: f64,
    },
    /// An image side of zero pixels.
    #[error("image size {width} x {height}: expected both sides to be at least 1")]
    InvalidImageSize {
        /// Width as given.
        width: u32,
        /// Height as given.
        height: u32,
    },
    /// An identifier that is empty or holds control characters.
    #[error("{kind} {found:?}: expected a non-empty text without control characters")]
    InvalidId {
        /// Which identifier.
        kind: &'static str,
        /// The text found.
        found: String,
    },
    /// A schema without classes.
    #[error("class schema is empty: expected at least one class")]
    EmptySchema,
    /// Two class names that a person would read as the same.
    #[error(
        "class names {first:?} and {second:?} differ in case or white space only: expected distinct names"
    )]
    NearDuplicateClass {
        /// The name that came first.
        first: String,
        /// The later name.
        second: String,
    },
    /// A class name that the schema does not hold.
    #[error("class {found:?} is not in the schema: expected one of {known:?}{}", nearest.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default())]
    UnknownClass {
        /// The name found.
        found: String,
        /// All names of the schema.
        known: Vec<String>,
        /// The closest name, where one is close.
        nearest: Option<String>,
    },
    /// A score outside its range.
    #[error("score {found}: expected a number from 0 to 1")]
    InvalidScore {
        /// The value found.
        found: f64,
    },
    /// A score that no order has a place for.
    #[error("score {found}: expected a finite number")]
    ScoreNotFinite {
        /// The value found.
        found: f64,
    },
    /// Embeddings whose rows and ids do not match up.
    #[error("embeddings have {n_rows} rows and {n_ids} ids: expected as many ids as rows")]
    RowCount {
        /// Rows of the array.
        n_rows: usize,
        /// Ids given.
        n_ids: usize,
    },
    /// Embeddings without columns.
    #[error("embeddings have 0 columns: expected at least 1")]
    NoColumns,
    /// A number that is not finite.
    #[error("embedding of sample {id}, column {column} is {found}: expected a finite number")]
    NotFinite {
        /// Sample of the row.
        id: String,
        /// Column, from 0.
        column: usize,
        /// The value found.
        found: f32,
    },
    /// The same sample twice.
    #[error("sample {id} occurs more than once: expected distinct samples")]
    DuplicateSample {
        /// The sample.
        id: String,
    },
    /// A sample that is not there.
    #[error("sample {id} has no embedding: expected one row for each sample asked for")]
    MissingSample {
        /// The sample.
        id: String,
    },
    /// A share outside 0 to 1.
    #[error("{name} is {found}: expected a number from 0 to 1")]
    InvalidShare {
        /// The parameter.
        name: &'static str,
        /// The value found.
        found: f64,
    },
    /// Shares that do not add up to one.
    #[error("shares add up to {found}: expected 1")]
    ShareSum {
        /// The sum found.
        found: f64,
    },
    /// Samples of a split other than the one asked for.
    #[error("sample {id} belongs to split {found}: expected {expected}")]
    WrongSplit {
        /// The sample.
        id: String,
        /// Its split.
        found: &'static str,
        /// The split that the caller promised.
        expected: &'static str,
    },
    /// A word that names no split.
    #[error("split {found:?}: expected test, val, golden or pool")]
    UnknownSplit {
        /// The word found.
        found: String,
    },
}

/// Result with [`CoreError`].
pub type Result<T, E = CoreError> = std::result::Result<T, E>;
