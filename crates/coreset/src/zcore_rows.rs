use std::sync::OnceLock;

use labelloop_core::{Progress, Seed};
use ndarray::ArrayView2;

use crate::columns::ColumnStats;
use crate::draws::{Draw, draw};
use crate::stacked::Stacked;
use crate::zcore_kernel::Penalty;
use crate::zcore_plan::{Scorer, Work};
use crate::{DrawPlan, Initial, Result, ZCoreParams, ZCoreScores, ZCoreValidParams};

/// Rows made ready for ZCore once, for any number of runs.
///
/// Laying rows out costs about as much as some thousand draws: one byte for each number beside the rows themselves, read
/// once. Where rows or draws are few, columns are laid out as numbers instead; scores have the same bits either way.
///
/// ```
/// use labelloop_core::Silent;
/// use labelloop_coreset::ZCoreParams;
/// use ndarray::{Array2, array};
///
/// let rows = array![[0.0, 0.0], [0.1, 0.0], [1.0, 1.0]];
/// let params = ZCoreParams { n_draws: 200, seed: 7, ..Default::default() }.check()?;
/// let none = Array2::zeros((0, 2));
/// let laid_out = params.lay_out(rows.view(), none.view())?;
/// assert_eq!(laid_out.score(7, &Silent)?, params.score(rows.view())?);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
pub struct ZCoreRows<'a> {
    params: ZCoreParams,
    scorer: Scorer<'a>,
    stats: OnceLock<Vec<ColumnStats>>,
}

impl ZCoreValidParams {
    /// Makes candidates, and rows that are labelled already (shapes: rows x dimensions), ready for draws.
    ///
    /// # Errors
    /// [`CoresetError::NotFinite`](crate::CoresetError::NotFinite) naming the row,
    /// [`CoresetError::NoColumns`](crate::CoresetError::NoColumns),
    /// [`CoresetError::DimensionMismatch`](crate::CoresetError::DimensionMismatch).
    pub fn lay_out<'a>(
        &self,
        candidates: ArrayView2<'a, f32>,
        labelled: ArrayView2<'a, f32>,
    ) -> Result<ZCoreRows<'a>> {
        let params = self.params().clone();
        let ZCoreParams { n_draws, n_dims, n_neighbours, .. } = params;
        let work = Work { n_draws, n_dims, n_neighbours };
        let scorer = Scorer::new(Stacked::new(candidates, labelled)?, work);
        Ok(ZCoreRows { params, scorer, stats: OnceLock::new() })
    }
}

impl ZCoreRows<'_> {
    /// Scores every candidate by as many draws as the parameters say, of this seed in place of theirs.
    ///
    /// # Errors
    /// [`CoresetError::Cancelled`](crate::CoresetError::Cancelled) when `progress` asks for it.
    pub fn score(&self, seed: u64, progress: &dyn Progress) -> Result<ZCoreScores> {
        let stats = self.stats.get_or_init(|| self.scorer.stats());
        let of_draws = Seed::new(seed).stream("zcore-draw");
        let draws = |i: usize| draw(of_draws, i as u64, self.params.n_dims, stats);
        self.run(seed, self.params.n_draws, draws, progress)
    }

    /// Scores every candidate by an explicit list of draws.
    ///
    /// # Errors
    /// Those of [`score`](Self::score), and of a plan that does not fit the rows.
    pub fn score_plan(&self, plan: &DrawPlan, progress: &dyn Progress) -> Result<ZCoreScores> {
        let draws = plan.draws(self.scorer.n_columns())?;
        self.run(self.params.seed, draws.len(), |i| draws[i].clone(), progress)
    }

    fn run(
        &self,
        seed: u64,
        n_draws: usize,
        draw: impl Fn(usize) -> Draw + Sync,
        progress: &dyn Progress,
    ) -> Result<ZCoreScores> {
        let mut raw = self.params.initial.scores(seed, self.scorer.n_scored());
        let n_draws = if raw.is_empty() { 0 } else { n_draws };
        let batch = self.scorer.batch();
        let penalty = Penalty { exponent: self.params.exponent, eps: self.params.eps };
        for start in (0..n_draws).step_by(batch) {
            progress.step("zcore", start as u64, n_draws as u64)?;
            let draws: Vec<Draw> = (start..n_draws.min(start + batch)).map(&draw).collect();
            // Sums are taken in the order of draws, whatever the number of threads.
            for (row, change) in self.scorer.updates(&draws, penalty).into_iter().flatten() {
                raw[row as usize] += change;
            }
        }
        progress.step("zcore", n_draws as u64, n_draws as u64)?;
        Ok(ZCoreScores::from_raw(raw))
    }
}

impl Initial {
    /// Where the scores of `n` rows begin.
    pub(crate) fn scores(self, seed: u64, n: usize) -> Vec<f64> {
        let seed = Seed::new(seed).stream("zcore-initial");
        match self {
            Initial::Zero => vec![0.0; n],
            Initial::Uniform => (0..n as u64).map(|row| seed.unit(row)).collect(),
        }
    }
}
