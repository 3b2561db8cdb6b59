use std::fmt;

use crate::MediaError;

/// What kind of thing was wrong, for counting in a summary; the error itself says it in full.
///
/// ```
/// use labelloop_media::{MediaErrorKind, decode};
///
/// let refused = decode(b"hello").unwrap_err();
/// assert_eq!(refused.kind(), MediaErrorKind::OtherFormat);
/// assert_eq!(refused.kind().to_string(), "another format");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MediaErrorKind {
    /// The system did not give the bytes, or did not take them.
    Unreadable,
    /// A folder, a pipe or a device where a file should be.
    NotAFile,
    /// No bytes.
    Empty,
    /// Bytes of another format.
    OtherFormat,
    /// The right format, in a coding that is not read.
    Unsupported,
    /// It ends before it should.
    Truncated,
    /// More pixels, points, bytes or scans than the limit.
    TooLarge,
    /// The right format with something wrong in it.
    Damaged,
    /// Not the file but what was asked for: a size, an extent, a quality.
    Refused,
}

impl MediaErrorKind {
    /// A short word for tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NotAFile => "not a file",
            Self::Empty => "empty",
            Self::OtherFormat => "another format",
            Self::Unsupported => "unsupported",
            Self::Truncated => "cut off",
            Self::TooLarge => "too large",
            Self::Damaged => "damaged",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for MediaErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl MediaError {
    /// What kind of thing was wrong.
    pub fn kind(&self) -> MediaErrorKind {
        match self {
            Self::Io { .. } => MediaErrorKind::Unreadable,
            Self::NotAFile { .. } => MediaErrorKind::NotAFile,
            Self::Empty { .. } => MediaErrorKind::Empty,
            Self::OtherFormat { .. } | Self::UnknownPointFormat { .. } => MediaErrorKind::OtherFormat,
            Self::UnsupportedJpeg { .. } => MediaErrorKind::Unsupported,
            Self::TruncatedJpeg { .. } | Self::TruncatedPicture { .. } | Self::TruncatedPoints { .. } => {
                MediaErrorKind::Truncated
            }
            Self::TooLarge { .. }
            | Self::TooManyBytes { .. }
            | Self::TooManyScans { .. }
            | Self::TooManyPoints { .. } => MediaErrorKind::TooLarge,
            Self::Decode { .. } | Self::Pcd { .. } | Self::Las { .. } => MediaErrorKind::Damaged,
            _ => MediaErrorKind::Refused,
        }
    }
}
