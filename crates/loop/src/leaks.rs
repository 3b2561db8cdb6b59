//! Pictures that look alike on both sides of the split.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use labelloop_core::{Embeddings, GroupKey, Progress, SampleId, Split};
use labelloop_coreset::{DuplicatePair, Metric, near_duplicates};
use labelloop_dataset::Dataset;
use serde::{Deserialize, Serialize};

use crate::project::Project;
use crate::{LoopError, Result};

/// How close is too close.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeakParams {
    /// Vectors of length 1 at most this far apart (Euclidean) are near-duplicates; 0 for the same numbers only.
    ///
    /// The default 0.05 is between what the built-in descriptor makes of one picture and of two. On 60 pictures each of
    /// blood cells, playing cards and circuit boards, a picture and its copy at half the size or as JPEG of quality 70 were
    /// at most 0.019 apart, with 1% cut off each side at most 0.049 (but 0.093 on circuit boards, whose lines are fine),
    /// and no two of the 5,310 pairs of different pictures less than 0.066. A copy that is 5% brighter may be 0.066 away
    /// and is then not found.
    pub radius: f64,
    /// The most pairs listed for each pair of splits; all are counted.
    pub n_worst: usize,
}

impl Default for LeakParams {
    fn default() -> Self {
        Self { radius: 0.05, n_worst: 10 }
    }
}

/// Parameters within their ranges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeakValidParams(LeakParams);

impl LeakParams {
    /// # Errors
    /// [`LoopError::Config`] for a radius that is no distance between vectors of length 1.
    pub fn check(&self) -> Result<LeakValidParams> {
        if !(0.0 <= self.radius && self.radius < 2.0) {
            let expected = "a number from 0 to below 2";
            return Err(LoopError::Config { key: "radius", found: self.radius.to_string(), expected });
        }
        Ok(LeakValidParams(*self))
    }
}

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
    /// Euclidean distance of their vectors; 0 for the same picture.
    pub distance: f64,
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
    /// The closest pairs, closest first, ties by samples.
    pub worst: Vec<LeakPair>,
}

/// All near-duplicates across splits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakReport {
    /// Distance up to which samples were taken for near-duplicates.
    pub radius: f64,
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
/// does not know of - the same scene recorded twice, a picture imported under two names - is found here by its looks.
/// Samples without an entry in `places` are left out. Vectors should have length 1, as those of the built-in descriptor
/// have. O(samples^2 x dimensions).
///
/// ```
/// use std::collections::BTreeMap;
///
/// use labelloop_core::{Embeddings, GroupKey, SampleId, Split};
/// use labelloop_loop::leaks::{LeakParams, Whereabouts, find_leaks};
/// use ndarray::array;
///
/// let ids = ["a", "b", "c"].map(|id| SampleId::new(id).unwrap());
/// let vectors = array![[1.0, 0.0], [0.0, 1.0], [0.999, 0.0447]];
/// let embeddings = Embeddings::new(ids.to_vec(), vectors)?;
/// let places = ids.into_iter().zip([("g1", Split::Test), ("g2", Split::Val), ("g3", Split::Pool)]);
/// let places: BTreeMap<_, _> = places
///     .map(|(id, (group, split))| (id, Whereabouts { group: GroupKey::new(group).unwrap(), split }))
///     .collect();
/// let report = find_leaks(&embeddings, &places, &LeakParams::default())?;
/// assert_eq!((report.n_pairs, report.merge.len()), (1, 1));
/// assert_eq!(report.merge[0].iter().map(GroupKey::as_str).collect::<Vec<_>>(), ["g1", "g3"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Parameters out of range.
pub fn find_leaks(
    embeddings: &Embeddings,
    places: &BTreeMap<SampleId, Whereabouts>,
    params: &LeakParams,
) -> Result<LeakReport> {
    let LeakValidParams(params) = params.check()?;
    let known: Vec<(&SampleId, &Whereabouts)> =
        embeddings.ids().iter().filter_map(|id| Some((id, places.get(id)?))).collect();
    let ids: Vec<SampleId> = known.iter().map(|(id, _)| (*id).clone()).collect();
    let vectors = embeddings.gather(&ids)?;
    let pairs: Vec<DuplicatePair> = near_duplicates(vectors.view(), params.radius, Metric::L2)?
        .into_iter()
        .filter(|p| {
            let (a, b) = (known[p.first].1, known[p.second].1);
            a.split != b.split && a.group != b.group
        })
        .collect();
    let mut by_splits: BTreeMap<(Split, Split), Vec<LeakPair>> = BTreeMap::new();
    for pair in &pairs {
        let (mut first, mut second) = (known[pair.first], known[pair.second]);
        if second.1.split < first.1.split {
            (first, second) = (second, first);
        }
        by_splits.entry((first.1.split, second.1.split)).or_default().push(LeakPair {
            first: first.0.clone(),
            second: second.0.clone(),
            first_group: first.1.group.clone(),
            second_group: second.1.group.clone(),
            distance: pair.distance,
        });
    }
    let merge = connected(by_splits.values().flatten());
    Ok(LeakReport {
        radius: params.radius,
        n_samples: ids.len(),
        n_unread: 0,
        n_pairs: pairs.len(),
        between: by_splits
            .into_iter()
            .map(|(splits, pairs)| between(splits, pairs, params.n_worst))
            .collect(),
        merge,
    })
}

