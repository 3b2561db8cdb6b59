//! One draw of ZCore by looking at every row: who wins it, who is redundant with the winner, and who pays how much.

use std::ops::Range;

use crate::closest::{Nearest, by_distance, keep_closest};
use crate::columns::Columns;
use crate::draws::Draw;

/// Rows looked at together; their distances stay in the first-level cache.
const CHUNK: usize = 1024;

/// What a draw adds to the scores: row and change.
pub(crate) type Update = Vec<(u32, f64)>;

/// Looks at every row of a run, for one draw after another.
pub(crate) struct Scan<'a> {
    pub(crate) columns: &'a Columns,
    /// Rows `0..n_scored` get scores; the rows after them take part without getting any.
    pub(crate) n_scored: usize,
}

/// How the winner's point is taken from its neighbours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Penalty {
    pub(crate) exponent: f64,
    pub(crate) eps: f64,
}

impl Scan<'_> {
    /// The row closest to the point; among equals an unscored row first, then the lowest.
    pub(crate) fn winner(&self, point: &Draw) -> Option<(f64, u32)> {
        let n_rows = self.columns.n_rows();
        let mut best: Option<(f64, usize)> = None;
        self.scan(point, self.n_scored..n_rows, |start, distances| {
            offer_closest(&mut best, start, distances);
        });
        self.scan(point, 0..self.n_scored, |start, distances| offer_closest(&mut best, start, distances));
        best.map(|(distance, row)| (distance, row as u32))
    }

    /// The `k` rows closest to the point, ordered by distance and row, without the one left out.
    pub(crate) fn nearest(&self, point: &Draw, left_out: u32, k: usize) -> Nearest {
        let mut kept = Nearest::new();
        if k == 0 {
            return kept;
        }
        let limit = 2 * k + 256;
        let mut ceiling = f64::INFINITY;
        self.scan(point, 0..self.columns.n_rows(), |start, distances| {
            for (row, distance) in (start as u32..).zip(distances) {
                // Rows come in ascending order, so one as far as the k-th kept is behind it.
                if *distance < ceiling && row != left_out {
                    kept.push((*distance, row));
                    if kept.len() == limit {
                        ceiling = keep_closest(&mut kept, k);
                    }
                }
            }
        });
        if kept.len() > k {
            keep_closest(&mut kept, k);
        }
        kept.sort_unstable_by(by_distance);
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

impl Penalty {
    /// The winner gains what its neighbours, ordered by distance and row, lose; unscored rows are left out at the end.
    pub(crate) fn update(self, winner: u32, neighbours: &[(f64, u32)], n_scored: usize) -> Update {
        let mut update = vec![(winner, 1.0)];
        update.extend(penalties(neighbours, self.exponent, self.eps));
        update.retain(|(row, _)| (*row as usize) < n_scored);
        update
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
    use ndarray::{Array2, ArrayView2, array};

    use super::*;

    fn update(columns: &Columns, n_scored: usize, k: usize, draw: &Draw) -> Update {
        let scan = Scan { columns, n_scored };
        let Some((_, winner)) = scan.winner(draw) else {
            return Update::new();
        };
        let at = |(column, _): &(usize, f64)| (*column, f64::from(columns.column(*column)[winner as usize]));
        let near = scan.nearest(&draw.iter().map(at).collect(), winner, k);
        Penalty { exponent: 1.0, eps: 0.0 }.update(winner, &near, n_scored)
    }

    fn stacked(first: ArrayView2<'_, f32>, second: ArrayView2<'_, f32>) -> Columns {
        Columns::of(&crate::stacked::Stacked::new(first, second).unwrap())
    }

    fn line(values: &[f32]) -> Columns {
        let rows = Array2::from_shape_vec((values.len(), 1), values.to_vec()).unwrap();
        stacked(rows.view(), Array2::zeros((0, 1)).view())
    }

    #[test]
    fn a_winner_gains_what_its_neighbours_lose() {
        let columns = line(&[0.0, 1.0, 3.0, 9.0]);
        let changes = update(&columns, 4, 2, &vec![(0, 0.1)]);
        assert_eq!(changes, [(0, 1.0), (1, -0.75), (2, -0.25)]);
    }

    #[test]
    fn an_exact_duplicate_loses_the_whole_point_and_the_lower_row_wins() {
        let columns = line(&[5.0, 0.0, 0.0, 0.0]);
        assert_eq!(update(&columns, 4, 3, &vec![(0, 0.0)]), [(1, 1.0), (2, -1.0)]);
    }

    #[test]
    fn an_unscored_row_wins_a_tie_and_its_scored_duplicate_pays() {
        let columns = stacked(array![[0.0], [4.0]].view(), array![[0.0], [0.0]].view());
        assert_eq!(update(&columns, 2, 3, &vec![(0, 0.0)]), [(0, -1.0)]);
    }

    #[test]
    fn few_rows_are_defined() {
        assert!(update(&line(&[]), 0, 3, &vec![(0, 0.0)]).is_empty());
        assert_eq!(update(&line(&[7.0]), 1, 3, &vec![(0, 0.0)]), [(0, 1.0)]);
        assert_eq!(update(&line(&[7.0, 8.0]), 2, 3, &vec![(0, 0.0)]), [(0, 1.0), (1, -1.0)]);
    }

    #[test]
    fn neighbours_agree_with_a_full_sort() {
        let seed = labelloop_core::Seed::new(8);
        let values: Vec<f32> = (0..5000).map(|i| seed.below(i, 300) as f32).collect();
        let columns = line(&values);
        let found = Scan { columns: &columns, n_scored: 5000 }.nearest(&vec![(0, 17.0)], 40, 700);
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
