use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CoreError, Result};

/// Position of a class in its [`ClassSchema`], from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassIdx(pub u32);

impl ClassIdx {
    /// As an index into arrays.
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// The ordered list of classes that a project labels. Class numbers in every export come from this order and never
/// from the labels at hand, so they stay the same from one iteration to the next.
///
/// ```
/// use labelloop_core::{ClassIdx, ClassSchema};
///
/// let schema = ClassSchema::new(["car", "van"])?;
/// assert_eq!(schema.index("van")?, ClassIdx(1));
/// let slip = schema.index("Car ").unwrap_err();
/// assert!(slip.to_string().contains("did you mean \"car\"?"));
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct ClassSchema {
    names: Vec<String>,
}

impl TryFrom<Vec<String>> for ClassSchema {
    type Error = CoreError;

    fn try_from(names: Vec<String>) -> Result<Self> {
        Self::new(names)
    }
}

impl From<ClassSchema> for Vec<String> {
    fn from(schema: ClassSchema) -> Self {
        schema.names
    }
}

impl ClassSchema {
    /// Classes in their order.
    ///
    /// # Errors
    /// [`CoreError::EmptySchema`] without names, [`CoreError::InvalidId`] for an empty name,
    /// [`CoreError::NearDuplicateClass`] for names that differ in case or white space only.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.is_empty() {
            return Err(CoreError::EmptySchema);
        }
        let mut seen: BTreeMap<String, &String> = BTreeMap::new();
        for name in &names {
            let folded = folded(name);
            if folded.is_empty() || name.chars().any(char::is_control) {
                return Err(CoreError::InvalidId { kind: "class name", found: name.clone() });
            }
            if let Some(first) = seen.insert(folded, name) {
                return Err(CoreError::NearDuplicateClass { first: first.clone(), second: name.clone() });
            }
        }
        Ok(Self { names })
    }

    /// Number of classes, at least 1.
    pub fn n_classes(&self) -> usize {
        self.names.len()
    }

    /// Names in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Name of a class, or nothing where the schema is shorter.
    pub fn name(&self, class: ClassIdx) -> Option<&str> {
        self.names.get(class.as_usize()).map(String::as_str)
    }

    /// All classes in order.
    pub fn iter(&self) -> impl Iterator<Item = (ClassIdx, &str)> {
        (0u32..).map(ClassIdx).zip(self.names.iter().map(String::as_str))
    }

    /// Position of a class by its exact name.
    ///
    /// # Errors
    /// [`CoreError::UnknownClass`] with the nearest name.
    pub fn index(&self, name: &str) -> Result<ClassIdx> {
        self.iter().find(|(_, n)| *n == name).map(|(i, _)| i).ok_or_else(|| CoreError::UnknownClass {
            found: name.to_owned(),
            known: self.names.clone(),
            nearest: self.nearest(name).map(str::to_owned),
        })
    }

    /// The name closest to a misspelt one: equal but for case and space, or at most a third of its letters apart.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let wanted = folded(name);
        self.names
            .iter()
            .map(|n| (edit_distance(&folded(n), &wanted), n))
            .filter(|(d, n)| *d * 3 <= n.chars().count().max(wanted.chars().count()))
            .min_by_key(|(d, _)| *d)
            .map(|(_, n)| n.as_str())
    }
}

fn folded(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Levenshtein distance with one row of memory.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_duplicates_and_empty_names_are_refused() {
        assert!(matches!(ClassSchema::new(["Car", "car "]), Err(CoreError::NearDuplicateClass { .. })));
        assert!(matches!(ClassSchema::new(["Car", " "]), Err(CoreError::InvalidId { .. })));
        assert!(matches!(ClassSchema::new(Vec::<String>::new()), Err(CoreError::EmptySchema)));
    }

    #[test]
    fn a_far_name_gets_no_suggestion() {
        let schema = ClassSchema::new(["car", "pedestrian"]).unwrap();
        assert_eq!(schema.nearest("pedestrain"), Some("pedestrian"));
        assert_eq!(schema.nearest("tree"), None);
    }

    #[test]
    fn json_is_a_list_and_checked() {
        assert!(serde_json::from_str::<ClassSchema>(r#"["a","A"]"#).is_err());
        let schema: ClassSchema = serde_json::from_str(r#"["b","a"]"#).unwrap();
        assert_eq!(serde_json::to_string(&schema).unwrap(), r#"["b","a"]"#);
    }
}
