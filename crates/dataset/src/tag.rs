use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{DatasetError, Result};

/// Namespaces that follow from split, status and batch. They can be asked for and never be set.
pub const DERIVED_NAMESPACES: [&str; 4] = ["split", "status", "batch", "annotated"];

/// Namespaces that the loop itself writes; others are legal, and [`crate::Dataset::doctor`] mentions them.
pub const KNOWN_NAMESPACES: [&str; 6] = ["failure", "source", "qa", "scene", "attr", "note"];

/// A mark on a sample: `namespace:value`.
///
/// The namespace is lower-case letters, digits, `_` and `-`, beginning with a letter. The value is any text without
/// control characters that neither begins nor ends with white space; it may hold more colons
/// (`failure:confusion:car>van`).
///
/// ```
/// use labelloop_dataset::Tag;
///
/// let tag = Tag::new("failure:high_fn")?;
/// assert_eq!((tag.namespace(), tag.value()), ("failure", "high_fn"));
/// assert!(Tag::new("to_annotate").is_err());
/// # Ok::<(), labelloop_dataset::DatasetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

impl Tag {
    /// # Errors
    /// [`DatasetError::InvalidTag`] unless the text follows the grammar.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let is_valid = text.split_once(':').is_some_and(|(ns, value)| {
            ns.starts_with(|c: char| c.is_ascii_lowercase())
                && ns.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
                && !value.is_empty()
                && value.trim() == value
                && !value.chars().any(char::is_control)
        });
        if is_valid { Ok(Self(text)) } else { Err(DatasetError::InvalidTag { found: text }) }
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon.
    pub fn namespace(&self) -> &str {
        self.0.split_once(':').map_or("", |(ns, _)| ns)
    }

    /// What stands after the first colon.
    pub fn value(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, value)| value)
    }

    /// Whether the tag follows from split, status or batch.
    pub fn is_derived(&self) -> bool {
        DERIVED_NAMESPACES.contains(&self.namespace())
    }

    /// Whether the namespace is one that the loop knows.
    pub fn is_known(&self) -> bool {
        self.is_derived() || KNOWN_NAMESPACES.contains(&self.namespace())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Tag {
    type Error = DatasetError;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> String {
        tag.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_enforced() {
        for bad in ["", "a", ":a", "a:", "A:b", "1a:b", "a b:c", "a: b", "a:b ", "a:b\nc"] {
            assert!(Tag::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a:b", "failure:confusion:stop sign>car", "source:fn_mining", "x-1:ü"] {
            assert_eq!(Tag::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn derived_and_known_namespaces_are_told_apart() {
        assert!(Tag::new("split:pool").unwrap().is_derived());
        assert!(!Tag::new("failure:high_fp").unwrap().is_derived());
        assert!(Tag::new("failure:high_fp").unwrap().is_known());
        assert!(!Tag::new("mystery:1").unwrap().is_known());
    }

    #[test]
    fn json_cannot_skip_the_check() {
        assert!(serde_json::from_str::<Tag>("\"plain\"").is_err());
    }
}
