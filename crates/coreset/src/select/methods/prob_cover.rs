use labelloop_index::Metric;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::geometry::squared;
use crate::select::balls::Balls;
use crate::select::{Gains, Objective, Reason, Setting};
use crate::{ParamError, Result};

/// Rows whose neighbourhoods a radius is estimated from.
const SAMPLE: usize = 256;
/// The largest weight, in the whole numbers that coverage is counted in.
const UNITS: f64 = (1u64 << 32) as f64;

/// How far a pick reaches.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Radius {
    /// So far that as many balls as there will be known rows would hold all rows, did they not overlap: the median, over
    /// 256 rows that the seed draws, of the distance to the `ceil(rows / (picks + labelled))`-th nearest row, itself
    /// counted. The paper asks for 95% purity of the balls by pseudo-labels instead and depends on their number; Bae et al.
    /// 2024 found that to fail often.
    #[default]
    Budget,
    /// A distance in the metric of the selection.
    Fixed(f64),
}

/// ProbCover (Yehuda et al. 2022): the most rows within a radius of a pick.
///
/// The gain is the number of rows within the radius of the row that no known row reaches, or the sum of their weights: the
/// out-degree in the paper's graph, from which edges to covered rows are taken out. Whether two rows are within the
/// radius is decided in f64. When no open row reaches any more uncovered ones, a new round begins in which no row counts
/// as covered; the paper leaves open what to pick then. Monotone and submodular within a round.
///
/// Weights are counted in multiples of `largest / 2^32`, exactly. `O(rows^2 x dimensions)` for the first round and for each
/// round's updates, `O(rows)` memory: no graph is kept.
///
/// ```
/// use labelloop_coreset::select::{Candidates, Method, ProbCoverParams, Radius, SelectParams};
/// use ndarray::array;
///
/// let rows = array![[0.0], [0.5], [1.0], [7.0], [7.5]];
/// let params = ProbCoverParams { radius: Radius::Fixed(0.6) };
/// let found = SelectParams::by(Method::ProbCover(params)).select(&Candidates::new(rows.view())?, 2)?;
/// assert_eq!(found.rows(), [1, 3]);
/// assert_eq!(found.picks[0].gain, 3.0);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbCoverParams {
    /// How far a pick reaches; by the budget by default.
    pub radius: Radius,
}

impl ProbCoverParams {
    pub(crate) fn check(&self) -> Result<(), ParamError> {
        match self.radius {
            Radius::Fixed(found) if !(0.0 <= found && found.is_finite()) => Err(ParamError::Radius { found }),
            _ => Ok(()),
        }
    }

    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        let radius = match self.radius {
            Radius::Fixed(radius) => radius,
            Radius::Budget => budget_radius(setting),
        };
        let balls = Balls::new(setting, radius);
        let (masses, unit) = masses(setting);
        let n = masses.len();
        let mut fresh = vec![0; n];
        balls.add(&(0..n).collect::<Vec<usize>>(), &masses, &mut fresh, setting.progress)?;
        let open = fresh.clone();
        let mut cover =
            ProbCover { balls, masses, unit, radius, fresh, open, covered: vec![false; n], layer: 0 };
        let reached = cover.balls.reached_by_labelled(setting.progress)?;
        cover.cover(&reached);
        Ok(Box::new(cover))
    }
}

struct ProbCover<'a> {
    balls: Balls<'a>,
    /// What each row counts, in `unit`s.
    masses: Vec<u64>,
    unit: f64,
    radius: f64,
    /// What is within the radius of each row.
    fresh: Vec<u64>,
    /// What of that is not covered.
    open: Vec<u64>,
    covered: Vec<bool>,
    layer: usize,
}

impl ProbCover<'_> {
    fn cover(&mut self, rows: &[usize]) {
        let newly: Vec<usize> = rows.iter().copied().filter(|row| !self.covered[*row]).collect();
        newly.iter().for_each(|row| self.covered[*row] = true);
        self.balls.subtract(&newly, &self.masses, &mut self.open);
    }
}

impl Objective for ProbCover<'_> {
    fn kind(&self) -> Gains {
        Gains::Any
    }

    fn gains(&self, rows: &[usize], gains: &mut [f64]) {
        rows.iter().zip(gains).for_each(|(row, gain)| *gain = self.open[*row] as f64 * self.unit);
    }

    fn pick(&mut self, row: usize) {
        let reached = self.balls.reached_by(row);
        self.cover(&reached);
    }

    fn reason(&self, row: usize) -> Reason {
        let n_rows = self.balls.reached_by(row).iter().filter(|other| !self.covered[**other]).count();
        Reason::Reaches { n_rows, layer: self.layer, radius: self.radius }
    }

    fn renew(&mut self) -> bool {
        self.open.copy_from_slice(&self.fresh);
        self.covered.fill(false);
        self.layer += 1;
        true
    }
}

/// Weights as whole numbers, so that sums are exact in any order, and what 1 of them is worth.
fn masses(setting: &Setting<'_>) -> (Vec<u64>, f64) {
    match setting.shares() {
        (Some(shares), largest) => {
            (shares.into_iter().map(|share| (share * UNITS).round() as u64).collect(), largest / UNITS)
        }
        (None, _) => (vec![1; setting.rows.nrows()], 1.0),
    }
}

fn budget_radius(setting: &Setting<'_>) -> f64 {
    let rows = setting.rows;
    let n_known = setting.k + setting.labelled.nrows();
    let nth = rows.nrows().div_ceil(n_known.max(1)).max(1);
    let mut drawn = setting.seed.stream("radius").permutation(rows.nrows());
    drawn.truncate(SAMPLE);
    let to_nth = |row: &usize| {
        let own = rows.row(*row).to_slice().unwrap_or_default();
        let mut distances: Vec<f64> =
            rows.rows().into_iter().map(|other| squared(own, other.to_slice().unwrap_or_default())).collect();
        *distances.select_nth_unstable_by(nth - 1, f64::total_cmp).1
    };
    let mut distances: Vec<f64> = drawn.par_iter().map(to_nth).collect();
    if distances.is_empty() {
        return 0.0;
    }
    let middle = distances.len() / 2;
    setting.distance(*distances.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// The squared Euclidean distance that a distance of the metric stands for.
pub(crate) fn squared_of(metric: Metric, distance: f64) -> f64 {
    if metric == Metric::Cosine { 2.0 * distance } else { distance * distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_checked() {
        assert_eq!(ProbCoverParams::default().radius, Radius::Budget);
        for radius in [-1.0, f64::NAN, f64::INFINITY] {
            let params = ProbCoverParams { radius: Radius::Fixed(radius) };
            assert!(matches!(params.check(), Err(ParamError::Radius { .. })));
        }
        assert_eq!(ProbCoverParams { radius: Radius::Fixed(0.0) }.check(), Ok(()));
    }

    #[test]
    fn radii_are_named_in_configurations() {
        let json = serde_json::to_string(&ProbCoverParams { radius: Radius::Fixed(0.5) }).unwrap();
        assert_eq!(json, r#"{"radius":{"fixed":0.5}}"#);
        assert_eq!(
            serde_json::from_str::<ProbCoverParams>(r#"{"radius":"budget"}"#).unwrap().radius,
            Radius::Budget
        );
    }
}