impl Project {
    /// Near-duplicates across the splits of the project's pictures.
    ///
    /// Pictures of every split are looked at, those of the frozen test set too, and nothing but distances comes of it: no
    /// label is read and no score computed, so this is no look at the test set that the ledger would count.
    ///
    /// # Errors
    /// No pictures, parameters out of range, I/O of the cache, cancelled work.
    pub fn leaks(
        &self,
        dataset: &Dataset,
        params: &LeakParams,
        progress: &dyn Progress,
    ) -> Result<LeakReport> {
        let slice = self.slice(dataset)?;
        let mut items: Vec<(SampleId, PathBuf)> = Vec::new();
        let mut places = BTreeMap::new();
        for sample in dataset.samples().values().filter(|s| s.slice == slice) {
            if let Some(split) = sample.split {
                items.push((sample.id.clone(), self.media_path(sample)));
                places.insert(sample.id.clone(), Whereabouts { group: sample.group.clone(), split });
            }
        }
        // The default radius is one of the built-in descriptor.
        let run = self.describe(&items, progress)?;
        let report = find_leaks(&run.embeddings, &places, params)?;
        Ok(LeakReport { n_unread: run.failures.len(), ..report })
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
        write!(f, "{} near-duplicates across splits (distance up to {})", self.n_pairs, self.radius)?;
        for b in &self.between {
            write!(f, "\n  {} and {}: {} pairs", b.first, b.second, b.n_pairs)?;
            if let Some(p) = b.worst.first() {
                write!(
                    f,
                    ", closest {} (group {}) and {} (group {}), {:.4} apart",
                    p.first, p.first_group, p.second, p.second_group, p.distance
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
    pairs.sort_by(|a, b| {
        a.distance.total_cmp(&b.distance).then_with(|| (&a.first, &a.second).cmp(&(&b.first, &b.second)))
    });
    pairs.truncate(n_worst);
    LeakBetween { first, second, n_pairs, n_first, n_second, worst: pairs }
}

/// Groups that pairs connect, directly or through others.
fn connected<'a>(pairs: impl Iterator<Item = &'a LeakPair>) -> Vec<Vec<GroupKey>> {
    let mut neighbours: BTreeMap<&GroupKey, BTreeSet<&GroupKey>> = BTreeMap::new();
    for pair in pairs {
        neighbours.entry(&pair.first_group).or_default().insert(&pair.second_group);
        neighbours.entry(&pair.second_group).or_default().insert(&pair.first_group);
    }
    let mut seen: BTreeSet<&GroupKey> = BTreeSet::new();
    let mut lists = Vec::new();
    for &start in neighbours.keys() {
        let mut members = BTreeSet::new();
        let mut next = vec![start];
        while let Some(group) = next.pop() {
            if seen.insert(group) {
                members.insert(group);
                next.extend(neighbours.get(group).into_iter().flatten().copied());
            }
        }
        if !members.is_empty() {
            lists.push(members.into_iter().cloned().collect());
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// Samples of one direction each, `angle` in radians, with their groups and splits.
    fn report(samples: &[(&str, f64, &str, Split)], params: LeakParams) -> LeakReport {
        let ids: Vec<SampleId> = samples.iter().map(|s| SampleId::new(s.0).unwrap()).collect();
        let vectors = Array2::from_shape_fn((samples.len(), 2), |(i, j)| {
            let (sin, cos) = samples[i].1.sin_cos();
            if j == 0 { cos as f32 } else { sin as f32 }
        });
        let places = samples
            .iter()
            .zip(&ids)
            .map(|(s, id)| (id.clone(), Whereabouts { group: GroupKey::new(s.2).unwrap(), split: s.3 }))
            .collect();
        find_leaks(&Embeddings::new(ids, vectors).unwrap(), &places, &params).unwrap()
    }

    #[test]
    fn defaults_are_the_documented_ones_and_every_parameter_is_checked() {
        assert_eq!(LeakParams::default(), LeakParams { radius: 0.05, n_worst: 10 });
        for radius in [f64::NAN, -0.1, 2.0] {
            let refused = LeakParams { radius, ..LeakParams::default() }.check().unwrap_err();
            assert!(matches!(refused, LoopError::Config { key: "radius", .. }));
        }
    }

    #[test]
    fn planted_duplicates_are_counted_and_their_groups_named() {
        let samples = [
            ("p1", 0.0, "g1", Split::Pool),
            ("p2", 0.5, "g2", Split::Pool),
            ("p3", 1.0, "g3", Split::Pool),
            ("t1", 0.01, "g4", Split::Test),
            ("t2", 0.02, "g4", Split::Test),
            ("v1", 1.04, "g5", Split::Val),
            ("v2", 2.0, "g6", Split::Val),
        ];
        let r = report(&samples, LeakParams::default());
        assert_eq!((r.n_samples, r.n_pairs, r.between.len()), (7, 3, 2));
        let test = r.between.iter().find(|b| b.first == Split::Test || b.second == Split::Test).unwrap();
        assert_eq!(test.n_pairs, 2);
        assert!((test.worst[0].distance - 0.01).abs() < 1e-4, "the closest first");
        let merge: Vec<Vec<&str>> =
            r.merge.iter().map(|l| l.iter().map(GroupKey::as_str).collect()).collect();
        assert_eq!(merge, [vec!["g1", "g4"], vec!["g3", "g5"]]);
        let words = r.to_string();
        assert!(words.contains("g1, g4") && words.contains("3 near-duplicates"), "{words}");
    }

    #[test]
    fn frames_of_one_group_and_of_one_split_do_not_count() {
        let samples = [
            ("a", 0.0, "g1", Split::Pool),
            ("b", 0.0, "g1", Split::Pool),
            ("c", 0.0, "g2", Split::Pool),
            ("d", 1.0, "g3", Split::Val),
            // A torn group is the doctor's finding, not a near-duplicate across groups.
            ("e", 1.0, "g3", Split::Test),
        ];
        assert!(report(&samples, LeakParams::default()).is_clean());
    }

    #[test]
    fn groups_are_merged_through_others() {
        let samples = [
            ("a", 0.0, "g1", Split::Pool),
            ("b", 0.04, "g2", Split::Val),
            ("c", 0.08, "g3", Split::Test),
            ("d", 3.0, "g4", Split::Golden),
        ];
        let r = report(&samples, LeakParams::default());
        assert_eq!((r.n_pairs, r.merge.len(), r.merge[0].len()), (2, 1, 3));
    }

    #[test]
    fn the_list_is_cut_and_the_count_is_not() {
        let ids: Vec<String> = (0..6).map(|i| format!("p{i}")).collect();
        let mut samples: Vec<(&str, f64, &str, Split)> =
            ids.iter().map(|id| (id.as_str(), 0.001, id.as_str(), Split::Pool)).collect();
        samples.push(("v", 0.0, "v", Split::Val));
        let r = report(&samples, LeakParams { n_worst: 2, ..LeakParams::default() });
        assert_eq!((r.n_pairs, r.between[0].worst.len()), (6, 2));
        assert_eq!((r.between[0].n_first + r.between[0].n_second), 7);
    }

    #[test]
    fn nothing_has_no_leaks() {
        assert!(report(&[("a", 0.0, "g", Split::Val)], LeakParams::default()).is_clean());
    }
}
