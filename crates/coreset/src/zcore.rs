use labelloop_core::{Progress, Silent};
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::{DrawPlan, ParamError, Result, Selected, rank_by_score};

/// Guard of the normalisation against division by zero, as in the reference.
const NORMALISE_EPS: f64 = 1e-8;

/// What scores start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initial {
    /// From 0: a row that no draw touched stays there.
    #[default]
    Zero,
    /// From a uniform number in `[0, 1)`, as the reference does. With few draws this noise decides most of the ranking;
    /// here it is a number of the seed and the row.
    Uniform,
}

/// ZCore (arXiv 2411.15349): which rows cover the space of embeddings, and which are redundant.
///
/// Each draw looks at a few random columns and a random point in them, triangular between the columns' minimum, median
/// and maximum. The row closest to the point (city-block distance, ties by lower row) gains 1. Its nearest neighbours
/// in the same columns, ordered by distance and row, lose 1 together: the first loses all of it where it is an exact
/// duplicate, else each loses by `1 / (distance^exponent + eps)`, normalised.
///
/// ```
/// use labelloop_coreset::ZCoreParams;
/// use ndarray::array;
///
/// // Two copies of one picture and one that is far from both: the second copy adds nothing.
/// let rows = array![[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]];
/// let scores = ZCoreParams { n_draws: 200, ..Default::default() }.score(rows.view())?;
/// assert_eq!(scores.normalised[1], 0.0);
/// assert_eq!(scores.top(3)?[2].row, 1);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ZCoreParams {
    /// Random points; 10,000 by default. Tutorials get by with 5,000 on a few hundred rows; more rows want more.
    pub n_draws: usize,
    /// Columns of each draw; 2 by default, all columns where there are fewer.
    pub n_dims: usize,
    /// Rows that share the penalty; 100 by default, all others where there are fewer.
    pub n_neighbours: usize,
    /// How steeply the penalty falls with distance; 4 by default.
    pub exponent: f64,
    /// Guard against division by zero; 1e-8 by default, 0 allowed.
    pub eps: f64,
    /// What scores start from; zero by default.
    pub initial: Initial,
    /// Where draws come from; 42 by default.
    pub seed: u64,
}

impl Default for ZCoreParams {
    fn default() -> Self {
        Self {
            n_draws: 10_000,
            n_dims: 2,
            n_neighbours: 100,
            exponent: 4.0,
            eps: 1e-8,
            initial: Initial::Zero,
            seed: 42,
        }
    }
}

/// [`ZCoreParams`] that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ZCoreValidParams(ZCoreParams);

/// One score for each row; higher is more worth labelling.
#[derive(Debug, Clone, PartialEq)]
pub struct ZCoreScores {
    /// Gains less losses. Rank by these.
    pub raw: Vec<f64>,
    /// `(raw - min) / (max - min + 1e-8)`, in `[0, 1]`, as the reference stores them.
    pub normalised: Vec<f32>,
}

impl ZCoreParams {
    /// Checks every parameter.
    ///
    /// # Errors
    /// [`ParamError`] for the first one at fault.
    pub fn check(&self) -> Result<ZCoreValidParams, ParamError> {
        if self.n_draws == 0 {
            return Err(ParamError::NoDraws);
        }
        if self.n_dims == 0 {
            return Err(ParamError::NoDims);
        }
        if self.n_neighbours == 0 {
            return Err(ParamError::NoNeighbours);
        }
        if !(0.0..=64.0).contains(&self.exponent) {
            return Err(ParamError::Exponent { found: self.exponent });
        }
        if !(0.0 <= self.eps && self.eps.is_finite()) {
            return Err(ParamError::Eps { found: self.eps });
        }
        Ok(ZCoreValidParams(self.clone()))
    }

    /// [`ZCoreValidParams::score`] after a check.
    ///
    /// # Errors
    /// Those of the check and of the verb.
    pub fn score(&self, rows: ArrayView2<'_, f32>) -> Result<ZCoreScores> {
        self.check()?.score(rows)
    }

    /// [`ZCoreValidParams::score_given`] after a check.
    ///
    /// # Errors
    /// Those of the check and of the verb.
    pub fn score_given(
        &self,
        candidates: ArrayView2<'_, f32>,
        labelled: ArrayView2<'_, f32>,
    ) -> Result<ZCoreScores> {
        self.check()?.score_given(candidates, labelled, &Silent)
    }

