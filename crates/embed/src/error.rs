use std::path::{Path, PathBuf};

use crate::TableProblem;

/// A descriptor parameter that makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamError {
    /// A side too small to describe or too large to be quick.
    #[error("side {found}: expected 16 to 1024 pixels")]
    Side {
        /// The value found.
        found: u32,
    },
    /// No pyramid level, or cells too small to hold statistics.
    #[error("{found} pyramid levels: expected 1 to 4")]
    Levels {
        /// The value found.
        found: u32,
    },
    /// A side that the finest level's cells do not fill evenly.
    #[error("side {side} for {levels} pyramid levels: expected a multiple of {multiple}")]
    UnevenCells {
        /// Side of the picture described.
        side: u32,
        /// Pyramid levels.
        levels: u32,
        /// What the side should be a multiple of.
        multiple: u32,
    },
    /// A weight that is negative or not finite.
    #[error("{name} weight {found}: expected a finite number of at least 0")]
    Weight {
        /// Which weight.
        name: &'static str,
        /// The value found.
        found: f64,
    },
    /// No bins, or more than a cloud has points for.
    #[error("{found} {name}: expected 1 to 256")]
    Bins {
        /// `rings` or `heights`.
        name: &'static str,
        /// The value found.
        found: u32,
    },
    /// A range that is no length.
    #[error("range {found} m: expected a finite number above 0")]
    Range {
        /// The value found.
        found: f64,
    },
    /// Heights that leave nothing between them.
    #[error("heights from {lowest} to {highest} m: expected finite ones, the second higher")]
    Heights {
        /// The lowest.
        lowest: f64,
        /// The highest.
        highest: f64,
    },
    /// A picture from above that cannot be made.
    #[error("picture from above: {reason}")]
    Bev {
        /// Which parameter it is, and what was expected.
        reason: String,
    },
    /// No model's file.
    #[error("no model: expected the path of a file")]
    NoModel,
    /// A number of sessions or threads that is no number to work with.
    #[error("{found} {name}: expected 1 to {max}")]
    Count {
        /// `sessions` or `threads`.
        name: &'static str,
        /// The value found.
        found: usize,
        /// The largest.
        max: usize,
    },
    /// A crop parameter out of range.
    #[error("{name} {found}: expected {least} to {most}")]
    Crop {
        /// Which parameter.
        name: &'static str,
        /// The value found.
        found: f64,
        /// The least that makes sense.
        least: f64,
        /// The most that makes sense.
        most: f64,
    },
    /// A parameter of a projection out of range.
    #[error("{name} {found}: expected {least} to {most}")]
    Projection {
        /// Which parameter.
        name: &'static str,
        /// The value found.
        found: f64,
        /// The least that makes sense.
        least: f64,
        /// The most that makes sense.
        most: f64,
    },
    /// Weights that leave nothing.
    #[error("weights add up to {found}: expected a finite sum above 0")]
    WeightSum {
        /// The sum found.
        found: f64,
    },
}

