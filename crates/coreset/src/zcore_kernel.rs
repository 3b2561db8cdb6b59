//! One draw of ZCore: who wins it, and who is redundant with the winner.

use std::ops::Range;

use crate::columns::Columns;
use crate::draws::Draw;

/// Rows looked at together; their distances stay in the first-level cache.
const CHUNK: usize = 1024;

/// What a draw adds to the scores: row and change.
pub(crate) type Update = Vec<(u32, f64)>;

/// The rows of a run and how its draws are scored.
pub(crate) struct Kernel<'a> {
    pub(crate) columns: &'a Columns,
    /// Rows `0..n_scored` get scores; the rows after them take part without getting any.
    pub(crate) n_scored: usize,
    pub(crate) n_neighbours: usize,
    pub(crate) exponent: f64,
    pub(crate) eps: f64,
}

impl Kernel<'_> {
    /// Changes that one draw makes to the scores of the scored rows.
    pub(crate) fn update(&self, draw: &Draw) -> Update {
        let Some(winner) = self.winner(draw) else {
            return Vec::new();
        };
        let at_winner: Draw =
            draw.iter().map(|(c, _)| (*c, f64::from(self.columns.column(*c)[winner]))).collect();
        let neighbours = self.neighbours(&at_winner, winner);
        let mut update = vec![(winner as u32, 1.0)];
        update.extend(penalties(&neighbours, self.exponent, self.eps));
        update.retain(|(row, _)| (*row as usize) < self.n_scored);
        update
    }

    /// The row closest to the point; among equals an unscored row first, then the lowest.
    fn winner(&self, draw: &Draw) -> Option<usize> {
        let n_rows = self.columns.n_rows();
        let mut best: Option<(f64, usize)> = None;
        self.scan(draw, self.n_scored..n_rows, |start, distances| offer_closest(&mut best, start, distances));
        self.scan(draw, 0..self.n_scored, |start, distances| offer_closest(&mut best, start, distances));
        best.map(|(_, row)| row)
    }

    /// The rows closest to the winner, without it, ordered by distance and row.
    fn neighbours(&self, at_winner: &Draw, winner: usize) -> Vec<(f64, u32)> {
        let k = self.n_neighbours.min(self.columns.n_rows().saturating_sub(1));
        let mut kept: Vec<(f64, u32)> = Vec::new();
        if k == 0 {
            return kept;
        }
        let limit = 2 * k + 256;
        let mut ceiling = f64::INFINITY;
        self.scan(at_winner, 0..self.columns.n_rows(), |start, distances| {
            for (offset, distance) in distances.iter().enumerate() {
                // Rows come in ascending order, so one as far as the k-th kept is behind it.
                if *distance < ceiling && start + offset != winner {
                    kept.push((*distance, (start + offset) as u32));
                    if kept.len() == limit {
                        ceiling = keep_closest(&mut kept, k);
                    }
                }
            }
        });
        if kept.len() > k {
            keep_closest(&mut kept, k);
        }
        kept.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        kept
    }

    /// City-block distances to a point, chunk by chunk in ascending order of rows.
    fn scan(&self, point: &Draw, rows: Range<usize>, mut visit: impl FnMut(usize, &[f64])) {
        let mut distances = [0.0f64; CHUNK];
        for start in rows.clone().step_by(CHUNK) {
            let end = rows.end.min(start + CHUNK);
            let distances = &mut distances[..end - start];
            distances.fill(0.0);
            for (column, at) in point {
                for (distance, value) in distances.iter_mut().zip(&self.columns.column(*column)[start..end]) {
                    *distance += (f64::from(*value) - at).abs();
                }
            }
            visit(start, distances);
        }
    }
}

fn offer_closest(best: &mut Option<(f64, usize)>, start: usize, distances: &[f64]) {
    let ceiling = best.map_or(f64::INFINITY, |(distance, _)| distance);
    // The smallest of a chunk is found without branches; most chunks cannot win.
    let smallest = distances.iter().fold(f64::INFINITY, |a, d| if *d < a { *d } else { a });
    if smallest < ceiling
        && let Some(offset) = distances.iter().position(|d| *d == smallest)
    {
        *best = Some((smallest, start + offset));
    }
}