    /// [`ZCoreValidParams::score_plan`] after a check.
    ///
    /// # Errors
    /// Those of the check and of the verb.
    pub fn score_plan(&self, rows: ArrayView2<'_, f32>, plan: &DrawPlan) -> Result<ZCoreScores> {
        self.check()?.score_plan(rows, plan)
    }
}

impl ZCoreValidParams {
    /// The parameters.
    pub fn params(&self) -> &ZCoreParams {
        &self.0
    }

    /// Scores every row (shape: rows x dimensions).
    ///
    /// No rows give no scores; a single row gains every draw; columns that are constant are drawn at their value. The
    /// same seed gives the same bits with any number of threads. O(draws x rows x columns per draw) time.
    ///
    /// # Errors
    /// [`CoresetError::NotFinite`](crate::CoresetError::NotFinite) naming the row,
    /// [`CoresetError::NoColumns`](crate::CoresetError::NoColumns).
    pub fn score(&self, rows: ArrayView2<'_, f32>) -> Result<ZCoreScores> {
        self.score_given(rows, Array2::zeros((0, rows.ncols())).view(), &Silent)
    }

    /// Scores candidates in the light of rows that are labelled already.
    ///
    /// Labelled rows take part as winners and as neighbours but get no score: where one is closest to the point, no
    /// candidate gains and the candidates around it lose. A tie for the win goes to the labelled row, a tie among
    /// neighbours to the candidate, so a copy of a labelled row always pays. Columns are described over both.
    ///
    /// # Errors
    /// [`CoresetError::NotFinite`](crate::CoresetError::NotFinite),
    /// [`CoresetError::NoColumns`](crate::CoresetError::NoColumns),
    /// [`CoresetError::DimensionMismatch`](crate::CoresetError::DimensionMismatch), and
    /// [`CoresetError::Cancelled`](crate::CoresetError::Cancelled) when `progress` asks for it.
    pub fn score_given(
        &self,
        candidates: ArrayView2<'_, f32>,
        labelled: ArrayView2<'_, f32>,
        progress: &dyn Progress,
    ) -> Result<ZCoreScores> {
        self.lay_out(candidates, labelled)?.score(self.0.seed, progress)
    }

    /// Scores every row by an explicit list of draws; `n_draws`, `n_dims` and `seed` count for nothing but
    /// [`Initial::Uniform`].
    ///
    /// # Errors
    /// Those of [`score`](Self::score), and of a plan that does not fit the rows.
    pub fn score_plan(&self, rows: ArrayView2<'_, f32>, plan: &DrawPlan) -> Result<ZCoreScores> {
        let none = Array2::zeros((0, rows.ncols()));
        let valid = Self(ZCoreParams { n_draws: plan.dims.nrows().max(1), ..self.0.clone() });
        valid.lay_out(rows, none.view())?.score_plan(plan, &Silent)
    }
}

impl ZCoreScores {
    /// Normalises raw scores.
    ///
    /// ```
    /// use labelloop_coreset::ZCoreScores;
    ///
    /// let scores = ZCoreScores::from_raw(vec![-1.0, 3.0, 1.0]);
    /// assert!((scores.normalised[2] - 0.5).abs() < 1e-6);
    /// assert!(ZCoreScores::from_raw(vec![2.0, 2.0]).normalised.iter().all(|s| *s == 0.0));
    /// ```
    pub fn from_raw(raw: Vec<f64>) -> Self {
        let min = raw.iter().copied().fold(f64::INFINITY, f64::min);
        let max = raw.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let normalised = raw.iter().map(|r| ((r - min) / (max - min + NORMALISE_EPS)) as f32).collect();
        Self { raw, normalised }
    }

    /// The k rows with the highest raw scores, highest first, ties by lower row.
    ///
    /// # Errors
    /// [`CoresetError::ScoreNotANumber`](crate::CoresetError::ScoreNotANumber), which scores of this crate never cause.
    pub fn top(&self, k: usize) -> Result<Vec<Selected>> {
        let rows: Vec<usize> = (0..self.raw.len()).collect();
        let mut ranked = rank_by_score(&self.raw, &rows)?;
        ranked.truncate(k);
        Ok(ranked)
    }
}
