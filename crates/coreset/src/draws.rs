use labelloop_core::Seed;
use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

use crate::columns::ColumnStats;
use crate::{CoresetError, ParamError, Result};

/// An explicit list of draws: a few columns each, and a point in them.
///
/// Row `i` of both arrays (shape: draws x columns per draw) is draw `i`. Serialised as nested lists, so that a plan made
/// elsewhere can be scored here.
///
/// ```
/// use labelloop_coreset::DrawPlan;
///
/// let plan: DrawPlan = serde_json::from_str(r#"{"dims": [[0, 2]], "points": [[0.5, -1.0]]}"#)?;
/// assert_eq!((plan.dims[[0, 1]], plan.points[[0, 1]]), (2, -1.0));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "NestedPlan", into = "NestedPlan")]
pub struct DrawPlan {
    /// Column numbers, distinct within a draw.
    pub dims: Array2<u32>,
    /// Where the draw looks, in each of its columns.
    pub points: Array2<f64>,
}

impl DrawPlan {
    /// The draws one by one, checked against the number of columns that there are.
    pub(crate) fn draws(&self, n_columns: usize) -> Result<Vec<Draw>> {
        let (dims, points) = (&self.dims, &self.points);
        if points.nrows() != dims.nrows() {
            let (found, expected) = (points.nrows(), dims.nrows());
            return Err(CoresetError::LengthMismatch { what: "points of the draw plan", found, expected });
        }
        if points.ncols() != dims.ncols() {
            let (found, expected) = (points.ncols(), dims.ncols());
            return Err(CoresetError::DimensionMismatch { what: "points of the draw plan", found, expected });
        }
        if dims.ncols() == 0 {
            return Err(ParamError::NoDims.into());
        }
        if let Some(((draw, _), found)) = dims.indexed_iter().find(|(_, c)| **c as usize >= n_columns) {
            return Err(CoresetError::DrawColumn { draw, found: *found as usize, expected: n_columns });
        }
        if let Some(((row, column), found)) = points.indexed_iter().find(|(_, p)| !p.is_finite()) {
            return Err(CoresetError::NotFinite {
                what: "points of the draw plan",
                row,
                column,
                found: *found,
            });
        }
        let pairs = |(d, p): (ArrayView1<'_, u32>, ArrayView1<'_, f64>)| {
            d.iter().map(|c| *c as usize).zip(p.iter().copied()).collect()
        };
        Ok(dims.rows().into_iter().zip(points.rows()).map(pairs).collect())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NestedPlan {
    dims: Vec<Vec<u32>>,
    points: Vec<Vec<f64>>,
}

impl TryFrom<NestedPlan> for DrawPlan {
    type Error = CoresetError;

    fn try_from(nested: NestedPlan) -> Result<Self> {
        Ok(Self {
            dims: rectangle(nested.dims, "dims of the draw plan")?,
            points: rectangle(nested.points, "points of the draw plan")?,
        })
    }
}

impl From<DrawPlan> for NestedPlan {
    fn from(plan: DrawPlan) -> Self {
        Self { dims: nested(&plan.dims), points: nested(&plan.points) }
    }
}

fn nested<T: Clone>(array: &Array2<T>) -> Vec<Vec<T>> {
    array.rows().into_iter().map(|row| row.to_vec()).collect()
}

fn rectangle<T: Clone + Default>(rows: Vec<Vec<T>>, what: &'static str) -> Result<Array2<T>> {
    let expected = rows.first().map_or(0, Vec::len);
    let mut array = Array2::default((rows.len(), expected));
    for (mut to, from) in array.rows_mut().into_iter().zip(rows) {
        if from.len() != expected {
            return Err(CoresetError::DimensionMismatch { what, found: from.len(), expected });
        }
        to.iter_mut().zip(from).for_each(|(t, f)| *t = f);
    }
    Ok(array)
}

/// One draw: columns and the point in them.
pub(crate) type Draw = Vec<(usize, f64)>;

/// Draw `i` of a seed: it depends on the seed, on `i` and on the columns' statistics, and on no other draw.
///
/// The columns are `n_dims` distinct ones, all subsets equally likely (Floyd's sampling, Bentley 1987); the point is
/// triangular with minimum, median and maximum of the column as its parameters.
pub(crate) fn draw(seed: Seed, i: u64, n_dims: usize, stats: &[ColumnStats]) -> Draw {
    let stream = Seed::new(seed.bits(i));
    let n_columns = stats.len();
    let n_dims = n_dims.min(n_columns);
    let mut picked: Draw = Vec::with_capacity(n_dims);
    for (step, last) in (n_columns - n_dims..n_columns).enumerate() {
        let at = stream.below(2 * step as u64, last + 1);
        let column = if picked.iter().any(|(c, _)| *c == at) { last } else { at };
        picked.push((column, triangular(&stats[column], stream.unit(2 * step as u64 + 1))));
    }
    picked
}

/// Inverse of the triangular distribution's cumulative function at `u` in `[0, 1)`.
///
/// A column that is constant gives its value: numpy's `triangular` refuses it, which would end the whole run.
fn triangular(stats: &ColumnStats, u: f64) -> f64 {
    let ColumnStats { min, median, max } = *stats;
    let width = max - min;
    if !(0.0 < width) {
        return min;
    }
    if u * width < median - min {
        min + (u * width * (median - min)).sqrt()
    } else {
        max - ((1.0 - u) * width * (max - median)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNIT: ColumnStats = ColumnStats { min: 0.0, median: 0.25, max: 1.0 };

    #[test]
    fn the_triangle_has_its_mean_and_its_mode() {
        let seed = Seed::new(3);
        let n = 40_000u64;
        let values: Vec<f64> = (0..n).map(|i| triangular(&UNIT, seed.unit(i))).collect();
        let mean = values.iter().sum::<f64>() / n as f64;
        // Mean (min + mode + max) / 3; probability below the mode (mode - min) / (max - min).
        assert!((mean - 1.25 / 3.0).abs() < 0.005, "{mean}");
        let below = values.iter().filter(|v| **v < 0.25).count() as f64 / n as f64;
        assert!((below - 0.25).abs() < 0.01, "{below}");
    }

    #[test]
    fn constant_columns_give_their_value() {
        let constant = ColumnStats { min: 7.0, median: 7.0, max: 7.0 };
        assert_eq!(triangular(&constant, 0.3), 7.0);
        let one_sided = ColumnStats { min: 0.0, median: 0.0, max: 1.0 };
        assert_eq!(triangular(&one_sided, 0.0), 0.0);
    }

    #[test]
    fn subsets_are_equally_likely() {
        let stats = [UNIT; 4];
        let mut counts = std::collections::BTreeMap::new();
        for i in 0..12_000 {
            let mut dims: Vec<usize> = draw(Seed::new(5), i, 2, &stats).iter().map(|d| d.0).collect();
            dims.sort_unstable();
            *counts.entry(dims).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|c| (1800..2200).contains(c)), "{counts:?}");
    }

    #[test]
    fn plans_that_do_not_fit_are_refused() {
        let plan = |text| serde_json::from_str::<DrawPlan>(text);
        assert!(plan(r#"{"dims": [[0], [1, 2]], "points": []}"#).is_err());
        let check = |text, n_columns| plan(text).unwrap().draws(n_columns).unwrap_err();
        assert!(matches!(
            check(r#"{"dims": [[0, 3]], "points": [[1, 2]]}"#, 3),
            CoresetError::DrawColumn { draw: 0, found: 3, expected: 3 }
        ));
        assert!(matches!(
            check(r#"{"dims": [[0]], "points": [[1, 2]]}"#, 3),
            CoresetError::DimensionMismatch { found: 2, expected: 1, .. }
        ));
        assert!(matches!(
            check(r#"{"dims": [[0]], "points": [[1], [2]]}"#, 3),
            CoresetError::LengthMismatch { found: 2, expected: 1, .. }
        ));
        let empty = check(r#"{"dims": [[]], "points": [[]]}"#, 3);
        assert_eq!(empty, CoresetError::Param(ParamError::NoDims));
    }

    #[test]
    fn plans_survive_a_round_trip() {
        let text = r#"{"dims":[[0,2],[1,0]],"points":[[0.5,-1.0],[0.0,2.0]]}"#;
        let plan: DrawPlan = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&plan).unwrap(), text);
    }

    #[test]
    fn more_dims_than_columns_takes_all_columns() {
        assert_eq!(draw(Seed::new(1), 0, 9, &[UNIT; 2]).len(), 2);
    }

    proptest! {
        #[test]
        fn points_stay_in_range_and_columns_differ(seed: u64, i: u64, n_dims in 1usize..8) {
            let drawn = draw(Seed::new(seed), i, n_dims, &[UNIT; 8]);
            let mut columns: Vec<usize> = drawn.iter().map(|d| d.0).collect();
            columns.sort_unstable();
            columns.dedup();
            prop_assert_eq!(columns.len(), n_dims);
            prop_assert!(drawn.iter().all(|(c, p)| *c < 8 && (0.0..=1.0).contains(p)));
        }
    }
}
