use std::collections::BTreeSet;

use labelloop_core::Progress;
use serde::{Deserialize, Serialize};

use crate::{ParamError, Result, ZCoreRows, ZCoreScores};

/// How far scores depend on the seed and not on the rows.
///
/// With few draws chance decides most of the ranking: then scores of two seeds hardly agree, and neither do batches. More
/// draws help; so do the pooled scores given here, which are those of all seeds' draws together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZCoreStability {
    /// The seeds compared.
    pub seeds: Vec<u64>,
    /// Spearman's rank correlation of the raw scores of each pair of seeds, first with second, first with third and so on;
    /// nothing where scores of a seed are all equal.
    pub spearman: Vec<Option<f64>>,
    /// Rows chosen with each seed for [`top_overlap`](Self::top_overlap).
    pub k: usize,
    /// Share of the `k` highest rows of one seed that are among those of the other, for the same pairs; nothing where
    /// there are no rows.
    pub top_overlap: Vec<Option<f64>>,
    /// Mean over seeds of the raw scores.
    pub pooled: Vec<f64>,
}

impl ZCoreRows<'_> {
    /// Scores the rows with each seed and compares.
    ///
    /// O(seeds) runs and O(seeds^2 rows) comparisons.
    ///
    /// ```
    /// use labelloop_core::Silent;
    /// use labelloop_coreset::ZCoreParams;
    /// use ndarray::{Array2, array};
    ///
    /// let rows = array![[0.0, 0.0], [0.1, 0.0], [0.2, 0.9], [1.0, 1.0]];
    /// let none = Array2::zeros((0, 2));
    /// let params = ZCoreParams { n_draws: 4000, ..Default::default() }.check()?;
    /// let stability = params.lay_out(rows.view(), none.view())?.stability(&[1, 2, 3], 2, &Silent)?;
    /// assert_eq!(stability.spearman.len(), 3);
    /// assert!(stability.mean_spearman() > Some(0.5));
    /// # Ok::<(), labelloop_coreset::CoresetError>(())
    /// ```
    ///
    /// # Errors
    /// [`ParamError::Seeds`] for less than two seeds, and those of [`score`](Self::score).
    pub fn stability(&self, seeds: &[u64], k: usize, progress: &dyn Progress) -> Result<ZCoreStability> {
        if seeds.len() < 2 {
            return Err(ParamError::Seeds { found: seeds.len(), expected: 2 }.into());
        }
        let runs: Vec<ZCoreScores> =
            seeds.iter().map(|seed| self.score(*seed, progress)).collect::<Result<_>>()?;
        let ranks: Vec<Vec<f64>> = runs.iter().map(|run| ranks(&run.raw)).collect();
        let tops: Vec<BTreeSet<usize>> = runs
            .iter()
            .map(|run| Ok(run.top(k)?.into_iter().map(|picked| picked.row).collect()))
            .collect::<Result<_>>()?;
        let mean = |row: usize| runs.iter().map(|run| run.raw[row]).sum::<f64>() / runs.len() as f64;
        Ok(ZCoreStability {
            seeds: seeds.to_vec(),
            spearman: pairs(&ranks, |a, b| correlation(a, b)),
            k,
            top_overlap: pairs(&tops, |a, b| {
                (!a.is_empty()).then(|| a.intersection(b).count() as f64 / a.len() as f64)
            }),
            pooled: (0..runs[0].raw.len()).map(mean).collect(),
        })
    }
}

impl ZCoreStability {
    /// Mean over the pairs that have a correlation.
    pub fn mean_spearman(&self) -> Option<f64> {
        mean(&self.spearman)
    }

    /// Mean over the pairs.
    pub fn mean_top_overlap(&self) -> Option<f64> {
        mean(&self.top_overlap)
    }
}

fn mean(values: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

fn pairs<T>(runs: &[T], compare: impl Fn(&T, &T) -> Option<f64>) -> Vec<Option<f64>> {
    let compare = &compare;
    (0..runs.len()).flat_map(|a| (a + 1..runs.len()).map(move |b| compare(&runs[a], &runs[b]))).collect()
}

/// Ranks from 1; equal scores share the mean of their ranks.
fn ranks(scores: &[f64]) -> Vec<f64> {
    let mut rows: Vec<usize> = (0..scores.len()).collect();
    rows.sort_unstable_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut ranks = vec![0.0; scores.len()];
    let mut before = 0;
    for equal in rows.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let rank = before as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|row| ranks[*row] = rank);
        before += equal.len();
    }
    ranks
}

/// Pearson's correlation; of ranks it is Spearman's (1904).
fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    (0.0 < aa * bb).then(|| (ab / (aa * bb).sqrt()).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use labelloop_core::{Seed, Silent};
    use ndarray::Array2;

    use super::*;
    use crate::{CoresetError, ZCoreParams};

    #[test]
    fn equal_scores_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, -0.0, 0.0]), [4.5, 3.0, 4.5, 1.5, 1.5]);
    }

    #[test]
    fn correlations_are_scipys() {
        // scipy.stats.spearmanr([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]), from its documentation.
        let found = correlation(&ranks(&[1.0, 2.0, 3.0, 4.0, 5.0]), &ranks(&[5.0, 6.0, 7.0, 8.0, 7.0]));
        assert!((found.unwrap() - 0.820_782_681_668_123_3).abs() < 1e-15);
        assert_eq!(correlation(&ranks(&[1.0, 1.0]), &ranks(&[1.0, 2.0])), None);
    }

    #[test]
    fn more_draws_agree_better() {
        let s = Seed::new(1);
        let rows = Array2::from_shape_fn((200, 6), |(i, j)| s.normal((i * 6 + j) as u64) as f32);
        let none = Array2::zeros((0, 6));
        let stability = |n_draws| {
            let params = ZCoreParams { n_draws, n_neighbours: 20, ..Default::default() }.check().unwrap();
            params.lay_out(rows.view(), none.view()).unwrap().stability(&[1, 2, 3, 4], 40, &Silent).unwrap()
        };
        let (few, many) = (stability(200), stability(20_000));
        assert_eq!((few.spearman.len(), few.pooled.len()), (6, 200));
        assert!(many.mean_spearman() > few.mean_spearman());
        assert!(many.mean_top_overlap() > few.mean_top_overlap());
        assert!(many.mean_spearman() > Some(0.8), "{:?}", many.spearman);
    }

    #[test]
    fn one_seed_cannot_be_compared() {
        let rows = Array2::zeros((2, 2));
        let params = ZCoreParams::default().check().unwrap();
        let laid_out = params.lay_out(rows.view(), rows.view()).unwrap();
        assert!(matches!(
            laid_out.stability(&[1], 1, &Silent),
            Err(CoresetError::Param(ParamError::Seeds { found: 1, expected: 2 }))
        ));
        let none = laid_out.stability(&[1, 2], 0, &Silent).unwrap();
        assert_eq!(none.top_overlap, [None]);
    }
}
