use std::fmt;
use std::path::PathBuf;

use labelloop_core::SampleId;
use labelloop_media::MediaErrorKind;
use serde::{Deserialize, Serialize};

use crate::EmbedError;

/// A file that has no vector, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedFailure {
    /// Its sample.
    pub id: SampleId,
    /// Its file.
    pub path: PathBuf,
    /// What kind of thing was wrong, for counting.
    pub kind: FailureKind,
    /// What was wrong, with the file's name.
    pub reason: String,
}

/// What kind of thing was wrong with a file.
///
/// ```
/// use labelloop_embed::FailureKind;
///
/// assert_eq!(FailureKind::Truncated.to_string(), "cut off");
/// assert_eq!(serde_json::to_string(&FailureKind::OtherFormat)?, "\"other_format\"");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The system did not give its bytes.
    Unreadable,
    /// It is a folder, a pipe or a device.
    NotAFile,
    /// It has no bytes.
    Empty,
    /// Its bytes are of another format.
    OtherFormat,
    /// The right format, in a coding that is not read.
    Unsupported,
    /// It ends before it should.
    Truncated,
    /// It is larger than the limit.
    TooLarge,
    /// Its bytes cannot be decoded: the right format with something wrong in it.
    NotDecoded,
    /// It was decoded, and the embedder has no vector for it.
    Refused,
    /// The embedder gave a vector of another length, or with a number that is not finite.
    BadVector,
    /// The embedder panicked.
    Panicked,
}

impl FailureKind {
    /// The kind of an embedder's error.
    pub(crate) fn of(error: &EmbedError) -> Self {
        match error {
            EmbedError::Media(media) => Self::of_media(media.kind()),
            EmbedError::Io { .. } => Self::Unreadable,
            _ => Self::Refused,
        }
    }

    fn of_media(kind: MediaErrorKind) -> Self {
        match kind {
            MediaErrorKind::Unreadable => Self::Unreadable,
            MediaErrorKind::NotAFile => Self::NotAFile,
            MediaErrorKind::Empty => Self::Empty,
            MediaErrorKind::OtherFormat => Self::OtherFormat,
            MediaErrorKind::Unsupported => Self::Unsupported,
            MediaErrorKind::Truncated => Self::Truncated,
            MediaErrorKind::TooLarge => Self::TooLarge,
            MediaErrorKind::Damaged => Self::NotDecoded,
            _ => Self::Refused,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "cannot be read",
            Self::NotAFile => "not a file",
            Self::Empty => "empty",
            Self::OtherFormat => "another format",
            Self::Unsupported => "unsupported",
            Self::NotDecoded => "damaged",
            Self::Truncated => "cut off",
            Self::TooLarge => "too large",
            Self::Refused => "refused by the embedder",
            Self::BadVector => "no usable vector",
            Self::Panicked => "the embedder panicked",
        })
    }
}
