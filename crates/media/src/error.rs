use std::path::PathBuf;

/// What went wrong with a picture or a point cloud, with the file where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// File at fault.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not a picture that we can decode.
    #[error("{place}: not a readable picture: {reason}")]
    Decode {
        /// File, or `bytes in memory`.
        place: String,
        /// What the decoder said.
        reason: String,
    },
    /// Pixel data that does not fill the picture.
    #[error("{found} bytes of pixels for {width} x {height}: expected {expected}")]
    PixelCount {
        /// Bytes given.
        found: usize,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes needed.
        expected: usize,
    },
    /// A value that the vocabulary refuses.
    #[error(transparent)]
    Core(#[from] labelloop_core::CoreError),
}

/// Result with [`MediaError`].
pub type Result<T, E = MediaError> = std::result::Result<T, E>;
