use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::SampleId;

use super::item::Item;
use super::{GoldenImage, GoldenScan, Round, ScanRound};

/// Calibration is done without where fewer than this share of the samples have been labelled before: the test of all
/// samples against the margins then says more than that of a few against their past.
pub const LEAST_COVERED: f64 = 0.5;

/// Calibration rounds put together from earlier labellings.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlierRounds<I> {
    /// Round k holds the k-th oldest earlier labelling of every sample that is not left out; all of the same samples.
    pub rounds: Vec<Vec<I>>,
    /// Samples of the current round that were not labelled often enough before, in order: they cannot be compared and have
    /// to be left out of reference and current round as well. None where there are no rounds.
    pub left_out: Vec<SampleId>,
}

impl<I> EarlierRounds<I> {
    /// Whether a sample is left out of the comparison.
    pub fn is_left_out(&self, id: &SampleId) -> bool {
        self.left_out.binary_search(id).is_ok()
    }
}

/// Calibration rounds for a round that shows a part of the golden set: round k takes the k-th oldest earlier labelling of
/// every image, whichever round that was in.
///
/// `current` are the images at hand, `earlier` the rounds that are known to be good, the oldest first, each of any images.
/// There are as many rounds K, up to `n_wanted`, as make the comparison know most: the variance of current minus mean of
/// K goes with `(K + 1) / K` and that of n images with `1 / n`, so K maximises `n(K) * K / (K + 1)`, with n(K) the images
/// that were labelled at least K times; the larger K among equals. There is none where that leaves fewer than
/// [`LEAST_COVERED`] of the images.
///
/// The test asks for nothing else than exchange within an image: if nothing changed, the labellings of one image could
/// have come in any order. That holds for its labellings whichever rounds they are from, so false alarms are as with whole
/// rounds. What rounds vary as a whole shows less, though, where one calibration round is put together from several.
///
/// The oldest labellings are taken, as with whole rounds: were it the newest, labels could drift by a little every round
/// and each round would vouch for the next. Of an image that a round holds twice the first counts.
/// O(images x rounds x log) time.
///
/// ```
/// use labelloop_core::{ImageSize, SampleId};
/// use labelloop_qa::{GoldenImage, earlier_rounds};
///
/// let (a, b, c, size) = (SampleId::new("a")?, SampleId::new("b")?, SampleId::new("c")?, ImageSize::new(9, 9)?);
/// let image = |id| GoldenImage { id, size, boxes: &[] };
/// let earlier = [vec![image(&a)], vec![image(&b)], vec![image(&a), image(&b)]];
/// let found = earlier_rounds(&[image(&a), image(&b), image(&c)], &earlier, 2);
/// assert_eq!((found.rounds.len(), found.rounds[0].len()), (2, 2), "a and b were labelled twice");
/// assert_eq!(found.left_out, [c]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn earlier_rounds<'a>(
    current: &[GoldenImage<'a>],
    earlier: &[Round<'a>],
    n_wanted: usize,
) -> EarlierRounds<GoldenImage<'a>> {
    put_together(current, earlier, n_wanted)
}

/// [`earlier_rounds`] of point clouds.
pub fn earlier_scan_rounds<'a>(
    current: &[GoldenScan<'a>],
    earlier: &[ScanRound<'a>],
    n_wanted: usize,
) -> EarlierRounds<GoldenScan<'a>> {
    put_together(current, earlier, n_wanted)
}

fn put_together<'a, I: Item<'a>>(current: &[I], earlier: &[Vec<I>], n_wanted: usize) -> EarlierRounds<I> {
    let mut labellings: BTreeMap<&SampleId, Vec<I>> = current.iter().map(|i| (i.id(), Vec::new())).collect();
    for round in earlier {
        let mut seen = BTreeSet::new();
        for item in round.iter().filter(|item| seen.insert(item.id())) {
            if let Some(list) = labellings.get_mut(item.id()) {
                list.push(*item);
            }
        }
    }
    let n_rounds = n_rounds(labellings.values().map(Vec::len), n_wanted);
    if n_rounds == 0 {
        return EarlierRounds { rounds: Vec::new(), left_out: Vec::new() };
    }
    let is_covered = |list: &Vec<I>| n_rounds <= list.len();
    let left_out = labellings.iter().filter(|(_, l)| !is_covered(l)).map(|(id, _)| (*id).clone()).collect();
    let rounds = (0..n_rounds)
        .map(|k| labellings.values().filter(|l| is_covered(l)).map(|list| list[k]).collect())
        .collect();
    EarlierRounds { rounds, left_out }
}

