//! Pictures that look alike on both sides of the split.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use labelloop_core::{GroupKey, Progress, SampleId, Split};
use labelloop_dataset::{Dataset, Likeness, NearDuplicate, NearDuplicates, connected_groups};
use serde::{Deserialize, Serialize};

use crate::lookalikes::{Lookalikes, find_lookalikes};
use crate::project::Project;
use crate::{LoopError, Result};

/// The most pairs that a report lists for each pair of splits.
pub const N_WORST: usize = 10;

/// Where a sample is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// Its group, which no split tears apart.
    pub group: GroupKey,
    /// Its split.
    pub split: Split,
}

/// Two samples of different splits and groups that look alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakPair {
    /// Sample of the first split.
    pub first: SampleId,
    /// Sample of the second split.
    pub second: SampleId,
    /// Group of the first sample.
    pub first_group: GroupKey,
    /// Group of the second sample.
    pub second_group: GroupKey,
    /// How alike they are.
    #[serde(flatten)]
    pub by: Likeness,
}

/// Near-duplicates between two splits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakBetween {
    /// One split.
    pub first: Split,
    /// The other one.
    pub second: Split,
    /// Pairs of samples.
    pub n_pairs: usize,
    /// Samples of the first split that have a near-duplicate in the second.
    pub n_first: usize,
    /// Samples of the second split that have a near-duplicate in the first.
    pub n_second: usize,
    /// The surest pairs, surest first, ties by samples: the same bytes, close hashes, close vectors.
    pub worst: Vec<LeakPair>,
}

/// All near-duplicates across splits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakReport {
    /// Samples compared.
    pub n_samples: usize,
    /// Pictures that could not be read and were not compared.
    pub n_unread: usize,
    /// Pairs found.
    pub n_pairs: usize,
    /// By pair of splits, in their order; those without a pair are left out.
    pub between: Vec<LeakBetween>,
    /// Groups that should be one: each list holds groups which near-duplicates connect, in order.
    pub merge: Vec<Vec<GroupKey>>,
}

/// Near-duplicates on different sides of a split, and the groups to merge.
///
/// Groups keep frames of one sequence together, so frames of one group are on one side and never count. What the group key
/// does not know of - the same scene recorded twice, a picture imported under two names - is found by its looks. Samples
/// without an entry in `places` are left out. At most `n_worst` pairs are listed for each pair of splits; all are counted.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use labelloop_core::{GroupKey, SampleId, Split};
/// use labelloop_dataset::{Likeness, NearDuplicate, NearDuplicates};
/// use labelloop_loop::leaks::{Whereabouts, find_leaks};
///
/// let ids = ["a", "b", "c"].map(|id| SampleId::new(id).unwrap());
/// let close = NearDuplicate::new(ids[0].clone(), ids[2].clone(), Likeness::Hash { bits: 1, of: 64 });
/// let places = ids.into_iter().zip([("g1", Split::Test), ("g2", Split::Val), ("g3", Split::Pool)]);
/// let places: BTreeMap<_, _> = places
///     .map(|(id, (group, split))| (id, Whereabouts { group: GroupKey::new(group).unwrap(), split }))
///     .collect();
/// let report = find_leaks(&NearDuplicates::new([close]), &places, 10);
/// assert_eq!((report.n_pairs, report.merge.len()), (1, 1));
/// assert_eq!(report.merge[0].iter().map(GroupKey::as_str).collect::<Vec<_>>(), ["g1", "g3"]);
/// ```
pub fn find_leaks(
    pairs: &NearDuplicates,
    places: &BTreeMap<SampleId, Whereabouts>,
    n_worst: usize,
) -> LeakReport {
    let mut by_splits: BTreeMap<(Split, Split), Vec<LeakPair>> = BTreeMap::new();
    let mut n_pairs = 0;
    for NearDuplicate { first, second, by } in pairs.pairs() {
        let (Some(a), Some(b)) = (places.get(first), places.get(second)) else { continue };
        if a.split == b.split || a.group == b.group {
            continue;
        }
        let ((first, a), (second, b)) =
            if b.split < a.split { ((second, b), (first, a)) } else { ((first, a), (second, b)) };
        n_pairs += 1;
        by_splits.entry((a.split, b.split)).or_default().push(LeakPair {
            first: first.clone(),
            second: second.clone(),
            first_group: a.group.clone(),
            second_group: b.group.clone(),
            by: *by,
        });
    }
    let crossing = by_splits.values().flatten().map(|p| (&p.first_group, &p.second_group));
    let merge =
        connected_groups(crossing).into_iter().map(|list| list.into_iter().cloned().collect()).collect();
    LeakReport {
        n_samples: places.len(),
        n_unread: 0,
        n_pairs,
        between: by_splits.into_iter().map(|(splits, pairs)| between(splits, pairs, n_worst)).collect(),
        merge,
    }
}

