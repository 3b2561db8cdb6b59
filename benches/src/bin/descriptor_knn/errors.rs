//! Labels swapped on purpose, and how well neighbours find them.

use std::path::Path;

use anyhow::Context as _;
use labelloop_core::{ClassIdx, Seed};
use labelloop_qa::{NeighbourObjects, NeighbourParams, neighbour_suspects};
use ndarray_npy::WriteNpyExt as _;
use serde_json::json;

use crate::sets::Set;
use crate::votes::neighbours;

/// Means over seeds.
pub(crate) struct Found {
    pub(crate) n_swapped: usize,
    /// Probability that a swapped label ranks before a sound one.
    pub(crate) auc: f64,
    pub(crate) average_precision: f64,
    /// Share of swapped labels among as many first ones as were swapped.
    pub(crate) in_as_many: f64,
}

/// Swaps a share of the labels and ranks all of them, once for each seed.
pub(crate) fn measure(set: &Set, share: f64, n_seeds: u64) -> anyhow::Result<Found> {
    let params = NeighbourParams { min_suspicion: 0.0, ..Default::default() };
    let lists = neighbours(set, params.k)?;
    let mut sum = Found { n_swapped: 0, auc: 0.0, average_precision: 0.0, in_as_many: 0.0 };
    for seed in 0..n_seeds {
        let (labels, swapped) = swapped(set, share, seed);
        let classes: Vec<ClassIdx> = labels.iter().map(|c| ClassIdx(*c)).collect();
        let objects = NeighbourObjects { classes: &classes, parents: &set.groups, neighbours: &lists };
        let report = neighbour_suspects(&objects, &params)?;
        let ranked: Vec<(f64, bool)> =
            report.suspects.iter().map(|s| (s.suspicion, swapped[s.object])).collect();
        let n_swapped = swapped.iter().filter(|s| **s).count();
        let first = ranked.iter().take(n_swapped).filter(|(_, s)| *s).count();
        sum.n_swapped = n_swapped;
        sum.auc += auc(&ranked) / n_seeds as f64;
        sum.average_precision += average_precision(&ranked, n_swapped) / n_seeds as f64;
        sum.in_as_many += first as f64 / n_swapped as f64 / n_seeds as f64;
    }
    Ok(sum)
}

/// What Python needs to do the same.
pub(crate) fn write(folder: &Path, vectors: &str, set: &Set, share: f64, n_seeds: u64) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let stem = format!("{}.{}", set.name, vectors.replace(' ', "_"));
    let path = folder.join(format!("{stem}.npy"));
    set.vectors.write_npy(std::fs::File::create(&path).with_context(|| path.display().to_string())?)?;
    let noisy: Vec<Vec<u32>> = (0..n_seeds).map(|seed| swapped(set, share, seed).0).collect();
    let document = json!({ "classes": set.classes, "groups": set.groups, "noisy": noisy });
    std::fs::write(folder.join(format!("{stem}.json")), document.to_string())?;
    Ok(())
}

/// Labels of which a share is another class, each other class being as likely, and which these are.
fn swapped(set: &Set, share: f64, seed: u64) -> (Vec<u32>, Vec<bool>) {
    let n_classes = set.classes.iter().max().map_or(0, |c| c + 1);
    let (chance, other) = (Seed::new(seed).stream("which"), Seed::new(seed).stream("to what"));
    let n = set.classes.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|row| (chance.bits(*row as u64), *row));
    let mut labels = set.classes.clone();
    let mut is_swapped = vec![false; n];
    for row in order.into_iter().take((share * n as f64).round() as usize) {
        let by = 1 + (other.bits(row as u64) % u64::from(n_classes - 1)) as u32;
        labels[row] = (labels[row] + by) % n_classes;
        is_swapped[row] = true;
    }
    (labels, is_swapped)
}

/// By ranks, ties counting half.
fn auc(ranked: &[(f64, bool)]) -> f64 {
    let n_true = ranked.iter().filter(|(_, s)| *s).count() as f64;
    let n_false = ranked.len() as f64 - n_true;
    let (mut sum, mut true_before) = (0.0, 0.0);
    for run in ranked.chunk_by(|a, b| a.0 == b.0) {
        let hits = run.iter().filter(|(_, s)| *s).count() as f64;
        let misses = run.len() as f64 - hits;
        sum += misses * (true_before + hits / 2.0);
        true_before += hits;
    }
    sum / (n_true * n_false)
}

/// Mean over the swapped ones of the precision down to the end of each one's ties.
fn average_precision(ranked: &[(f64, bool)], n_swapped: usize) -> f64 {
    let (mut sum, mut hits, mut n) = (0.0, 0.0, 0.0);
    for run in ranked.chunk_by(|a, b| a.0 == b.0) {
        let new = run.iter().filter(|(_, s)| *s).count() as f64;
        hits += new;
        n += run.len() as f64;
        sum += new * hits / n;
    }
    sum / n_swapped as f64
}