/// How many rounds to put together from images that were labelled so often.
fn n_rounds(n_labellings: impl Iterator<Item = usize>, n_wanted: usize) -> usize {
    let mut at_most: Vec<usize> = n_labellings.collect();
    let n_images = at_most.len();
    at_most.sort_unstable_by(|a, b| b.cmp(a));
    let n_of = |k: usize| at_most.partition_point(|n| k <= *n);
    let most = at_most.first().copied().unwrap_or(0).min(n_wanted);
    // n K / (K + 1) of one K against another, in whole numbers, so that equals are equal.
    let knows_more = |k: usize, best: usize| {
        let worth = |a: usize, b: usize| n_of(a) as u128 * a as u128 * (b as u128 + 1);
        worth(best, k) <= worth(k, best)
    };
    let is_enough = |k: usize| LEAST_COVERED * n_images as f64 <= n_of(k) as f64;
    (1..=most).filter(|k| is_enough(*k)).fold(0, |best, k| if knows_more(k, best) { k } else { best })
}

#[cfg(test)]
mod tests {
    use labelloop_core::ImageSize;
    use proptest::prelude::*;

    use super::*;

    fn best(counts: &[usize], n_wanted: usize) -> usize {
        n_rounds(counts.iter().copied(), n_wanted)
    }

    #[test]
    fn whole_rounds_stay_whole_rounds() {
        assert_eq!(best(&[3; 10], 2), 2);
        assert_eq!(best(&[1; 10], 2), 1);
        assert_eq!((best(&[0; 10], 2), best(&[], 2), best(&[3; 10], 0)), (0, 0, 0));
    }

    #[test]
    fn a_second_labelling_of_a_few_is_not_worth_the_others() {
        // 10 / 2 of one round against 6 * 2 / 3 of two: the one round knows more; 8 * 2 / 3 is better.
        let counts =
            |n_twice: usize| -> Vec<usize> { (0..10).map(|i| 1 + usize::from(i < n_twice)).collect() };
        assert_eq!((best(&counts(6), 2), best(&counts(8), 2)), (1, 2));
        // 9 * 2 / 3 = 6 = 12 / 2: among equals the more rounds, which show how much rounds differ.
        let tied: Vec<usize> = (0..12).map(|i| 1 + usize::from(i < 9)).collect();
        assert_eq!(best(&tied, 2), 2);
    }

    #[test]
    fn few_images_with_a_past_are_no_calibration() {
        let counts: Vec<usize> = (0..10).map(|i| if i < 4 { 3 } else { 0 }).collect();
        assert_eq!(best(&counts, 3), 0);
        let counts: Vec<usize> = (0..10).map(|i| if i < 5 { 3 } else { 0 }).collect();
        assert_eq!(best(&counts, 3), 3, "half of them is enough");
    }

    #[test]
    fn an_image_that_a_round_holds_twice_counts_once_and_strangers_do_not() {
        let ids = ["a", "x"].map(|id| SampleId::new(id).unwrap());
        let size = ImageSize::new(9, 9).unwrap();
        let [a, x] = [0, 1].map(|i| GoldenImage { id: &ids[i], size, boxes: &[] });
        let found = earlier_rounds(&[a], &[vec![a, a, x], vec![x]], 2);
        assert_eq!((found.rounds, found.left_out.len()), (vec![vec![a]], 0));
    }

    proptest! {
        /// The definition, slow and obvious: every K, its images, and the largest n K / (K + 1).
        #[test]
        fn the_number_of_rounds_is_the_best_one(
            counts in prop::collection::vec(0..6usize, 0..30), n_wanted in 0..6usize,
        ) {
            let n = |k: usize| counts.iter().filter(|c| k <= **c).count();
            let worth = |k: usize| n(k) as f64 * k as f64 / (k as f64 + 1.0);
            let allowed: Vec<usize> = (1..=n_wanted).filter(|k| 0 < n(*k) && counts.len() <= 2 * n(*k)).collect();
            let found = best(&counts, n_wanted);
            prop_assert_eq!(found == 0, allowed.is_empty());
            for k in allowed {
                prop_assert!(worth(k) < worth(found) + 1e-9 && (worth(k) + 1e-9 < worth(found) || k <= found));
            }
        }
    }
}
