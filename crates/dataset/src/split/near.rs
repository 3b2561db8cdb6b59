use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use labelloop_core::{GroupKey, SampleId, Split};
use serde::{Deserialize, Serialize};

/// By what two samples were found to be alike.
///
/// ```
/// use labelloop_dataset::Likeness;
///
/// assert_eq!(Likeness::Hash { bits: 2, of: 64 }.to_string(), "hashes differ in 2 of 64 bits");
/// assert_eq!(Likeness::Vectors { distance: 0.02 }.to_string(), "vectors 0.0200 apart, cosine 0.99980");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Likeness {
    /// The same bytes.
    Content,
    /// Perceptual hashes that are close.
    Hash {
        /// Bits in which they differ.
        bits: u32,
        /// Bits that they have.
        of: u32,
    },
    /// Embeddings that are close.
    Vectors {
        /// Euclidean distance of the vectors, scaled to length 1.
        distance: f64,
    },
}

impl Likeness {
    /// Orders by how sure the evidence is: bytes, hashes, vectors; then the closer one first.
    ///
    /// ```
    /// use labelloop_dataset::Likeness;
    ///
    /// let (hash, far) = (Likeness::Hash { bits: 4, of: 64 }, Likeness::Vectors { distance: 0.04 });
    /// assert!(hash.surest(&far).is_lt() && far.surest(&Likeness::Vectors { distance: 0.0 }).is_gt());
    /// ```
    pub fn surest(&self, other: &Self) -> Ordering {
        let rank = |l: &Self| match l {
            Self::Content => (0, 0.0),
            Self::Hash { bits, of } => (1, f64::from(*bits) / f64::from((*of).max(1))),
            Self::Vectors { distance } => (2, *distance),
        };
        let ((a, x), (b, y)) = (rank(self), rank(other));
        a.cmp(&b).then(x.total_cmp(&y))
    }
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content => f.write_str("the same bytes"),
            Self::Hash { bits, of } => write!(f, "hashes differ in {bits} of {of} bits"),
            // |a - b|^2 = 2 - 2 cos for vectors of length 1.
            Self::Vectors { distance } => {
                write!(f, "vectors {distance:.4} apart, cosine {:.5}", 1.0 - distance * distance / 2.0)
            }
        }
    }
}

/// Two samples that show the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NearDuplicate {
    /// The sample whose id comes first.
    pub first: SampleId,
    /// The other one.
    pub second: SampleId,
    /// How that is known.
    #[serde(flatten)]
    pub by: Likeness,
}

impl NearDuplicate {
    /// A pair in either order.
    pub fn new(a: SampleId, b: SampleId, by: Likeness) -> Self {
        let (first, second) = if b < a { (b, a) } else { (a, b) };
        Self { first, second, by }
    }
}

impl fmt::Display for NearDuplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}: {}", self.first, self.second, self.by)
    }
}

/// Pairs of near-duplicates as plain values, each pair once: whoever can read pictures finds them, by hashes or by
/// embeddings.
///
/// In the order of ids. Of a pair that was found in several ways the surest is kept; a sample is no duplicate of itself.
///
/// ```
/// use labelloop_core::SampleId;
/// use labelloop_dataset::{Likeness, NearDuplicate, NearDuplicates};
///
/// let [a, b] = ["a", "b"].map(|id| SampleId::new(id).unwrap());
/// let pairs = NearDuplicates::new([
///     NearDuplicate::new(b.clone(), a.clone(), Likeness::Vectors { distance: 0.01 }),
///     NearDuplicate::new(a.clone(), b.clone(), Likeness::Hash { bits: 1, of: 64 }),
///     NearDuplicate::new(a.clone(), a, Likeness::Content),
/// ]);
/// assert_eq!(pairs.pairs().len(), 1);
/// assert_eq!(pairs.pairs()[0].by, Likeness::Hash { bits: 1, of: 64 });
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<NearDuplicate>", into = "Vec<NearDuplicate>")]
pub struct NearDuplicates(Vec<NearDuplicate>);

impl NearDuplicates {
    /// Sorts the pairs and drops repetitions; O(pairs log pairs).
    pub fn new(pairs: impl IntoIterator<Item = NearDuplicate>) -> Self {
        let mut pairs: Vec<NearDuplicate> = pairs
            .into_iter()
            .filter(|p| p.first != p.second)
            .map(|p| NearDuplicate::new(p.first, p.second, p.by))
            .collect();
        pairs.sort_by(|a, b| {
            (&a.first, &a.second).cmp(&(&b.first, &b.second)).then_with(|| a.by.surest(&b.by))
        });
        pairs.dedup_by(|b, a| a.first == b.first && a.second == b.second);
        Self(pairs)
    }

    /// The pairs in the order of ids.
    pub fn pairs(&self) -> &[NearDuplicate] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs whose samples are in different splits; samples without a split do not count.
    pub fn across(&self, split_of: impl Fn(&SampleId) -> Option<Split>) -> Vec<AcrossPair> {
        let across = |pair: &NearDuplicate| {
            let (first_split, second_split) = (split_of(&pair.first)?, split_of(&pair.second)?);
            (first_split != second_split).then(|| AcrossPair {
                pair: pair.clone(),
                first_split,
                second_split,
            })
        };
        self.0.iter().filter_map(across).collect()
    }
}

impl From<Vec<NearDuplicate>> for NearDuplicates {
    fn from(pairs: Vec<NearDuplicate>) -> Self {
        Self::new(pairs)
    }
}

impl From<NearDuplicates> for Vec<NearDuplicate> {
    fn from(pairs: NearDuplicates) -> Self {
        pairs.0
    }
}

/// Near-duplicates on two sides of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcrossPair {
    /// The pair.
    #[serde(flatten)]
    pub pair: NearDuplicate,
    /// Split of its first sample.
    pub first_split: Split,
    /// Split of its second sample.
    pub second_split: Split,
}

