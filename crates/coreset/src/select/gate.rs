use std::collections::BTreeMap;

use labelloop_index::Metric;
use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

use super::{Candidates, Ended};
use crate::geometry::{dot, squared};

/// Which rows may still be picked: those not picked, whose group wants more, and that keep their distance.
pub(crate) struct Gate<'a> {
    rows: ArrayView2<'a, f32>,
    labelled: ArrayView2<'a, f32>,
    /// Lengths of rows and of labelled rows, under cosine.
    norms: Option<[Vec<f64>; 2]>,
    min_distance: Option<f64>,
    states: Vec<State>,
    picks: Vec<usize>,
    quota: Option<Quota>,
}

/// What is known of a row.
#[derive(Clone, Copy)]
struct State {
    /// Picked, or found too close to something known; both last.
    closed: bool,
    /// Known rows it was compared with: labelled ones, then picks.
    compared: u32,
}

struct Quota {
    per_group: usize,
    /// Number of each row's group, counted from 0 in the order of group names.
    group: Vec<usize>,
    taken: Vec<usize>,
}

impl<'a> Gate<'a> {
    pub(crate) fn new(
        candidates: &'a Candidates<'_>,
        metric: Metric,
        per_group: Option<usize>,
        min_distance: Option<f64>,
    ) -> Self {
        let (rows, labelled) = (candidates.rows(), candidates.labelled());
        let norm = |row: ArrayView1<'_, f32>| row.to_slice().map_or(0.0, |row| dot(row, row).sqrt());
        let norms = |rows: &ArrayView2<'_, f32>| rows.rows().into_iter().map(norm).collect();
        let norms =
            (min_distance.is_some() && metric == Metric::Cosine).then(|| [norms(&rows), norms(&labelled)]);
        let states = vec![State { closed: false, compared: 0 }; rows.nrows()];
        let quota = per_group.zip(candidates.groups()).map(|(per_group, groups)| {
            Quota::new(per_group, groups, candidates.labelled_groups().unwrap_or_default())
        });
        Self { rows, labelled, norms, min_distance, states, picks: Vec::new(), quota }
    }

    /// Whether a row may be picked now.
    pub(crate) fn admits(&mut self, row: usize) -> bool {
        let state = self.compare(row);
        self.states[row] = state;
        !state.closed && self.quota.as_ref().is_none_or(|q| q.wants(row))
    }

    /// Keeps of `rows` those that may be picked now.
    pub(crate) fn retain(&mut self, rows: &mut Vec<usize>) {
        if self.min_distance.is_some() {
            let fresh: Vec<State> = rows.par_iter().with_min_len(256).map(|row| self.compare(*row)).collect();
            rows.iter().zip(fresh).for_each(|(row, state)| self.states[*row] = state);
        }
        rows.retain(|row| {
            !self.states[*row].closed && self.quota.as_ref().is_none_or(|quota| quota.wants(*row))
        });
    }

    /// Notes a pick.
    pub(crate) fn take(&mut self, row: usize) {
        self.states[row].closed = true;
        self.picks.push(row);
        if let Some(quota) = &mut self.quota {
            quota.taken[quota.group[row]] += 1;
        }
    }

    /// Why there is nothing left to pick.
    pub(crate) fn ended(&self) -> Ended {
        if self.picks.len() == self.states.len() {
            return Ended::RowsExhausted;
        }
        let mut picked = vec![false; self.states.len()];
        self.picks.iter().for_each(|row| picked[*row] = true);
        let wanted = |row: usize| self.quota.as_ref().is_none_or(|quota| quota.wants(row));
        if (0..picked.len()).any(|row| !picked[row] && wanted(row)) {
            Ended::MinDistance
        } else {
            Ended::QuotaReached
        }
    }

    /// The state of a row after comparing it with what has become known since it was last looked at.
    fn compare(&self, row: usize) -> State {
        let State { closed, compared } = self.states[row];
        let n_known = self.labelled.nrows() + self.picks.len();
        let Some(min_distance) = self.min_distance.filter(|_| !closed) else {
            return self.states[row];
        };
        let close = |known: usize| self.distance(row, known) < min_distance;
        State { closed: (compared as usize..n_known).any(close), compared: n_known as u32 }
    }

    /// The exact distance of a row to a known one: a labelled row, or a pick counted after those.
    fn distance(&self, row: usize, known: usize) -> f64 {
        // Candidates are in standard layout, so their rows are slices.
        let own = self.rows.row(row).to_slice().unwrap_or_default();
        let pick = known.checked_sub(self.labelled.nrows()).map(|pick| self.picks[pick]);
        let (of_known, number) = pick.map_or((&self.labelled, known), |pick| (&self.rows, pick));
        let other = of_known.row(number).to_slice().unwrap_or_default();
        match &self.norms {
            None => squared(own, other).sqrt(),
            Some([rows, labelled]) => {
                let norm = if pick.is_some() { rows[number] } else { labelled[number] };
                1.0 - (dot(own, other) / (rows[row] * norm)).clamp(-1.0, 1.0)
            }
        }
    }
}

impl Quota {
    fn new(per_group: usize, groups: &[u32], labelled: &[u32]) -> Self {
        let mut number: BTreeMap<u32, usize> = groups.iter().map(|group| (*group, 0)).collect();
        number.values_mut().enumerate().for_each(|(i, n)| *n = i);
        let mut taken = vec![0; number.len()];
        labelled.iter().filter_map(|group| number.get(group)).for_each(|n| taken[*n] += 1);
        let group = groups.iter().map(|group| number[group]).collect();
        Self { per_group, group, taken }
    }

    fn wants(&self, row: usize) -> bool {
        self.taken[self.group[row]] < self.per_group
    }
}
