use std::collections::BTreeMap;

use labelloop_core::{ClassIdx, ClassSchema};
use serde::{Deserialize, Serialize};

use crate::golden::require;
use crate::{QaError, Result};

/// Objects with their classes, the pictures they are in, and the objects that look like them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NeighbourObjects<'a> {
    /// Class of each object as labelled.
    pub classes: &'a [ClassIdx],
    /// Picture of each object, or a larger unit such as a recording: any number that is the same for objects which must
    /// not speak about each other.
    pub parents: &'a [u32],
    /// For each object, other objects (positions in `classes`) and how similar they are, larger being nearer. Nearest
    /// first, as `labelloop-index` gives them; the object itself and others of its picture may be among them and are
    /// passed over.
    pub neighbours: &'a [Vec<(u32, f32)>],
}

/// Parameters of [`neighbour_suspects`], before they are checked.
///
/// ```
/// use labelloop_qa::NeighbourParams;
///
/// assert!(NeighbourParams::default().check().is_ok());
/// assert!(NeighbourParams { k: 0, ..NeighbourParams::default() }.check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NeighbourParams {
    /// Neighbours in other pictures that are asked. Default: 10.
    pub k: usize,
    /// Neighbours that the classes' shares count for, so that few neighbours say little. Default: 2.
    pub prior_strength: f64,
    /// Objects less suspicious than this are left out. Default: 0.5, where another class is as likely as the label's.
    pub min_suspicion: f64,
}

impl Default for NeighbourParams {
    fn default() -> Self {
        Self { k: 10, prior_strength: 2.0, min_suspicion: 0.5 }
    }
}

/// Parameters within their ranges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NeighbourValidParams(NeighbourParams);

impl NeighbourParams {
    /// # Errors
    /// [`QaError::InvalidParam`] with the parameter, its value and its range.
    pub fn check(&self) -> Result<NeighbourValidParams> {
        require((1..=1000).contains(&self.k), "k", self.k as f64, "1 to 1000 neighbours")?;
        let strength = self.prior_strength;
        require(
            0.0 < strength && strength <= 1e6,
            "prior_strength",
            strength,
            "a number above 0, at most 1e6",
        )?;
        let least = self.min_suspicion;
        require((0.0..=1.0).contains(&least), "min_suspicion", least, "a number from 0 to 1")?;
        Ok(NeighbourValidParams(*self))
    }
}

/// A label whose neighbours in other pictures are labelled otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NeighbourSuspect {
    /// Position of the object.
    pub object: usize,
    /// Its class as labelled.
    pub class: ClassIdx,
    /// The class that its neighbours speak for.
    pub suggested: ClassIdx,
    /// How much speaks against the label, in `[0, 1]`; above 0.5 another class is likelier. It ranks; it is no
    /// probability.
    pub suspicion: f64,
    /// Neighbours in other pictures that were asked.
    pub n_asked: usize,
    /// Those of the label's class.
    pub n_same: usize,
    /// Those of the suggested class.
    pub n_suggested: usize,
    /// The nearest ones of the suggested class, nearest first, three at most: look at these beside the object.
    pub examples: Vec<usize>,
}

impl NeighbourSuspect {
    /// Why, in words.
    ///
    /// ```
    /// use labelloop_core::{ClassIdx, ClassSchema};
    /// use labelloop_qa::NeighbourSuspect;
    ///
    /// let (class, suggested) = (ClassIdx(0), ClassIdx(1));
    /// let (n_asked, n_same, n_suggested) = (10, 1, 9);
    /// let suspect =
    ///     NeighbourSuspect { object: 7, class, suggested, suspicion: 0.8, n_asked, n_same, n_suggested, examples: vec![] };
    /// let reason = suspect.reason(&ClassSchema::new(["car", "van"])?);
    /// assert_eq!(reason, "labelled car, but of its 10 nearest in other pictures 9 are van and 1 is car");
    /// # Ok::<(), labelloop_core::CoreError>(())
    /// ```
    pub fn reason(&self, schema: &ClassSchema) -> String {
        let name = |class| schema.name(class).unwrap_or("unknown");
        let are = |n: usize| match n {
            0 => "none is".to_owned(),
            1 => "1 is".to_owned(),
            n => format!("{n} are"),
        };
        let (class, suggested) = (name(self.class), name(self.suggested));
        format!(
            "labelled {class}, but of its {} nearest in other pictures {} {suggested} and {} {class}",
            self.n_asked,
            are(self.n_suggested),
            are(self.n_same),
        )
    }
}