impl fmt::Display for AcrossPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pair: NearDuplicate { first, second, by }, first_split, second_split } = self;
        write!(f, "{first} ({first_split}) and {second} ({second_split}): {by}")
    }
}

/// Which name each group that must be merged gets. Groups that keep their names are not listed.
///
/// Groups that near-duplicates connect, directly or through others, become one, named after the first of them in the
/// order of keys. A group in `existing` never moves and is never renamed: new groups that are connected to it take its
/// name, and so its split. Where new groups are connected to old groups of several splits, they join one in the pool if
/// there is one, else in golden, val or test, the first by key: frozen sets stay as they are as far as that goes. What is
/// then still on two sides cannot be mended by merging; [`NearDuplicates::across`] lists it.
///
/// Samples without an entry in `group_of` are passed over. O(pairs log groups).
///
/// ```
/// use std::collections::BTreeMap;
///
/// use labelloop_core::{GroupKey, SampleId};
/// use labelloop_dataset::{Likeness, NearDuplicate, NearDuplicates, merge_groups};
///
/// let group_of: BTreeMap<SampleId, GroupKey> = ["a", "b", "c"]
///     .map(|id| (SampleId::new(id).unwrap(), GroupKey::new(format!("drive-{id}")).unwrap()))
///     .into();
/// let ids: Vec<SampleId> = group_of.keys().cloned().collect();
/// let same = NearDuplicate::new(ids[2].clone(), ids[1].clone(), Likeness::Content);
/// let renamed = merge_groups(&group_of, &BTreeMap::new(), &NearDuplicates::new([same]));
/// assert_eq!(renamed, [(group_of[&ids[2]].clone(), group_of[&ids[1]].clone())].into());
/// ```
pub fn merge_groups(
    group_of: &BTreeMap<SampleId, GroupKey>,
    existing: &BTreeMap<GroupKey, Split>,
    pairs: &NearDuplicates,
) -> BTreeMap<GroupKey, GroupKey> {
    let mut forest = Forest::default();
    let mut old_of: BTreeMap<&GroupKey, BTreeSet<&GroupKey>> = BTreeMap::new();
    for pair in pairs.pairs() {
        let (Some(a), Some(b)) = (group_of.get(&pair.first), group_of.get(&pair.second)) else { continue };
        match (existing.contains_key(a), existing.contains_key(b)) {
            (false, false) => forest.join(a, b),
            (true, false) => {
                forest.join(b, b);
                old_of.entry(b).or_default().insert(a);
            }
            (false, true) => {
                forest.join(a, a);
                old_of.entry(a).or_default().insert(b);
            }
            (true, true) => {}
        }
    }
    let mut renamed = BTreeMap::new();
    for members in forest.trees() {
        let olds = members.iter().filter_map(|member| old_of.get(member)).flatten().copied();
        let joins = olds.min_by_key(|old| (existing.get(*old).map_or(0, |s| reluctance(*s)), *old));
        let Some(name) = joins.or(members.first().copied()) else { continue };
        let others = members.iter().filter(|member| **member != name);
        renamed.extend(others.map(|member| ((*member).clone(), name.clone())));
    }
    renamed
}

/// Groups that pairs of them connect, directly or through others: each list and the lists in the order of keys. A group that
/// is in no pair is in no list. O(pairs log groups).
///
/// ```
/// use labelloop_core::GroupKey;
/// use labelloop_dataset::connected_groups;
///
/// let [a, b, c, d] = ["a", "b", "c", "d"].map(|key| GroupKey::new(key).unwrap());
/// assert_eq!(connected_groups([(&d, &b), (&b, &c)]), [[&b, &c, &d]]);
/// assert_eq!(connected_groups([(&a, &a)]), [[&a]]);
/// ```
pub fn connected_groups<'a>(
    pairs: impl IntoIterator<Item = (&'a GroupKey, &'a GroupKey)>,
) -> Vec<Vec<&'a GroupKey>> {
    let mut forest = Forest::default();
    pairs.into_iter().for_each(|(a, b)| forest.join(a, b));
    let mut trees = forest.trees();
    trees.sort_unstable();
    trees
}

/// The more is decided by a split, the less gladly it takes new samples.
fn reluctance(split: Split) -> u8 {
    match split {
        Split::Pool => 0,
        Split::Golden => 1,
        Split::Val => 2,
        Split::Test => 3,
    }
}

/// Union-find by size with paths halved.
#[derive(Default)]
struct Forest<'a> {
    index: BTreeMap<&'a GroupKey, usize>,
    parent: Vec<usize>,
    size: Vec<usize>,
}

impl<'a> Forest<'a> {
    fn join(&mut self, a: &'a GroupKey, b: &'a GroupKey) {
        let (a, b) = (self.place(a), self.place(b));
        let (a, b) = (self.root(a), self.root(b));
        let (small, large) = if self.size[a] < self.size[b] { (a, b) } else { (b, a) };
        if small != large {
            self.parent[small] = large;
            self.size[large] += self.size[small];
        }
    }

    fn place(&mut self, key: &'a GroupKey) -> usize {
        let next = self.parent.len();
        let place = *self.index.entry(key).or_insert(next);
        if place == next {
            self.parent.push(next);
            self.size.push(1);
        }
        place
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    /// The members of each tree in the order of keys.
    fn trees(mut self) -> Vec<Vec<&'a GroupKey>> {
        let mut trees: BTreeMap<usize, Vec<&'a GroupKey>> = BTreeMap::new();
        for (key, place) in std::mem::take(&mut self.index) {
            trees.entry(self.root(place)).or_default().push(key);
        }
        trees.into_values().collect()
    }
}