impl Project {
    /// Pictures of the project that show the same, whatever their splits and groups; also those of the frozen test set,
    /// and nothing but distances comes of it: no label is read and no score computed, so this is no look at the test set
    /// that the ledger would count.
    ///
    /// # Errors
    /// Parameters out of range, too many pairs, I/O of the store of vectors, cancelled work.
    pub fn lookalikes(&self, dataset: &Dataset, progress: &dyn Progress) -> Result<Lookalikes> {
        let slice = match self.slice(dataset) {
            // Point clouds alone: nothing can be compared.
            Err(LoopError::NoPictures { .. }) => None,
            slice => Some(slice?),
        };
        let pictures = dataset.samples().values().filter(|s| slice.as_deref() == Some(s.slice.as_str()));
        let items: Vec<(SampleId, PathBuf)> = pictures.map(|s| (s.id.clone(), self.media_path(s))).collect();
        let look = self.config.near_duplicates.look();
        find_lookalikes(&items, Some(&self.layout.embeddings()), &look, progress)
    }

    /// Near-duplicates across the splits of the project's pictures.
    ///
    /// # Errors
    /// As [`Project::lookalikes`].
    pub fn leaks(&self, dataset: &Dataset, progress: &dyn Progress) -> Result<LeakReport> {
        Ok(self.leaks_among(dataset, &self.lookalikes(dataset, progress)?))
    }

    /// As [`Project::leaks`], of pictures that were looked at already.
    pub(crate) fn leaks_among(&self, dataset: &Dataset, looks: &Lookalikes) -> LeakReport {
        let place = |s: &labelloop_dataset::Sample| {
            Some((s.id.clone(), Whereabouts { group: s.group.clone(), split: s.split? }))
        };
        let places = dataset.samples().values().filter_map(place).collect();
        let report = find_leaks(&looks.pairs, &places, N_WORST);
        LeakReport { n_samples: looks.n_pictures, n_unread: looks.unread.len(), ..report }
    }
}

impl LeakReport {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.n_pairs == 0
    }
}

impl fmt::Display for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} near-duplicates across splits", self.n_pairs)?;
        for b in &self.between {
            write!(f, "\n  {} and {}: {} pairs", b.first, b.second, b.n_pairs)?;
            if let Some(p) = b.worst.first() {
                write!(
                    f,
                    ", surest {} (group {}) and {} (group {}), {}",
                    p.first, p.first_group, p.second, p.second_group, p.by
                )?;
            }
        }
        for groups in &self.merge {
            let names: Vec<&str> = groups.iter().map(GroupKey::as_str).collect();
            write!(f, "\n  these groups should be one: {}", names.join(", "))?;
        }
        if 0 < self.n_unread {
            write!(f, "\n  {} pictures could not be read and were not compared", self.n_unread)?;
        }
        Ok(())
    }
}