/// What neighbours say about labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NeighbourReport {
    /// The most suspicious first, ties by position.
    pub suspects: Vec<NeighbourSuspect>,
    /// Objects that were judged.
    pub n_judged: usize,
    /// Objects that nothing in another picture was given for.
    pub n_without_neighbours: usize,
}

/// Which labels disagree with those of the objects that look like them.
///
/// Each object's `k` nearest in other pictures vote. With `n` votes, `v` of them for a class, `q` the share of that class
/// among all objects and `m` the strength of the prior, the class has `p = (v + m q) / (n + m)`; the suspicion is half of
/// one plus the best other class's `p` minus the label's own: the normalised margin of Northcutt, Jiang and Chuang (2021,
/// section 3.2) with k-nearest-neighbour estimates that never saw the object. Objects of one picture share light, camera
/// and often the mistake, so they never speak about each other.
///
/// This finds classes that were mixed up. It says nothing about objects that nobody marked or boxes in the wrong place
/// ([`suspects`](crate::suspects) does), and systematic mistakes, which neighbours share, stay hidden. O(n k) and the sort.
///
/// ```
/// use labelloop_core::ClassIdx;
/// use labelloop_qa::{NeighbourObjects, NeighbourParams, neighbour_suspects};
///
/// // Six objects, each in a picture of its own, in two heaps; the last one is labelled as if it were of the other.
/// let classes = [0, 0, 0, 1, 1, 0].map(ClassIdx);
/// let heap = |members: [u32; 2]| members.map(|m| (m, 0.9)).to_vec();
/// let neighbours = [heap([1, 2]), heap([0, 2]), heap([0, 1]), heap([4, 5]), heap([3, 5]), heap([3, 4])];
/// let objects = NeighbourObjects { classes: &classes, parents: &[0, 1, 2, 3, 4, 5], neighbours: &neighbours };
///
/// let report = neighbour_suspects(&objects, &NeighbourParams::default())?;
/// assert_eq!((report.suspects[0].object, report.suspects[0].suggested), (5, ClassIdx(1)));
/// # Ok::<(), labelloop_qa::QaError>(())
/// ```
///
/// # Errors
/// [`QaError::InvalidParam`], [`QaError::ObjectCount`] for lists of different length, [`QaError::NeighbourRow`] for a
/// neighbour that there is not, [`QaError::Similarity`] for one that is not a number or nearer than the one before.
pub fn neighbour_suspects(
    objects: &NeighbourObjects<'_>,
    params: &NeighbourParams,
) -> Result<NeighbourReport> {
    params.check()?.neighbour_suspects(objects)
}

impl NeighbourValidParams {
    /// [`neighbour_suspects`] with checked parameters.
    ///
    /// # Errors
    /// As there, without [`QaError::InvalidParam`].
    pub fn neighbour_suspects(&self, objects: &NeighbourObjects<'_>) -> Result<NeighbourReport> {
        check(objects)?;
        let shares = shares(objects.classes);
        let mut report = NeighbourReport { suspects: Vec::new(), n_judged: 0, n_without_neighbours: 0 };
        for object in 0..objects.classes.len() {
            match self.judge(objects, object, &shares) {
                Some(suspect) => {
                    report.n_judged += 1;
                    if self.0.min_suspicion <= suspect.suspicion && suspect.suggested != suspect.class {
                        report.suspects.push(suspect);
                    }
                }
                None => report.n_without_neighbours += 1,
            }
        }
        report.suspects.sort_by(|a, b| b.suspicion.total_cmp(&a.suspicion).then(a.object.cmp(&b.object)));
        Ok(report)
    }