/// Keeps the k first by distance and row and tells the distance of the last of them.
fn keep_closest(kept: &mut Vec<(f64, u32)>, k: usize) -> f64 {
    let (_, kth, _) = kept.select_nth_unstable_by(k - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let ceiling = kth.0;
    kept.truncate(k);
    ceiling
}

/// The winner's point, taken from its neighbours: wholly from the first where that is an exact duplicate, else by
/// `1 / (distance^exponent + eps)`.
pub(crate) fn penalties(neighbours: &[(f64, u32)], exponent: f64, eps: f64) -> Update {
    let Some((closest, first)) = neighbours.first().copied() else {
        return Vec::new();
    };
    if closest == 0.0 {
        return vec![(first, -1.0)];
    }
    let mut weights: Vec<f64> = neighbours.iter().map(|(d, _)| 1.0 / (power(*d, exponent) + eps)).collect();
    let mut sum: f64 = weights.iter().sum();
    if !(0.0 < sum && sum.is_finite()) {
        // Distances whose powers leave the range of f64 are compared with the closest one instead.
        weights = neighbours.iter().map(|(d, _)| power(closest / d, exponent)).collect();
        sum = weights.iter().sum();
    }
    neighbours.iter().zip(weights).map(|((_, row), weight)| (*row, -weight / sum)).collect()
}

/// `base^exponent`; whole exponents by multiplication, which gives the same bits on every machine.
fn power(base: f64, exponent: f64) -> f64 {
    if exponent.fract() != 0.0 {
        return base.powf(exponent);
    }
    let (mut result, mut square, mut left) = (1.0, base, exponent as u32);
    while left > 0 {
        if left & 1 == 1 {
            result *= square;
        }
        square *= square;
        left >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn kernel(columns: &Columns, n_scored: usize, n_neighbours: usize) -> Kernel<'_> {
        Kernel { columns, n_scored, n_neighbours, exponent: 1.0, eps: 0.0 }
    }

    fn line(values: &[f32]) -> Columns {
        let rows = Array2::from_shape_vec((values.len(), 1), values.to_vec()).unwrap();
        Columns::stacked(rows.view(), Array2::zeros((0, 1)).view())
    }

    #[test]
    fn a_winner_gains_what_its_neighbours_lose() {
        let columns = line(&[0.0, 1.0, 3.0, 9.0]);
        let update = kernel(&columns, 4, 2).update(&vec![(0, 0.1)]);
        assert_eq!(update, [(0, 1.0), (1, -0.75), (2, -0.25)]);
    }

    #[test]
    fn an_exact_duplicate_loses_the_whole_point_and_the_lower_row_wins() {
        let columns = line(&[5.0, 0.0, 0.0, 0.0]);
        assert_eq!(kernel(&columns, 4, 3).update(&vec![(0, 0.0)]), [(1, 1.0), (2, -1.0)]);
    }

    #[test]
    fn an_unscored_row_wins_a_tie_and_its_scored_duplicate_pays() {
        let columns = Columns::stacked(array![[0.0], [4.0]].view(), array![[0.0], [0.0]].view());
        assert_eq!(kernel(&columns, 2, 3).update(&vec![(0, 0.0)]), [(0, -1.0)]);
    }

    #[test]
    fn few_rows_are_defined() {
        assert!(kernel(&line(&[]), 0, 3).update(&vec![(0, 0.0)]).is_empty());
        assert_eq!(kernel(&line(&[7.0]), 1, 3).update(&vec![(0, 0.0)]), [(0, 1.0)]);
        assert_eq!(kernel(&line(&[7.0, 8.0]), 2, 3).update(&vec![(0, 0.0)]), [(0, 1.0), (1, -1.0)]);
    }

    #[test]
    fn neighbours_agree_with_a_full_sort() {
        let seed = labelloop_core::Seed::new(8);
        let values: Vec<f32> = (0..5000).map(|i| seed.below(i, 300) as f32).collect();
        let columns = line(&values);
        let found = kernel(&columns, 5000, 700).neighbours(&vec![(0, 17.0)], 40);
        let mut all: Vec<(f64, u32)> = (0..5000u32)
            .filter(|r| *r != 40)
            .map(|r| ((f64::from(values[r as usize]) - 17.0).abs(), r))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all.truncate(700);
        assert_eq!(found, all);
    }

    #[test]
    fn powers_out_of_range_still_share_the_penalty() {
        for distances in [[1e-30, 2e-30], [1e38, 2e38]] {
            let neighbours = [(distances[0], 0), (distances[1], 1)];
            let shared = penalties(&neighbours, 12.0, 0.0);
            assert!((shared.iter().map(|s| s.1).sum::<f64>() + 1.0).abs() < 1e-12, "{shared:?}");
            assert!(shared[0].1 < shared[1].1);
        }
    }

    #[test]
    fn powers_are_powers() {
        assert_eq!((power(3.0, 4.0), power(2.0, 0.0), power(9.0, 0.5)), (81.0, 1.0, 3.0));
    }
}
