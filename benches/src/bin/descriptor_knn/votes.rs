//! How often neighbours name the class.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use labelloop_index::{ExactIndex, Metric};

use crate::sets::Set;

/// For each row the nearest `k` rows of other groups and how similar they are (the negative distance), nearest first.
pub(crate) fn neighbours(set: &Set, k: usize) -> anyhow::Result<Vec<Vec<(u32, f32)>>> {
    let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
    for group in &set.groups {
        *sizes.entry(*group).or_default() += 1;
    }
    let most = sizes.values().copied().max().unwrap_or(0);
    let index = ExactIndex::new(set.vectors.view(), Metric::L2)?;
    let found = index.search(set.vectors.view(), k + most, None)?;
    let of_others = |row: usize| {
        let others = found.of(row).filter(|(other, _)| set.groups[*other as usize] != set.groups[row]);
        others.take(k).map(|(other, distance)| (other, -distance)).collect()
    };
    Ok((0..set.classes.len()).map(of_others).collect())
}

/// Share of rows that the majority of `k` neighbours names right, and its mean over classes. Among classes with as many
/// votes the one with the nearest neighbour wins.
pub(crate) fn knn(set: &Set, k: usize) -> anyhow::Result<(f64, f64)> {
    let neighbours = neighbours(set, k)?;
    Ok(scores(set, |row| {
        let mut votes: BTreeMap<u32, (usize, Reverse<usize>)> = BTreeMap::new();
        for (rank, (other, _)) in neighbours[row].iter().enumerate() {
            votes.entry(set.classes[*other as usize]).or_insert((0, Reverse(rank))).0 += 1;
        }
        votes.iter().max_by_key(|(_, votes)| **votes).map(|(class, _)| *class)
    }))
}

/// The same for whoever always names the most frequent class.
pub(crate) fn majority(set: &Set) -> (f64, f64) {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for class in &set.classes {
        *counts.entry(*class).or_default() += 1;
    }
    let most = counts.iter().max_by_key(|(class, n)| (**n, Reverse(**class))).map(|(class, _)| *class);
    scores(set, |_| most)
}

fn scores(set: &Set, named: impl Fn(usize) -> Option<u32>) -> (f64, f64) {
    let mut right: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for (row, class) in set.classes.iter().enumerate() {
        let tally = right.entry(*class).or_default();
        tally.0 += usize::from(named(row) == Some(*class));
        tally.1 += 1;
    }
    let hits: usize = right.values().map(|t| t.0).sum();
    let recalls: f64 = right.values().map(|t| t.0 as f64 / t.1 as f64).sum();
    (hits as f64 / set.classes.len() as f64, recalls / right.len() as f64)
}
