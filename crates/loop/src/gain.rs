//! What the newest labels bought: the slope of F1 over labelled boxes, with an interval.

use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{GroupKey, SampleId, Seed};
use labelloop_eval::bootstrap::quantile;
use serde::{Deserialize, Serialize};

use crate::evaluation::PictureCounts;

/// F1 gained per 100 labelled boxes over the last rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gain {
    /// F1 per 100 boxes.
    pub per_100_boxes: f64,
    /// 95% interval from drawing groups of val pictures; absent with fewer than two groups or without draws.
    pub interval: Option<[f64; 2]>,
    /// Rounds that the line runs through.
    pub n_rounds: usize,
}

impl Gain {
    /// Whether the interval leaves no room for chance in the choice of val groups; `false` without an interval.
    pub fn is_shown(&self) -> bool {
        self.interval.is_some_and(|[low, _]| 0.0 < low)
    }
}

impl std::fmt::Display for Gain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:+.3}", self.per_100_boxes)?;
        if let Some([low, high]) = self.interval {
            write!(f, " [{low:+.3}, {high:+.3}]")?;
        }
        write!(f, " per 100 boxes over {} rounds", self.n_rounds)
    }
}

/// A round as [`gain`] sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GainRound<'a> {
    /// Boxes that the model was trained on.
    pub n_boxes: usize,
    /// What it found and missed on val, at its own score threshold.
    pub images: &'a [PictureCounts],
}