/// What went wrong while making, keeping or projecting vectors.
///
/// A picture that cannot be read is not among these: it is recorded in [`EmbedRun`](crate::EmbedRun) and the run goes
/// on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// A parameter out of range.
    #[error(transparent)]
    Params(#[from] ParamError),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// File at fault.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another run writes to the same store, or has its rows mapped.
    #[error("{path}: another run is writing or has it mapped: expected one at a time")]
    Conflict {
        /// File that is locked.
        path: PathBuf,
    },
    /// Something else is where a store was asked for.
    #[error("{path}: {reason}")]
    NotAStore {
        /// What is there.
        path: PathBuf,
        /// What it is, and what was expected.
        reason: String,
    },
    /// A store that a later version wrote.
    #[error("{path}: version {found}: expected {expected}")]
    StoreVersion {
        /// File at fault.
        path: PathBuf,
        /// Version found.
        found: u32,
        /// Version that this program knows.
        expected: u32,
    },
    /// A row of a store that is not what was written there.
    #[error("{path}: row {record} does not match its checksum")]
    Damaged {
        /// The file of rows.
        path: PathBuf,
        /// Row, from 0.
        record: u64,
    },
    /// A vector that does not fit a store.
    #[error("a vector of {found} numbers: expected {expected}")]
    VectorLength {
        /// Numbers given.
        found: usize,
        /// Numbers in each row.
        expected: usize,
    },
    /// The system gave no thread to work with.
    #[error("no thread could be started: {source}")]
    Workers {
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a matrix of `f32` or `f64` in NumPy's format.
    #[error("{path}: not a readable matrix: {reason}")]
    Npy {
        /// File at fault.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// A table that cannot be read.
    #[error("{path}: {problem}")]
    Table {
        /// File at fault.
        path: PathBuf,
        /// What is wrong with it.
        problem: TableProblem,
    },
    /// Tables whose vectors come from different models, which must not be compared.
    #[error("vectors of model {left} and of model {right}: expected the same model")]
    DifferentModels {
        /// Digest of the first table's model, or `unknown`.
        left: String,
        /// Digest of the second's.
        right: String,
    },
    /// A picture could not be brought to the size that the descriptor works on.
    #[error(transparent)]
    Media(#[from] labelloop_media::MediaError),
    /// An image model could not be loaded, or made no vector of a picture.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Onnx(Box<crate::OnnxError>),
    /// A cloud without a point that could be counted.
    #[error("none of {n_points} points is within {max_range_m} m: expected at least 1")]
    NoPoints {
        /// Points there are.
        n_points: usize,
        /// How far away they may be.
        max_range_m: f64,
    },
    /// Too few rows to find two directions in.
    #[error("{found} rows to fit a projection on: expected at least {expected}")]
    TooFewRows {
        /// Rows given.
        found: usize,
        /// Rows needed.
        expected: usize,
    },
    /// A row to fit a projection on that there is not, or that was given before.
    #[error("row {row} to fit on: expected each of the {n_rows} rows at most once")]
    RowOutOfRange {
        /// The row.
        row: usize,
        /// Rows there are.
        n_rows: usize,
    },
    /// Too few columns to project.
    #[error("{found} columns to project: expected at least {expected}")]
    TooFewColumns {
        /// Columns given.
        found: usize,
        /// Columns needed.
        expected: usize,
    },
    /// Rows to fit on and rows to project of different length.
    #[error("{found} columns to project: expected {expected} as in the rows fitted on")]
    ColumnMismatch {
        /// Columns of the rows to project.
        found: usize,
        /// Columns of the rows fitted on.
        expected: usize,
    },
    /// A number that is not finite.
    #[error("row {row}, column {column} is {found}: expected a finite number")]
    NotFinite {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value found.
        found: f32,
    },
    /// The decomposition did not come to an end.
    #[error("principal components of {n_rows} x {n_columns} numbers: {reason}")]
    Decomposition {
        /// Rows fitted on.
        n_rows: usize,
        /// Columns.
        n_columns: usize,
        /// What the solver said.
        reason: String,
    },
    /// The caller asked for the run to end; what was done until then is in the store.
    #[error(transparent)]
    Cancelled(#[from] labelloop_core::Cancelled),
    /// A value that the vocabulary refuses.
    #[error(transparent)]
    Core(#[from] labelloop_core::CoreError),
}

/// Result with [`EmbedError`].
pub type Result<T, E = EmbedError> = std::result::Result<T, E>;

#[cfg(feature = "onnx")]
impl From<crate::OnnxError> for EmbedError {
    fn from(error: crate::OnnxError) -> Self {
        Self::Onnx(Box::new(error))
    }
}

impl EmbedError {
    /// The file at fault, where there is one.
    ///
    /// ```
    /// use std::path::Path;
    /// use labelloop_embed::read_npy;
    ///
    /// let missing = Path::new("no such file.npy");
    /// assert_eq!(read_npy(missing).unwrap_err().path(), Some(missing));
    /// ```
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. }
            | Self::Conflict { path }
            | Self::NotAStore { path, .. }
            | Self::StoreVersion { path, .. }
            | Self::Damaged { path, .. }
            | Self::Npy { path, .. }
            | Self::Table { path, .. } => Some(path),
            _ => None,
        }
    }

    /// An I/O error of this file.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
