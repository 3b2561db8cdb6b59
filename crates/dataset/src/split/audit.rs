use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use labelloop_core::{GroupKey, SampleId};
use serde::{Deserialize, Serialize};

use super::near::{NearDuplicate, NearDuplicates};

/// What an audit needs to know about a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditItem {
    /// Name of the sample.
    pub id: SampleId,
    /// What should not be on two sides.
    pub group: GroupKey,
    /// The split it is in, under whatever name: `train`, `val`, `test`, `fold-3`. `None` where it is in none.
    pub split: Option<String>,
    /// Its media file.
    pub file_name: String,
    /// Digest of its media file, where somebody read it.
    pub content: Option<String>,
}

/// Samples and groups of one split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitCounts {
    /// Samples in the split.
    pub n_samples: usize,
    /// Groups with a sample in it.
    pub n_groups: usize,
}

/// Something that is in more than one split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SplitLeak {
    /// A group.
    Group {
        /// The group.
        group: GroupKey,
        /// Its samples by split.
        splits: BTreeMap<String, Vec<SampleId>>,
    },
    /// A media file that several samples name.
    FileName {
        /// The file.
        file_name: String,
        /// Its samples by split.
        splits: BTreeMap<String, Vec<SampleId>>,
    },
    /// Media files of the same bytes.
    Content {
        /// Digest of the bytes.
        digest: String,
        /// Its samples by split.
        splits: BTreeMap<String, Vec<SampleId>>,
    },
    /// Two samples that show the same.
    NearDuplicate {
        /// The pair.
        #[serde(flatten)]
        pair: NearDuplicate,
        /// Split of the first sample.
        first_split: String,
        /// Split of the second sample.
        second_split: String,
    },
}

impl fmt::Display for SplitLeak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, splits) = match self {
            Self::Group { group, splits } => (format!("group {group}"), splits),
            Self::FileName { file_name, splits } => (format!("file {file_name}"), splits),
            Self::Content { digest, splits } => {
                (format!("the same bytes ({}...)", digest.get(..12).unwrap_or(digest)), splits)
            }
            Self::NearDuplicate { pair: NearDuplicate { first, second, by }, first_split, second_split } => {
                return write!(f, "{first} ({first_split}) and {second} ({second_split}) look alike: {by}");
            }
        };
        let side = |(split, ids): (&String, &Vec<SampleId>)| {
            let first = ids.first().map(SampleId::as_str).unwrap_or_default();
            match ids.len() {
                0 | 1 => format!("{first} ({split})"),
                n => format!("{first} and {} more ({split})", n - 1),
            }
        };
        let sides: Vec<String> = splits.iter().map(side).collect();
        write!(f, "{what} is in {} splits: {}", splits.len(), sides.join(", "))
    }
}

/// What an audit of a split found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitAudit {
    /// Size of each split, in the order of names.
    pub splits: BTreeMap<String, SplitCounts>,
    /// Samples in no split.
    pub unsplit: Vec<SampleId>,
    /// Groups that are in more than one split.
    pub n_groups: usize,
    /// Media files that are named in more than one split.
    pub n_file_names: usize,
    /// Media files whose bytes are in more than one split.
    pub n_contents: usize,
    /// Pairs of near-duplicates in different splits.
    pub n_near_duplicates: usize,
    /// All of those: groups, files, bytes, pairs, each in their order.
    pub leaks: Vec<SplitLeak>,
}

impl SplitAudit {
    /// Whether nothing is in more than one split.
    pub fn is_clean(&self) -> bool {
        self.leaks.is_empty()
    }
}

impl fmt::Display for SplitAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, counts) in &self.splits {
            writeln!(f, "{name:<10} {:>8} samples {:>8} groups", counts.n_samples, counts.n_groups)?;
        }
        if !self.unsplit.is_empty() {
            writeln!(f, "{:<10} {:>8} samples", "no split", self.unsplit.len())?;
        }
        for leak in &self.leaks {
            writeln!(f, "leak: {leak}")?;
        }
        if self.is_clean() {
            return f.write_str("no leak found");
        }
        write!(
            f,
            "leaks: {} groups, {} file names, {} contents and {} near-duplicates are in more than one split",
            self.n_groups, self.n_file_names, self.n_contents, self.n_near_duplicates
        )
    }
}