    fn judge(
        &self,
        objects: &NeighbourObjects<'_>,
        object: usize,
        shares: &BTreeMap<ClassIdx, f64>,
    ) -> Option<NeighbourSuspect> {
        let class = objects.classes[object];
        let asked = asked(objects, object, self.0.k);
        if asked.is_empty() {
            return None;
        }
        let mut votes: BTreeMap<ClassIdx, usize> = BTreeMap::new();
        for neighbour in &asked {
            *votes.entry(objects.classes[*neighbour]).or_default() += 1;
        }
        let n_of = |class| votes.get(&class).copied().unwrap_or(0);
        let m = self.0.prior_strength;
        let p = |class: ClassIdx, share: f64| (n_of(class) as f64 + m * share) / (asked.len() as f64 + m);
        let own = p(class, shares.get(&class).copied().unwrap_or(0.0));
        let others =
            shares.iter().filter(|(other, _)| **other != class).map(|(other, q)| (*other, p(*other, *q)));
        // The first of equals: classes come in order.
        let best = others.fold(None, |best: Option<(ClassIdx, f64)>, other| match best {
            Some(best) if other.1 <= best.1 => Some(best),
            _ => Some(other),
        });
        let (suggested, best) = best.unwrap_or((class, 0.0));
        let of_suggested = asked.iter().filter(|n| objects.classes[**n] == suggested);
        Some(NeighbourSuspect {
            object,
            class,
            suggested,
            suspicion: f64::midpoint(1.0, best - own).clamp(0.0, 1.0),
            n_asked: asked.len(),
            n_same: n_of(class),
            n_suggested: if suggested == class { 0 } else { n_of(suggested) },
            examples: of_suggested.take(3).copied().collect(),
        })
    }
}

/// The first `k` neighbours in other pictures.
fn asked(objects: &NeighbourObjects<'_>, object: usize, k: usize) -> Vec<usize> {
    let parent = objects.parents[object];
    let rows = objects.neighbours[object].iter().map(|(row, _)| *row as usize);
    rows.filter(|row| *row != object && objects.parents[*row] != parent).take(k).collect()
}

fn shares(classes: &[ClassIdx]) -> BTreeMap<ClassIdx, f64> {
    let mut counts: BTreeMap<ClassIdx, usize> = BTreeMap::new();
    for class in classes {
        *counts.entry(*class).or_default() += 1;
    }
    counts.into_iter().map(|(class, n)| (class, n as f64 / classes.len() as f64)).collect()
}

