//! Which golden samples are mixed into the next batch, and where in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use labelloop_core::{ClassIdx, ClassSchema, LabelledBox, LabelledCuboid, SampleId, Seed};
use serde::{Deserialize, Serialize};

use crate::golden::require;
use crate::{QaError, Result};

/// What the reference marks on a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HoneypotObjects<'a> {
    /// Boxes of a picture; crowds do not count.
    Boxes(&'a [LabelledBox]),
    /// Cuboids of a point cloud; none of them is small, whatever its size.
    Cuboids(&'a [LabelledCuboid]),
}

/// A golden sample that may go into the next batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HoneypotCandidate<'a> {
    /// Which sample.
    pub id: &'a SampleId,
    /// What the reference marks on it.
    pub objects: HoneypotObjects<'a>,
    /// How many batches have held it.
    pub n_shown: u32,
    /// The iteration of the last of them; meaningless where there was none.
    pub last_shown: Option<u32>,
}

/// Parameters of [`choose_honeypots`], before they are checked.
///
/// ```
/// use labelloop_qa::HoneypotParams;
///
/// assert!(HoneypotParams { n: 5, ..HoneypotParams::default() }.check().is_ok());
/// assert!(HoneypotParams { small_boost: f64::NAN, ..HoneypotParams::default() }.check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HoneypotParams {
    /// Samples to choose; as many as there are, or more, chooses all.
    pub n: usize,
    /// Where the draws come from; another one for every batch.
    pub seed: Seed,
    /// Objects below this area (square pixels) are small.
    pub small_area: f64,
    /// A sample with nothing but small objects weighs this much more than 1.
    pub small_boost: f64,
    /// A sample with an object of a rare class weighs this much more than 1.
    pub rare_boost: f64,
    /// A class is rare when it has less than this share of the mean count of the classes that occur.
    pub rare_share: f64,
}

impl Default for HoneypotParams {
    fn default() -> Self {
        Self {
            n: 20,
            seed: Seed::new(0),
            small_area: 1024.0,
            small_boost: 2.0,
            rare_boost: 2.0,
            rare_share: 0.5,
        }
    }
}

/// Parameters that hold what the choice rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct HoneypotValidParams(HoneypotParams);

impl HoneypotParams {
    /// Checks every parameter.
    ///
    /// # Errors
    /// [`QaError::InvalidParam`] naming the first one that is out of range.
    pub fn check(&self) -> Result<HoneypotValidParams> {
        let expected = "a finite number of at least 0";
        let numbers = [
            ("small_area", self.small_area),
            ("small_boost", self.small_boost),
            ("rare_boost", self.rare_boost),
        ];
        for (name, found) in numbers {
            require(0.0 <= found && found.is_finite(), name, found, expected)?;
        }
        let share = self.rare_share;
        require((0.0..=1.0).contains(&share), "rare_share", share, "a number from 0 to 1")?;
        Ok(HoneypotValidParams(self.clone()))
    }
}

impl HoneypotValidParams {
    /// The numbers.
    pub fn get(&self) -> &HoneypotParams {
        &self.0
    }
}

/// Why a sample goes into the batch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum HoneypotReason {
    /// The batch takes the whole golden set.
    All,
    /// It is its turn.
    Rotation,
    /// Small objects are shown more often than others.
    Small,
    /// Rare classes are shown more often than others.
    RareClass {
        /// The rarest class of the sample.
        class: String,
    },
}

impl fmt::Display for HoneypotReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Rotation => f.write_str("rotation"),
            Self::Small => f.write_str("small objects"),
            Self::RareClass { class } => write!(f, "rare class {class}"),
        }
    }
}

/// A golden sample of the next batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HoneypotPick {
    /// Which sample.
    pub id: SampleId,
    /// Why.
    pub reason: HoneypotReason,
    /// Its weight in the rotation and in draws, from 1.
    pub weight: f64,
}