/// Looks for what is in more than one split: groups, media files by name and by content, near-duplicates.
///
/// For any split, whoever made it. Samples of one capture have the same group and may share a file; a file counts as
/// leaked only where samples of different splits name it. Near-duplicates of one content are told as content alone. Pairs
/// with samples that are not in `items` are passed over. O(samples log samples + pairs log samples).
///
/// ```
/// use labelloop_core::{GroupKey, SampleId};
/// use labelloop_dataset::{AuditItem, NearDuplicates, audit_splits};
///
/// let item = |id: &str, group: &str, split: &str| AuditItem {
///     id: SampleId::new(id).unwrap(),
///     group: GroupKey::new(group).unwrap(),
///     split: Some(split.to_owned()),
///     file_name: format!("{id}.png"),
///     content: None,
/// };
/// let items = [item("a", "drive-1", "train"), item("b", "drive-1", "test"), item("c", "drive-2", "test")];
/// let audit = audit_splits(&items, &NearDuplicates::default());
/// assert!(!audit.is_clean());
/// assert_eq!(audit.leaks[0].to_string(), "group drive-1 is in 2 splits: b (test), a (train)");
/// ```
pub fn audit_splits(items: &[AuditItem], near: &NearDuplicates) -> SplitAudit {
    let groups = on_two_sides(items, |item| Some(item.group.as_str()));
    let files = on_two_sides(items, |item| Some(item.file_name.as_str()));
    let mut contents = on_two_sides(items, |item| item.content.as_deref());
    // One file that is named twice is told as that.
    let several = files_by_content(items);
    contents.retain(|digest, _| several.get(digest).is_some_and(|files| 1 < files.len()));
    let pairs = near_leaks(items, near);
    let (n_groups, n_file_names) = (groups.len(), files.len());
    let (n_contents, n_near_duplicates) = (contents.len(), pairs.len());
    let mut leaks = Vec::with_capacity(n_groups + n_file_names + n_contents + n_near_duplicates);
    // A key that came from an id is an id.
    leaks.extend(
        groups.into_iter().filter_map(|(key, splits)| {
            GroupKey::new(key).ok().map(|group| SplitLeak::Group { group, splits })
        }),
    );
    let named = |(name, splits): (&str, _)| SplitLeak::FileName { file_name: name.to_owned(), splits };
    leaks.extend(files.into_iter().map(named));
    let same = |(digest, splits): (&str, _)| SplitLeak::Content { digest: digest.to_owned(), splits };
    leaks.extend(contents.into_iter().map(same));
    leaks.extend(pairs);
    let mut unsplit: Vec<SampleId> =
        items.iter().filter(|i| i.split.is_none()).map(|i| i.id.clone()).collect();
    unsplit.sort_unstable();
    SplitAudit {
        splits: counts(items),
        unsplit,
        n_groups,
        n_file_names,
        n_contents,
        n_near_duplicates,
        leaks,
    }
}

fn counts(items: &[AuditItem]) -> BTreeMap<String, SplitCounts> {
    let mut splits: BTreeMap<&str, (usize, BTreeSet<&GroupKey>)> = BTreeMap::new();
    for item in items {
        if let Some(split) = &item.split {
            let (n_samples, groups) = splits.entry(split).or_default();
            *n_samples += 1;
            groups.insert(&item.group);
        }
    }
    let count = |(name, (n_samples, groups)): (&str, (usize, BTreeSet<&GroupKey>))| {
        (name.to_owned(), SplitCounts { n_samples, n_groups: groups.len() })
    };
    splits.into_iter().map(count).collect()
}

/// Values of a key that samples of more than one split have, with those samples.
fn on_two_sides<'i>(
    items: &'i [AuditItem],
    key: impl Fn(&'i AuditItem) -> Option<&'i str>,
) -> BTreeMap<&'i str, BTreeMap<String, Vec<SampleId>>> {
    let mut sides: BTreeMap<&str, BTreeMap<String, Vec<SampleId>>> = BTreeMap::new();
    for item in items {
        if let (Some(key), Some(split)) = (key(item), &item.split) {
            sides.entry(key).or_default().entry(split.clone()).or_default().push(item.id.clone());
        }
    }
    sides.retain(|_, splits| 1 < splits.len());
    sides.values_mut().flat_map(BTreeMap::values_mut).for_each(|ids| ids.sort_unstable());
    sides
}