fn between((first, second): (Split, Split), mut pairs: Vec<LeakPair>, n_worst: usize) -> LeakBetween {
    let n_pairs = pairs.len();
    let n_first = pairs.iter().map(|p| &p.first).collect::<BTreeSet<_>>().len();
    let n_second = pairs.iter().map(|p| &p.second).collect::<BTreeSet<_>>().len();
    pairs.sort_by(|a, b| a.by.surest(&b.by).then_with(|| (&a.first, &a.second).cmp(&(&b.first, &b.second))));
    pairs.truncate(n_worst);
    LeakBetween { first, second, n_pairs, n_first, n_second, worst: pairs }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples with their groups and splits, and pairs of them with the bits that they differ in.
    fn report(samples: &[(&str, &str, Split)], pairs: &[(&str, &str, u32)], n_worst: usize) -> LeakReport {
        let id = |text: &str| SampleId::new(text).unwrap();
        let place = |s: &(&str, &str, Split)| {
            (id(s.0), Whereabouts { group: GroupKey::new(s.1).unwrap(), split: s.2 })
        };
        let pairs = pairs
            .iter()
            .map(|(a, b, bits)| NearDuplicate::new(id(a), id(b), Likeness::Hash { bits: *bits, of: 64 }));
        find_leaks(&NearDuplicates::new(pairs), &samples.iter().map(place).collect(), n_worst)
    }

    #[test]
    fn planted_duplicates_are_counted_and_their_groups_named() {
        let samples = [
            ("p1", "g1", Split::Pool),
            ("p2", "g2", Split::Pool),
            ("p3", "g3", Split::Pool),
            ("t1", "g4", Split::Test),
            ("t2", "g4", Split::Test),
            ("v1", "g5", Split::Val),
            ("v2", "g6", Split::Val),
        ];
        let pairs =
            [("p1", "t2", 3), ("p1", "t1", 1), ("v1", "p3", 2), ("v1", "nowhere", 0), ("p1", "p2", 0)];
        let r = report(&samples, &pairs, 10);
        assert_eq!((r.n_samples, r.n_pairs, r.between.len()), (7, 3, 2));
        let test = r.between.iter().find(|b| b.first == Split::Test || b.second == Split::Test).unwrap();
        assert_eq!((test.n_pairs, test.n_first, test.n_second), (2, 2, 1));
        assert_eq!(test.worst[0].first.as_str(), "t1", "the surest first");
        let merge: Vec<Vec<&str>> =
            r.merge.iter().map(|l| l.iter().map(GroupKey::as_str).collect()).collect();
        assert_eq!(merge, [vec!["g1", "g4"], vec!["g3", "g5"]]);
        let words = r.to_string();
        assert!(words.contains("g1, g4") && words.contains("3 near-duplicates"), "{words}");
    }

    #[test]
    fn frames_of_one_group_and_of_one_split_do_not_count() {
        let samples = [
            ("a", "g1", Split::Pool),
            ("b", "g1", Split::Pool),
            ("c", "g2", Split::Pool),
            ("d", "g3", Split::Val),
            // A torn group is the doctor's finding, not a near-duplicate across groups.
            ("e", "g3", Split::Test),
        ];
        let pairs = [("a", "b", 0), ("a", "c", 0), ("b", "c", 0), ("d", "e", 0)];
        assert!(report(&samples, &pairs, 10).is_clean());
    }

    #[test]
    fn groups_are_merged_through_others() {
        let samples = [
            ("a", "g1", Split::Pool),
            ("b", "g2", Split::Val),
            ("c", "g3", Split::Test),
            ("d", "g4", Split::Golden),
        ];
        let r = report(&samples, &[("a", "b", 4), ("b", "c", 4)], 10);
        assert_eq!((r.n_pairs, r.merge.len(), r.merge[0].len()), (2, 1, 3));
    }

    #[test]
    fn the_list_is_cut_and_the_count_is_not() {
        let ids: Vec<String> = (0..6).map(|i| format!("p{i}")).collect();
        let mut samples: Vec<(&str, &str, Split)> =
            ids.iter().map(|id| (id.as_str(), id.as_str(), Split::Pool)).collect();
        samples.push(("v", "v", Split::Val));
        let pairs: Vec<(&str, &str, u32)> = ids.iter().map(|id| (id.as_str(), "v", 1)).collect();
        let r = report(&samples, &pairs, 2);
        assert_eq!((r.n_pairs, r.between[0].worst.len()), (6, 2));
        assert_eq!((r.between[0].n_first + r.between[0].n_second), 7);
    }

    #[test]
    fn nothing_has_no_leaks() {
        assert!(report(&[("a", "g", Split::Val)], &[], 10).is_clean());
    }
}