/// Chooses the golden samples of the next batch, in the order of their ids.
///
/// A sample weighs `w = 1 + small_boost * s + rare_boost * r`, where s is the share of its objects that are small, and r is 1
/// where it has an object of a rare class. Samples take turns: one that was shown k times has turn `ceil(k / w)`, so everybody is shown once
/// before anybody is shown twice, and from then on a sample of weight 2 is shown twice as often as one of weight 1 (stride
/// scheduling, Waldspurger and Weihl 1995, in whole turns). The lowest turn comes first, then who was not shown for
/// longest; what the last batch showed comes after all else, since people remember. Among equals a weighted draw without
/// replacement decides: the largest `ln(u) / w` (Efraimidis and Spirakis 2006, algorithm A), with u from the seed and the
/// sample's id, so that the order of candidates does not matter.
///
/// Either part of the weight rises with the share of such objects in a sample, so on its own it makes their expected share
/// among the objects shown no smaller than that of uniform draws.
///
/// O(candidates x log) time.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, ClassSchema, LabelledBox, SampleId};
/// use labelloop_qa::{HoneypotCandidate, HoneypotObjects, HoneypotParams, HoneypotReason, choose_honeypots};
///
/// let schema = ClassSchema::new(["car"])?;
/// let (old, new) = (SampleId::new("old")?, SampleId::new("new")?);
/// let boxes = [LabelledBox::new(ClassIdx(0), BBox::new(0.0, 0.0, 90.0, 90.0)?)];
/// let objects = HoneypotObjects::Boxes(&boxes);
/// let candidates = [
///     HoneypotCandidate { id: &old, objects, n_shown: 1, last_shown: Some(0) },
///     HoneypotCandidate { id: &new, objects, n_shown: 0, last_shown: None },
/// ];
/// let picks = choose_honeypots(&candidates, &schema, &HoneypotParams { n: 1, ..HoneypotParams::default() })?;
/// assert_eq!((picks[0].id.as_str(), &picks[0].reason), ("new", &HoneypotReason::Rotation));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`QaError::InvalidParam`], [`QaError::DuplicateImage`] for a sample that is listed twice, [`QaError::ClassOutOfSchema`].
pub fn choose_honeypots(
    candidates: &[HoneypotCandidate<'_>],
    schema: &ClassSchema,
    params: &HoneypotParams,
) -> Result<Vec<HoneypotPick>> {
    params.check()?.choose_honeypots(candidates, schema)
}

impl HoneypotValidParams {
    /// [`choose_honeypots`] with checked parameters.
    ///
    /// # Errors
    /// As [`choose_honeypots`], but for the parameters.
    pub fn choose_honeypots(
        &self,
        candidates: &[HoneypotCandidate<'_>],
        schema: &ClassSchema,
    ) -> Result<Vec<HoneypotPick>> {
        let mut ids = BTreeSet::new();
        if let Some(twice) = candidates.iter().find(|c| !ids.insert(c.id)) {
            return Err(QaError::DuplicateImage { round: CANDIDATES.to_owned(), id: twice.id.clone() });
        }
        let counts = candidates.iter().map(|c| Counts::of(c, schema, self.0.small_area));
        let counts: Vec<Counts> = counts.collect::<Result<_>>()?;
        let rare = self.rare_classes(&counts);
        let newest = candidates.iter().filter(|c| 0 < c.n_shown).filter_map(|c| c.last_shown).max();
        let mut order: Vec<Ranked<'_>> =
            candidates.iter().zip(&counts).map(|(c, n)| self.rank(c, n, &rare, newest)).collect();
        order.sort_by(|a, b| {
            a.place.cmp(&b.place).then(b.draw.total_cmp(&a.draw)).then(a.candidate.id.cmp(b.candidate.id))
        });
        let next = order.get(self.0.n).map(|r| r.place);
        let is_all = next.is_none();
        let mut picks: Vec<HoneypotPick> = order
            .iter()
            .take(self.0.n)
            .map(|r| HoneypotPick {
                id: r.candidate.id.clone(),
                reason: if is_all { HoneypotReason::All } else { r.reason(next, schema) },
                weight: r.weight(),
            })
            .collect();
        picks.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(picks)
    }

    /// Classes that occur, and less often than their share of the mean count.
    fn rare_classes(&self, counts: &[Counts]) -> BTreeMap<ClassIdx, usize> {
        let mut totals: BTreeMap<ClassIdx, usize> = BTreeMap::new();
        for (class, n) in counts.iter().flat_map(|c| &c.classes) {
            *totals.entry(*class).or_default() += n;
        }
        let mean = totals.values().sum::<usize>() as f64 / totals.len().max(1) as f64;
        totals.retain(|_, n| (*n as f64) < self.0.rare_share * mean);
        totals
    }

    fn rank<'a>(
        &self,
        candidate: &'a HoneypotCandidate<'a>,
        counts: &Counts,
        rare: &BTreeMap<ClassIdx, usize>,
        newest: Option<u32>,
    ) -> Ranked<'a> {
        let share = |n: usize| n as f64 / counts.n_objects.max(1) as f64;
        let rarest =
            counts.classes.keys().filter(|c| rare.contains_key(c)).min_by_key(|c| (rare.get(c), **c));
        let small = self.0.small_boost * share(counts.n_small);
        let rarity = if rarest.is_some() { self.0.rare_boost } else { 0.0 };
        let weight = 1.0 + small + rarity;
        let seen = candidate.last_shown.filter(|_| 0 < candidate.n_shown);
        // In (0, 1], so that its logarithm is finite.
        let u = 1.0 - self.0.seed.stream(candidate.id.as_str()).unit(0);
        Ranked {
            candidate,
            place: Place {
                is_fresh_in_mind: seen.is_some() && seen == newest,
                turn: (f64::from(candidate.n_shown) / weight).ceil() as u32,
                seen,
            },
            small,
            rarity,
            rarest: rarest.copied(),
            draw: u.ln() / weight,
        }
    }
}

