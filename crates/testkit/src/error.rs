use std::path::PathBuf;

use labelloop_core::{Cancelled, CoreError};
use labelloop_media::MediaError;

/// What the generator refuses or fails at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestkitError {
    /// A parameter outside its range.
    #[error("{name} is {found}: expected {expected}")]
    InvalidParam {
        /// The parameter.
        name: &'static str,
        /// The value found.
        found: f64,
        /// Its range.
        expected: &'static str,
    },
    /// A file or folder that could not be written.
    #[error("{path}: {source}")]
    Io {
        /// File or folder at fault.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A picture that could not be made or encoded.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// A value that the vocabulary refuses.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// The caller asked for an early end.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Result with [`TestkitError`].
pub type Result<T, E = TestkitError> = std::result::Result<T, E>;
