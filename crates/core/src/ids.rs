use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{CoreError, Result};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes any non-empty text without control characters.
            ///
            /// # Errors
            /// [`CoreError::InvalidId`] otherwise.
            pub fn new(text: impl Into<String>) -> Result<Self> {
                let text = text.into();
                if text.is_empty() || text.chars().any(char::is_control) {
                    return Err(CoreError::InvalidId { kind: $kind, found: text });
                }
                Ok(Self(text.into()))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = CoreError;

            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }
    };
}

text_id!(
    /// One picture or one point cloud: a row of a dataset. Stable across runs and machines; ordering is by text. Cloning
    /// shares the text.
    SampleId,
    "sample id"
);

/// A lone picture is its own capture; the two share their text.
impl From<&SampleId> for CaptureId {
    fn from(id: &SampleId) -> Self {
        Self(Arc::clone(&id.0))
    }
}

/// A capture that belongs to nothing larger is its own group; the two share their text.
impl From<&CaptureId> for GroupKey {
    fn from(id: &CaptureId) -> Self {
        Self(Arc::clone(&id.0))
    }
}
text_id!(
    /// The unit that must not be torn apart by a split: a drive, a recording, a board, a patient.
    ///
    /// Everything that shares a group key lands on one side of every split.
    GroupKey,
    "group key"
);
text_id!(
    /// What the sensors of one rig saw at one instant: left picture, right picture and point cloud share it.
    ///
    /// Selection is atomic by capture: people label all of it or nothing. A group holds one or more captures.
    CaptureId,
    "capture id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_and_control_characters_are_refused() {
        assert!(SampleId::new("").is_err());
        assert!(GroupKey::new("a\nb").is_err());
        assert_eq!(CaptureId::new("ü 1").unwrap().as_str(), "ü 1");
    }

    #[test]
    fn a_lone_picture_is_its_own_capture_and_group() {
        let id = SampleId::new("a").unwrap();
        let capture = CaptureId::from(&id);
        assert_eq!((capture.as_str(), GroupKey::from(&capture).as_str()), ("a", "a"));
        assert_eq!(String::from(id), "a");
    }

    #[test]
    fn json_cannot_skip_the_check() {
        assert!(serde_json::from_str::<SampleId>("\"\"").is_err());
        assert_eq!(serde_json::to_string(&SampleId::new("a").unwrap()).unwrap(), "\"a\"");
    }
}