const CANDIDATES: &str = "the list of candidates";

/// Who comes first: fields in the order in which they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    is_fresh_in_mind: bool,
    turn: u32,
    seen: Option<u32>,
}

struct Ranked<'a> {
    candidate: &'a HoneypotCandidate<'a>,
    place: Place,
    small: f64,
    rarity: f64,
    rarest: Option<ClassIdx>,
    draw: f64,
}

impl Ranked<'_> {
    fn weight(&self) -> f64 {
        1.0 + self.small + self.rarity
    }

    /// `next` is the place of the first candidate that is not picked: those of the same place were drawn.
    fn reason(&self, next: Option<Place>, schema: &ClassSchema) -> HoneypotReason {
        let is_drawn = next == Some(self.place);
        let is_early = self.place.turn < self.candidate.n_shown;
        let class = self.rarest.and_then(|c| schema.name(c));
        match class {
            _ if !(is_drawn || is_early) || self.weight() <= 1.0 => HoneypotReason::Rotation,
            Some(class) if self.small < self.rarity => HoneypotReason::RareClass { class: class.to_owned() },
            _ => HoneypotReason::Small,
        }
    }
}

struct Counts {
    n_objects: usize,
    n_small: usize,
    classes: BTreeMap<ClassIdx, usize>,
}

impl Counts {
    fn of(candidate: &HoneypotCandidate<'_>, schema: &ClassSchema, small_area: f64) -> Result<Self> {
        let objects: Vec<(usize, ClassIdx, bool)> = match candidate.objects {
            HoneypotObjects::Boxes(boxes) => {
                let counted = boxes.iter().enumerate().filter(|(_, b)| !b.is_crowd);
                counted.map(|(i, b)| (i, b.class, b.effective_area() < small_area)).collect()
            }
            HoneypotObjects::Cuboids(cuboids) => {
                cuboids.iter().enumerate().map(|(i, c)| (i, c.class, false)).collect()
            }
        };
        let mut counts = Self { n_objects: objects.len(), n_small: 0, classes: BTreeMap::new() };
        for (box_idx, class, is_small) in objects {
            if schema.n_classes() <= class.as_usize() {
                return Err(QaError::ClassOutOfSchema {
                    round: CANDIDATES.to_owned(),
                    id: candidate.id.clone(),
                    box_idx,
                    found: class.0,
                    n_classes: schema.n_classes(),
                });
            }
            counts.n_small += usize::from(is_small);
            *counts.classes.entry(class).or_default() += 1;
        }
        Ok(counts)
    }
}