/// The least-squares line of F1 over labelled boxes through the given rounds.
///
/// The interval is a paired percentile bootstrap (Efron and Tibshirani 1993, section 13.3): groups of val pictures are
/// drawn with replacement, every round is scored on the same draw, and the line is laid anew. Rounds are measured on
/// the same pictures, so what makes one draw hard makes it hard for all of them and leaves the slope alone; intervals of
/// the rounds taken one by one would not know that. As with F1's own interval, the luck of training and the choice of
/// the threshold are left out.
///
/// Only pictures that all rounds scored and that have a group count. None where fewer than two rounds are left, where
/// their numbers of boxes are all the same, or where an F1 does not exist. O(draws x groups x rounds) time.
///
/// ```
/// use labelloop_core::{GroupKey, SampleId, Seed};
/// use labelloop_loop::evaluation::PictureCounts;
/// use labelloop_loop::gain::{GainRound, gain};
///
/// let ids = ["a", "b", "c"].map(|id| SampleId::new(id).unwrap());
/// let groups = ids.iter().map(|id| (id.clone(), GroupKey::new(id.as_str()).unwrap())).collect();
/// let images = |tp| ids.clone().map(|id| PictureCounts { id, tp, fp: 0, fn_: 10 - tp });
/// let (before, after) = (images(5), images(10));
/// let rounds = [GainRound { n_boxes: 100, images: &before }, GainRound { n_boxes: 300, images: &after }];
/// // F1 rose from 10 / 15 to 1 with 200 boxes, and in every group alike.
/// let found = gain(&rounds, &groups, 200, Seed::new(1)).unwrap();
/// assert!((found.per_100_boxes - 1.0 / 6.0).abs() < 1e-12);
/// assert!(found.is_shown());
/// ```
pub fn gain(
    rounds: &[GainRound<'_>],
    groups: &BTreeMap<SampleId, GroupKey>,
    n_draws: usize,
    seed: Seed,
) -> Option<Gain> {
    let boxes: Vec<f64> = rounds.iter().map(|r| r.n_boxes as f64 / 100.0).collect();
    let tallies = tallies(rounds, groups);
    let all: Vec<usize> = (0..tallies.len()).collect();
    let per_100_boxes = slope(&boxes, &scores(&tallies, &all, rounds.len())?)?;
    let interval = interval(&tallies, &boxes, n_draws, seed);
    Some(Gain { per_100_boxes, interval, n_rounds: rounds.len() })
}

/// Found, false alarms and missed.
type Counts = [usize; 3];

/// Counts of each group (in the order of their keys) in each round.
fn tallies(rounds: &[GainRound<'_>], groups: &BTreeMap<SampleId, GroupKey>) -> Vec<Vec<Counts>> {
    let ids = |r: &GainRound<'_>| -> BTreeSet<SampleId> { r.images.iter().map(|i| i.id.clone()).collect() };
    let common = rounds.iter().map(ids).reduce(|a, b| &a & &b).unwrap_or_default();
    let mut by_group: BTreeMap<&GroupKey, Vec<Counts>> = BTreeMap::new();
    for (i, round) in rounds.iter().enumerate() {
        for image in round.images.iter().filter(|image| common.contains(&image.id)) {
            let Some(group) = groups.get(&image.id) else { continue };
            let of_rounds = by_group.entry(group).or_insert_with(|| vec![[0; 3]; rounds.len()]);
            for (sum, n) in of_rounds[i].iter_mut().zip([image.tp, image.fp, image.fn_]) {
                *sum += n;
            }
        }
    }
    by_group.into_values().collect()
}

/// F1 of every round on the drawn groups; none where one of them does not exist.
fn scores(tallies: &[Vec<Counts>], drawn: &[usize], n_rounds: usize) -> Option<Vec<f64>> {
    (0..n_rounds)
        .map(|round| {
            let sum = |what: usize| drawn.iter().map(|g| tallies[*g][round][what]).sum::<usize>() as f64;
            let (tp, wrong) = (sum(0), sum(1) + sum(2));
            (0.0 < tp + wrong).then(|| 2.0 * tp / (2.0 * tp + wrong))
        })
        .collect()
}

/// Slope of the least-squares line; none where all `x` are equal.
fn slope(x: &[f64], y: &[f64]) -> Option<f64> {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let spread: f64 = x.iter().map(|x| (x - mean_x).powi(2)).sum();
    let shared: f64 = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (0.0 < spread).then(|| shared / spread)
}

fn interval(tallies: &[Vec<Counts>], boxes: &[f64], n_draws: usize, seed: Seed) -> Option<[f64; 2]> {
    let n = tallies.len();
    if n < 2 {
        return None;
    }
    let mut slopes = Vec::with_capacity(n_draws);
    for draw in 0..n_draws {
        let drawn: Vec<usize> = (0..n).map(|i| seed.below((draw * n + i) as u64, n)).collect();
        slopes.extend(scores(tallies, &drawn, boxes.len()).and_then(|f1s| slope(boxes, &f1s)));
    }
    // Draws without a label say nothing; when most are of that kind, the rest say too little.
    if 2 * slopes.len() < n_draws {
        return None;
    }
    slopes.sort_by(f64::total_cmp);
    Some([quantile(&slopes, 0.025)?, quantile(&slopes, 0.975)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One picture per group; round by round, the objects found of ten.
    fn measured(found: &[&[usize]]) -> Vec<Vec<PictureCounts>> {
        let picture = |(i, tp): (usize, &usize)| PictureCounts { id: id(i), tp: *tp, fp: 0, fn_: 10 - tp };
        found.iter().map(|round| round.iter().enumerate().map(picture).collect()).collect()
    }

    fn id(i: usize) -> SampleId {
        SampleId::new(format!("s{i:03}")).unwrap()
    }

    fn each_its_own(n: usize) -> BTreeMap<SampleId, GroupKey> {
        (0..n).map(|i| (id(i), GroupKey::new(format!("g{i:03}")).unwrap())).collect()
    }

    fn of<'a>(boxes: &[usize], images: &'a [Vec<PictureCounts>]) -> Vec<GainRound<'a>> {
        boxes.iter().zip(images).map(|(n, images)| GainRound { n_boxes: *n, images }).collect()
    }

    #[test]
    fn the_slope_is_that_of_a_least_squares_line() {
        // numpy.polyfit([1.0, 2.5, 3.0, 4.5], [0.50, 0.58, 0.55, 0.61], 1)[0]
        let found = slope(&[1.0, 2.5, 3.0, 4.5], &[0.50, 0.58, 0.55, 0.61]).unwrap();
        assert!((found - 0.0296).abs() < 1e-12, "{found}");
        assert_eq!(slope(&[2.0, 2.0], &[0.1, 0.9]), None);
    }

    #[test]
    fn quantiles_are_those_of_numpy() {
        // numpy.quantile([1, 2, 4, 8], [0.025, 0.5, 0.975])
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(
            [0.025, 0.5, 0.975].map(|q| (quantile(&sorted, q).unwrap() * 1e6).round() / 1e6),
            [1.075, 3.0, 7.7]
        );
        assert_eq!(quantile(&[3.0], 0.975), Some(3.0));
    }

    #[test]
    fn what_is_hard_for_all_rounds_leaves_the_interval_narrow() {
        // Groups differ from each other by far more than rounds do: the pairing takes that out.
        let images = measured(&[&[1, 9, 2, 8, 3, 7], &[2, 10, 3, 9, 4, 8]]);
        let found = gain(&of(&[100, 200], &images), &each_its_own(6), 500, Seed::new(3)).unwrap();
        let [low, high] = found.interval.unwrap();
        assert!(found.is_shown() && high - low < 0.06, "{found:?}");
        assert!((low..=high).contains(&found.per_100_boxes));
    }

    #[test]
    fn there_is_none_without_two_rounds_new_boxes_or_labels() {
        let images = measured(&[&[5, 5], &[6, 6]]);
        let groups = each_its_own(2);
        let gain = |rounds: &[GainRound<'_>]| gain(rounds, &groups, 50, Seed::new(0));
        assert_eq!(gain(&[]), None);
        assert_eq!(gain(&of(&[100], &images)), None);
        assert_eq!(gain(&of(&[100, 100], &images)), None);
        let mut empty = images.clone();
        for image in &mut empty[1] {
            (image.tp, image.fp, image.fn_) = (0, 0, 0);
        }
        assert_eq!(gain(&of(&[100, 200], &empty)), None);
        assert!(gain(&of(&[100, 200], &images)).is_some());
    }

    #[test]
    fn one_group_or_no_draw_gives_no_interval() {
        let images = measured(&[&[5, 5], &[6, 6]]);
        let together = (0..2).map(|i| (id(i), GroupKey::new("g").unwrap())).collect();
        let rounds = of(&[100, 200], &images);
        assert_eq!(gain(&rounds, &together, 50, Seed::new(0)).unwrap().interval, None);
        let undrawn = gain(&rounds, &each_its_own(2), 0, Seed::new(0)).unwrap();
        assert!(undrawn.interval.is_none() && !undrawn.is_shown());
    }

    #[test]
    fn pictures_that_a_round_lacks_take_no_part() {
        let mut images = measured(&[&[5, 5], &[6, 6]]);
        let expected = gain(&of(&[100, 200], &images), &each_its_own(3), 50, Seed::new(0));
        images[1].push(PictureCounts { id: id(2), tp: 90, fp: 0, fn_: 0 });
        assert_eq!(gain(&of(&[100, 200], &images), &each_its_own(3), 50, Seed::new(0)), expected);
    }

    #[test]
    fn the_interval_is_that_of_pictures_repeated_as_often_as_drawn() {
        let images = measured(&[&[1, 9, 4], &[3, 8, 6], &[2, 9, 9]]);
        let (boxes, seed, n_draws) = ([50, 120, 300], Seed::new(9), 40);
        let mut slopes: Vec<f64> = (0..n_draws)
            .map(|draw| {
                let f1 = |round: &Vec<PictureCounts>| {
                    let picked: Vec<_> = (0..3).map(|i| &round[seed.below(draw * 3 + i, 3)]).collect();
                    let tp = picked.iter().map(|p| p.tp as f64).sum::<f64>();
                    let fn_ = picked.iter().map(|p| p.fn_ as f64).sum::<f64>();
                    tp / (tp + 0.5 * fn_)
                };
                let f1s: Vec<f64> = images.iter().map(f1).collect();
                // The slope as the mean of the slopes of all pairs, weighted by their squared distance.
                let (mut shared, mut spread) = (0.0, 0.0);
                for (i, j) in [(0, 1), (0, 2), (1, 2)] {
                    let dx = (boxes[j] as f64 - boxes[i] as f64) / 100.0;
                    shared += dx * (f1s[j] - f1s[i]);
                    spread += dx * dx;
                }
                shared / spread
            })
            .collect();
        slopes.sort_by(f64::total_cmp);
        let found = gain(&of(&boxes, &images), &each_its_own(3), n_draws as usize, seed).unwrap();
        let [low, high] = found.interval.unwrap();
        assert!((low - quantile(&slopes, 0.025).unwrap()).abs() < 1e-12, "{low}");
        assert!((high - quantile(&slopes, 0.975).unwrap()).abs() < 1e-12, "{high}");
    }

    /// 300 worlds of 30 groups: each object is found with its group's chance, which grows by .03 a round. The true
    /// slope is that of F1 at the expected counts.
    #[test]
    fn the_interval_holds_the_truth_about_as_often_as_it_says() {
        let f1 = |share: f64| 2.0 * share / (1.0 + share);
        let truth = slope(&[1.0, 2.0, 3.0], &[0.55, 0.58, 0.61].map(f1)).unwrap();
        let n_worlds = 300;
        let mut n_held = 0;
        for world in 0..n_worlds {
            let chance = Seed::new(world).stream("world");
            let found = |round: u64, group: u64| {
                let share = 0.40 + 0.30 * chance.stream("group").unit(group) + 0.03 * round as f64;
                let draws = chance.stream("object");
                (0..10).filter(|k| draws.unit((round * 30 + group) * 10 + k) < share).count()
            };
            let rounds: Vec<Vec<usize>> = (0..3).map(|r| (0..30).map(|g| found(r, g)).collect()).collect();
            let images = measured(&rounds.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let found =
                gain(&of(&[100, 200, 300], &images), &each_its_own(30), 200, Seed::new(world)).unwrap();
            let [low, high] = found.interval.unwrap();
            n_held += usize::from(low <= truth && truth <= high);
        }
        let share = n_held as f64 / n_worlds as f64;
        assert!((0.90..=0.985).contains(&share), "{share}");
    }

    #[test]
    fn it_is_told_with_its_bounds() {
        let told = Gain { per_100_boxes: 0.012, interval: Some([-0.001, 0.025]), n_rounds: 3 };
        assert_eq!(told.to_string(), "+0.012 [-0.001, +0.025] per 100 boxes over 3 rounds");
        assert!(!told.is_shown());
        let bare = Gain { interval: None, ..told };
        assert_eq!(bare.to_string(), "+0.012 per 100 boxes over 3 rounds");
    }
}