fn check(objects: &NeighbourObjects<'_>) -> Result<()> {
    let n_objects = objects.classes.len();
    for (what, found) in [("parents", objects.parents.len()), ("neighbour lists", objects.neighbours.len())] {
        if found != n_objects {
            return Err(QaError::ObjectCount { what, found, expected: n_objects });
        }
    }
    for (object, list) in objects.neighbours.iter().enumerate() {
        let mut before = f32::INFINITY;
        for (found, similarity) in list {
            if n_objects <= *found as usize {
                return Err(QaError::NeighbourRow { object, found: *found, n_objects });
            }
            if !(*similarity <= before) {
                return Err(QaError::Similarity { object, found: *similarity, before });
            }
            before = *similarity;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;
    use proptest::prelude::*;

    use super::*;

    /// Objects on a line, each in a picture of its own, with all others as neighbours.
    fn lists(places: &[f64]) -> Vec<Vec<(u32, f32)>> {
        let of = |at: &f64| {
            let near = |i: usize| -(places[i] - at).abs() as f32;
            let mut list: Vec<(u32, f32)> = (0..places.len()).map(|i| (i as u32, near(i))).collect();
            list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            list
        };
        places.iter().map(of).collect()
    }

    fn report(
        places: &[f64],
        classes: &[u32],
        parents: &[u32],
        params: NeighbourParams,
    ) -> Result<NeighbourReport> {
        let classes: Vec<ClassIdx> = classes.iter().map(|c| ClassIdx(*c)).collect();
        let neighbours = lists(places);
        neighbour_suspects(&NeighbourObjects { classes: &classes, parents, neighbours: &neighbours }, &params)
    }

    fn all() -> NeighbourParams {
        NeighbourParams { k: 3, min_suspicion: 0.0, ..NeighbourParams::default() }
    }

    #[test]
    fn defaults_are_the_documented_ones_and_valid() {
        let params = NeighbourParams::default();
        assert_eq!((params.k, params.prior_strength, params.min_suspicion), (10, 2.0, 0.5));
        assert!(params.check().is_ok());
    }

    #[test]
    fn numbers_of_neighbours_out_of_range_are_refused() {
        for k in [0, 1001] {
            let refused = NeighbourParams { k, ..Default::default() }.check();
            assert!(matches!(refused, Err(QaError::InvalidParam { name: "k", .. })));
        }
    }

    #[test]
    fn strengths_out_of_range_are_refused() {
        for prior_strength in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let refused = NeighbourParams { prior_strength, ..Default::default() }.check();
            assert!(matches!(refused, Err(QaError::InvalidParam { name: "prior_strength", .. })));
        }
    }

    #[test]
    fn least_suspicions_out_of_range_are_refused() {
        for min_suspicion in [-0.1, 1.1, f64::NAN] {
            let refused = NeighbourParams { min_suspicion, ..Default::default() }.check();
            assert!(matches!(refused, Err(QaError::InvalidParam { name: "min_suspicion", .. })));
        }
    }

    #[test]
    fn the_suspicion_is_what_the_formula_gives() {
        // Object 3 is of class 1 among three of class 0: votes 3 and 0, shares 3/4 and 1/4, strength 2.
        let found = report(&[0.0, 1.0, 2.0, 3.0], &[0, 0, 0, 1], &[0, 1, 2, 3], all()).unwrap();
        let first = &found.suspects[0];
        let (own, other) = ((0.0 + 2.0 * 0.25) / 5.0, (3.0 + 2.0 * 0.75) / 5.0);
        assert_eq!((first.object, first.suggested, first.n_same, first.n_suggested), (3, ClassIdx(0), 0, 3));
        assert!((first.suspicion - (1.0 + other - own) / 2.0).abs() < 1e-12);
        assert_eq!(first.examples, [2, 1, 0]);
    }

    #[test]
    fn objects_of_the_same_picture_say_nothing() {
        let found = report(&[0.0, 1.0, 2.0, 3.0], &[0, 0, 0, 1], &[0, 0, 0, 0], all()).unwrap();
        assert_eq!((found.n_judged, found.n_without_neighbours, found.suspects.len()), (0, 4, 0));
        let found = report(&[0.0, 1.0, 2.0, 3.0], &[0, 0, 0, 1], &[0, 1, 2, 2], all()).unwrap();
        let last = found.suspects.iter().find(|s| s.object == 3).unwrap();
        assert_eq!((last.n_asked, last.n_suggested), (2, 2));
    }

    #[test]
    fn one_class_alone_raises_no_suspicion() {
        let found = report(&[0.0, 1.0, 2.0], &[4, 4, 4], &[0, 1, 2], all()).unwrap();
        assert_eq!((found.n_judged, found.suspects.len()), (3, 0));
    }

    #[test]
    fn nothing_at_all_is_an_empty_report() {
        let found = report(&[], &[], &[], all()).unwrap();
        assert_eq!((found.n_judged, found.n_without_neighbours), (0, 0));
    }

    #[test]
    fn lists_of_another_length_are_refused() {
        let refused = report(&[0.0, 1.0], &[0, 0], &[0], all()).unwrap_err();
        assert_eq!(refused.to_string(), "1 parents of 2 objects: expected one for each object");
        let refused = report(&[0.0], &[0, 0], &[0, 1], all()).unwrap_err();
        assert!(matches!(refused, QaError::ObjectCount { what: "neighbour lists", found: 1, expected: 2 }));
    }

    #[test]
    fn neighbours_that_there_are_not_are_refused() {
        let neighbours = [vec![(1, 0.5)], vec![(9, 0.5)]];
        let objects =
            NeighbourObjects { classes: &[ClassIdx(0); 2], parents: &[0, 1], neighbours: &neighbours };
        let refused = neighbour_suspects(&objects, &all()).unwrap_err();
        assert_eq!(refused, QaError::NeighbourRow { object: 1, found: 9, n_objects: 2 });
    }

    #[test]
    fn similarities_that_rise_or_are_no_numbers_are_refused() {
        for similarity in [0.6, f32::NAN] {
            let neighbours = [vec![(1, 0.5), (1, similarity)], vec![]];
            let objects =
                NeighbourObjects { classes: &[ClassIdx(0); 2], parents: &[0, 1], neighbours: &neighbours };
            let refused = neighbour_suspects(&objects, &all()).unwrap_err();
            assert!(matches!(refused, QaError::Similarity { object: 0, before: 0.5, .. }), "{refused}");
        }
    }

    #[test]
    fn swapped_labels_among_two_heaps_come_first() {
        let noise = Seed::new(3);
        let places: Vec<f64> = (0..200).map(|i| f64::from(i % 2) * 10.0 + noise.normal(i as u64)).collect();
        let swapped = [7, 30, 90, 121];
        let class = |i: u32| (i % 2) ^ u32::from(swapped.contains(&i));
        let classes: Vec<u32> = (0..200).map(class).collect();
        let parents: Vec<u32> = (0..200).collect();
        let found = report(&places, &classes, &parents, NeighbourParams::default()).unwrap();
        let mut first: Vec<usize> = found.suspects.iter().take(4).map(|s| s.object).collect();
        first.sort_unstable();
        assert_eq!(first, [7, 30, 90, 121]);
        assert_eq!(found.suspects.len(), 4);
    }

    /// The definition, without a thought for speed.
    fn slow(places: &[f64], classes: &[u32], parents: &[u32], k: usize, m: f64) -> Vec<Option<f64>> {
        let n = classes.len();
        let judge = |i: usize| {
            let mut others: Vec<usize> = (0..n).filter(|j| parents[*j] != parents[i]).collect();
            others.sort_by(|a, b| {
                let far = |j: usize| (places[j] - places[i]).abs() as f32;
                far(*a).total_cmp(&far(*b)).then(a.cmp(b))
            });
            others.truncate(k);
            if others.is_empty() {
                return None;
            }
            let p = |c: u32| {
                let votes = others.iter().filter(|j| classes[**j] == c).count() as f64;
                let share = classes.iter().filter(|d| **d == c).count() as f64 / n as f64;
                (votes + m * share) / (others.len() as f64 + m)
            };
            let best = classes.iter().filter(|c| **c != classes[i]).map(|c| p(*c)).fold(0.0, f64::max);
            Some(((1.0 + best - p(classes[i])) / 2.0).clamp(0.0, 1.0))
        };
        (0..n).map(judge).collect()
    }

    proptest! {
        #[test]
        fn the_suspicion_is_what_the_definition_says(
            objects in proptest::collection::vec((-9.0..9.0f64, 0..3u32, 0..4u32), 1..30), k in 1..6usize, m in 0.1..9.0f64,
        ) {
            let places: Vec<f64> = objects.iter().map(|o| o.0).collect();
            let classes: Vec<u32> = objects.iter().map(|o| o.1).collect();
            let parents: Vec<u32> = objects.iter().map(|o| o.2).collect();
            let params = NeighbourParams { k, prior_strength: m, min_suspicion: 0.0 };
            let found = report(&places, &classes, &parents, params).unwrap();
            let expected = slow(&places, &classes, &parents, k, m);
            prop_assert_eq!(found.n_without_neighbours, expected.iter().filter(|e| e.is_none()).count());
            for suspect in &found.suspects {
                let expected = expected[suspect.object].unwrap();
                prop_assert!((suspect.suspicion - expected).abs() < 1e-12);
                prop_assert!((0.0..=1.0).contains(&suspect.suspicion) && suspect.suggested != suspect.class);
            }
            prop_assert!(found.suspects.is_sorted_by(|a, b| b.suspicion <= a.suspicion));
        }
    }
}