/// The batch and its honeypots in one list, in an order that does not tell one from the other: every arrangement is
/// equally likely, and it depends on the seed and on which samples there are, not on which of them are golden nor on the
/// order given. Whatever is in both lists comes once. O(n log n).
///
/// ```
/// use labelloop_core::{SampleId, Seed};
/// use labelloop_qa::mix;
///
/// let ids: Vec<SampleId> = ["a", "b", "c", "d"].map(|id| SampleId::new(id).unwrap()).to_vec();
/// let list = mix(&ids[..3], &ids[3..], Seed::new(7));
/// assert_eq!(list.len(), 4);
/// assert_eq!(list, mix(&ids[1..], &ids[..1], Seed::new(7)), "who is golden does not show");
/// ```
pub fn mix(batch: &[SampleId], honeypots: &[SampleId], seed: Seed) -> Vec<SampleId> {
    let all: BTreeSet<&SampleId> = batch.iter().chain(honeypots).collect();
    let mut keyed: Vec<(u64, &SampleId)> =
        all.into_iter().map(|id| (seed.stream(id.as_str()).bits(0), id)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, id)| id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, Cuboid, CuboidFrame};

    use super::*;

    fn ids(n: usize) -> Vec<SampleId> {
        (0..n).map(|i| SampleId::new(format!("g{i:02}")).unwrap()).collect()
    }

    fn marked(class: u32, side: f64) -> LabelledBox {
        LabelledBox::new(ClassIdx(class), BBox::new(0.0, 0.0, side, side).unwrap())
    }

    fn new<'a>(id: &'a SampleId, boxes: &'a [LabelledBox]) -> HoneypotCandidate<'a> {
        HoneypotCandidate { id, objects: HoneypotObjects::Boxes(boxes), n_shown: 0, last_shown: None }
    }

    fn schema() -> ClassSchema {
        ClassSchema::new(["car", "van", "bus"]).unwrap()
    }

    fn first(n: usize) -> HoneypotParams {
        HoneypotParams { n, ..HoneypotParams::default() }
    }

    #[test]
    fn defaults_are_as_documented() {
        let p = HoneypotParams::default();
        assert_eq!((p.n, p.seed, p.small_area), (20, Seed::new(0), 1024.0));
        assert_eq!((p.small_boost, p.rare_boost, p.rare_share), (2.0, 2.0, 0.5));
        let back: HoneypotParams = serde_json::from_str(&serde_json::to_string(&p).unwrap()).unwrap();
        assert_eq!(back, p);
    }

    #[test]
    fn a_small_area_that_is_none_is_refused() {
        let e = HoneypotParams { small_area: -1.0, ..first(1) }.check().unwrap_err();
        assert!(matches!(e, QaError::InvalidParam { name: "small_area", .. }));
    }

    #[test]
    fn a_small_boost_that_is_none_is_refused() {
        let e = HoneypotParams { small_boost: f64::INFINITY, ..first(1) }.check().unwrap_err();
        assert!(matches!(e, QaError::InvalidParam { name: "small_boost", .. }));
    }

    #[test]
    fn a_rare_boost_that_is_none_is_refused() {
        let e = HoneypotParams { rare_boost: f64::NAN, ..first(1) }.check().unwrap_err();
        assert!(matches!(e, QaError::InvalidParam { name: "rare_boost", .. }));
    }

    #[test]
    fn a_rare_share_that_is_none_is_refused() {
        let e = HoneypotParams { rare_share: 1.5, ..first(1) }.check().unwrap_err();
        assert!(matches!(e, QaError::InvalidParam { name: "rare_share", .. }));
    }

    #[test]
    fn a_sample_listed_twice_and_a_class_beyond_the_schema_are_refused() {
        let (ids, boxes) = (ids(1), [marked(9, 50.0)]);
        let twice = choose_honeypots(&[new(&ids[0], &[]), new(&ids[0], &[])], &schema(), &first(1));
        assert!(matches!(twice, Err(QaError::DuplicateImage { id, .. }) if id == ids[0]));
        let beyond = choose_honeypots(&[new(&ids[0], &boxes)], &schema(), &first(1));
        assert!(matches!(beyond, Err(QaError::ClassOutOfSchema { found: 9, n_classes: 3, .. })));
    }

    #[test]
    fn as_many_as_there_are_is_all_and_none_is_none() {
        let (ids, boxes) = (ids(4), [marked(0, 50.0)]);
        let candidates: Vec<_> = ids.iter().map(|id| new(id, &boxes)).collect();
        for n in [4, 9] {
            let picks = choose_honeypots(&candidates, &schema(), &first(n)).unwrap();
            assert_eq!(picks.iter().map(|p| p.id.clone()).collect::<Vec<_>>(), ids);
            assert!(picks.iter().all(|p| p.reason == HoneypotReason::All));
        }
        assert!(choose_honeypots(&candidates, &schema(), &first(0)).unwrap().is_empty());
        assert!(choose_honeypots(&[], &schema(), &first(3)).unwrap().is_empty());
    }

    #[test]
    fn who_was_not_shown_for_longest_comes_first_and_the_last_batch_last() {
        let (ids, boxes) = (ids(4), [marked(0, 50.0)]);
        let shown = [(1, Some(2)), (2, Some(0)), (1, Some(1)), (0, None)];
        let mut candidates: Vec<_> = ids.iter().map(|id| new(id, &boxes)).collect();
        for (c, (n, last)) in candidates.iter_mut().zip(shown) {
            (c.n_shown, c.last_shown) = (n, last);
        }
        let chosen = |n| {
            let picks = choose_honeypots(&candidates, &schema(), &first(n)).unwrap();
            picks.into_iter().map(|p| p.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(chosen(1), ["g03"], "never shown");
        assert_eq!(chosen(2), ["g02", "g03"], "then shown once");
        assert_eq!(
            chosen(3),
            ["g01", "g02", "g03"],
            "g00 is fresh in mind, though shown less often than g01"
        );
    }

    #[test]
    fn reasons_say_what_decided() {
        let ids = ids(6);
        let (plain, small, rare) = ([marked(0, 50.0)], [marked(0, 9.0)], [marked(1, 50.0)]);
        let many = vec![marked(0, 50.0); 9];
        let boxes: [&[LabelledBox]; 6] = [&plain, &small, &rare, &many, &[], &plain];
        let candidates: Vec<_> = ids.iter().zip(boxes).map(|(id, b)| new(id, b)).collect();
        let mut found = BTreeMap::new();
        for seed in 0..40 {
            let params = HoneypotParams { seed: Seed::new(seed), ..first(3) };
            for pick in choose_honeypots(&candidates, &schema(), &params).unwrap() {
                found.insert(pick.id.to_string(), pick.reason.to_string());
            }
        }
        let of = |id: &str| found[id].as_str();
        assert_eq!((of("g01"), of("g02")), ("small objects", "rare class van"));
        assert_eq!((of("g00"), of("g03"), of("g04")), ("rotation", "rotation", "rotation"));
    }

    #[test]
    fn crowds_do_not_count_and_cuboids_are_never_small() {
        let ids = ids(3);
        let crowd = [LabelledBox { is_crowd: true, ..marked(1, 9.0) }];
        let cuboid = Cuboid::new([5.0; 3], [0.1; 3], 0.0, CuboidFrame::Lidar).unwrap();
        let cuboids = [LabelledCuboid { class: ClassIdx(0), cuboid, annotator: None }];
        let scan = HoneypotObjects::Cuboids(&cuboids);
        let candidates = [
            new(&ids[0], &crowd),
            HoneypotCandidate { objects: scan, ..new(&ids[1], &[]) },
            new(&ids[2], &[]),
        ];
        let picks = choose_honeypots(&candidates, &schema(), &first(9)).unwrap();
        assert!(picks.iter().all(|p| p.weight == 1.0), "{picks:?}");
    }
}
