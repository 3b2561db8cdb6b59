use std::path::PathBuf;

/// What kept a report from being written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A chart could not be drawn.
    #[error("chart could not be drawn: {reason}")]
    Chart {
        /// What the drawing library said.
        reason: String,
    },
    /// A list about the points of a plot that does not fit them.
    #[error("{found} {what} of {expected} points: expected one for each point")]
    Points {
        /// Which list.
        what: &'static str,
        /// Its length.
        found: usize,
        /// Points there are.
        expected: usize,
    },
    /// A point of a plot that is nowhere.
    #[error("point {point} is not finite: expected two numbers")]
    NotFinite {
        /// Which point, from 0.
        point: usize,
    },
    /// The page could not be filled in.
    #[error("report page could not be filled in: {reason}")]
    Page {
        /// What the template engine said.
        reason: String,
    },
    /// A file of the project could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// File at fault.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A record of the project is damaged.
    #[error("{path}: {reason}")]
    Record {
        /// File at fault.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The loop's own records could not be read.
    #[error(transparent)]
    Loop(Box<labelloop_loop::LoopError>),
}

impl From<labelloop_loop::LoopError> for ReportError {
    fn from(error: labelloop_loop::LoopError) -> Self {
        Self::Loop(Box::new(error))
    }
}

/// Result with [`ReportError`].
pub type Result<T, E = ReportError> = std::result::Result<T, E>;