fn files_by_content(items: &[AuditItem]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut files: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for item in items {
        if let Some(content) = &item.content {
            files.entry(content).or_default().insert(&item.file_name);
        }
    }
    files
}

fn near_leaks(items: &[AuditItem], near: &NearDuplicates) -> Vec<SplitLeak> {
    let by_id: BTreeMap<&SampleId, &AuditItem> = items.iter().map(|i| (&i.id, i)).collect();
    let leak = |pair: &NearDuplicate| {
        let (first, second) = (by_id.get(&pair.first)?, by_id.get(&pair.second)?);
        let (first_split, second_split) = (first.split.clone()?, second.split.clone()?);
        let is_same = first.content.is_some() && first.content == second.content;
        (first_split != second_split && !is_same).then(|| SplitLeak::NearDuplicate {
            pair: pair.clone(),
            first_split,
            second_split,
        })
    };
    near.pairs().iter().filter_map(leak).collect()
}

#[cfg(test)]
mod tests {
    use crate::Likeness;

    use super::*;

    fn item(id: &str, group: &str, split: Option<&str>, content: Option<&str>) -> AuditItem {
        AuditItem {
            id: SampleId::new(id).unwrap(),
            group: GroupKey::new(group).unwrap(),
            split: split.map(str::to_owned),
            file_name: format!("{}.png", &id[..1]),
            content: content.map(str::to_owned),
        }
    }

    #[test]
    fn each_kind_of_leak_is_found_once_and_named() {
        let items = [
            item("a1", "g1", Some("train"), Some("x")),
            item("b1", "g1", Some("test"), Some("y")),
            item("c1", "g2", Some("train"), Some("z")),
            item("c2", "g3", Some("val"), Some("z")),
            item("h1", "g7", Some("val"), Some("z")),
            item("d1", "g4", None, Some("x")),
            item("e1", "g5", Some("train"), None),
            item("f1", "g6", Some("test"), None),
        ];
        // The file c.png is named twice, and h.png has its bytes.
        let ids: Vec<SampleId> = items.iter().map(|i| i.id.clone()).collect();
        let close = Likeness::Hash { bits: 1, of: 64 };
        let near = NearDuplicates::new([
            NearDuplicate::new(ids[6].clone(), ids[7].clone(), close),
            NearDuplicate::new(ids[2].clone(), ids[3].clone(), close),
            NearDuplicate::new(ids[5].clone(), ids[7].clone(), close),
        ]);
        let audit = audit_splits(&items, &near);
        let found = (audit.n_groups, audit.n_file_names, audit.n_contents, audit.n_near_duplicates);
        assert_eq!(found, (1, 1, 1, 1), "{audit}");
        assert_eq!(audit.unsplit, [ids[5].clone()]);
        assert_eq!(audit.splits["train"], SplitCounts { n_samples: 3, n_groups: 3 });
        let words = audit.to_string();
        for part in [
            "group g1 is in 2 splits: b1 (test), a1 (train)",
            "file c.png is in 2 splits",
            "the same bytes (z...) is in 2 splits",
            "e1 (train) and f1 (test) look alike: hashes differ in 1 of 64 bits",
            "no split          1 samples",
        ] {
            assert!(words.contains(part), "{part} in {words}");
        }
        let text = serde_json::to_string(&audit).unwrap();
        assert_eq!(serde_json::from_str::<SplitAudit>(&text).unwrap(), audit);
    }

    #[test]
    fn nothing_and_one_side_are_clean() {
        assert!(audit_splits(&[], &NearDuplicates::default()).is_clean());
        let items = [item("a1", "g", Some("train"), Some("x")), item("a2", "g", Some("train"), Some("x"))];
        let audit = audit_splits(&items, &NearDuplicates::default());
        assert!(audit.is_clean() && audit.to_string().ends_with("no leak found"));
    }

    #[test]
    fn the_order_of_items_does_not_matter() {
        let mut items: Vec<AuditItem> = (0..20)
            .map(|i| {
                let split = ["train", "val", "test"][i % 3];
                item(&format!("s{i:02}"), &format!("g{}", i % 5), Some(split), None)
            })
            .collect();
        let first = audit_splits(&items, &NearDuplicates::default());
        items.reverse();
        assert_eq!(audit_splits(&items, &NearDuplicates::default()), first);
        assert_eq!(first.n_groups, 5);
    }
}
