use serde::{Deserialize, Serialize};

use crate::{CoresetError, Result};

/// A row that was chosen, why, and as which.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Selected {
    /// Row number.
    pub row: usize,
    /// What it was chosen by; the method says what it means.
    pub score: f64,
    /// Position in the selection, from 0.
    pub rank: usize,
}

/// All rows by descending score, ties by ascending id: the first k of them are the top k, exactly.
///
/// ```
/// use labelloop_coreset::rank_by_score;
///
/// let ranked = rank_by_score(&[0.5, 0.9, 0.5], &["b", "c", "a"])?;
/// assert_eq!(ranked.iter().map(|s| s.row).collect::<Vec<_>>(), [1, 2, 0]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
///
/// # Errors
/// [`CoresetError::LengthMismatch`] and, as NaN has no rank, [`CoresetError::ScoreNotANumber`].
pub fn rank_by_score<Id: Ord>(scores: &[f64], ids: &[Id]) -> Result<Vec<Selected>> {
    if scores.len() != ids.len() {
        return Err(CoresetError::LengthMismatch { what: "ids", found: ids.len(), expected: scores.len() });
    }
    if let Some(position) = scores.iter().position(|s| s.is_nan()) {
        return Err(CoresetError::ScoreNotANumber { position });
    }
    let mut rows: Vec<usize> = (0..scores.len()).collect();
    // Adding 0 makes the negative zero equal to zero, so that the id decides between them.
    rows.sort_unstable_by(|a, b| {
        (scores[*b] + 0.0).total_cmp(&(scores[*a] + 0.0)).then_with(|| ids[*a].cmp(&ids[*b])).then(a.cmp(b))
    });
    Ok(rows.into_iter().enumerate().map(|(rank, row)| Selected { row, score: scores[row], rank }).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zeros_of_both_signs_are_equal() {
        let ranked = rank_by_score(&[0.0, -0.0], &["b", "a"]).unwrap();
        assert_eq!(ranked[0].row, 1);
    }

    #[test]
    fn what_cannot_be_ranked_is_refused() {
        assert!(matches!(
            rank_by_score(&[0.0, f64::NAN], &[1, 2]),
            Err(CoresetError::ScoreNotANumber { position: 1 })
        ));
        assert!(matches!(
            rank_by_score(&[0.0], &[1, 2]),
            Err(CoresetError::LengthMismatch { found: 2, expected: 1, .. })
        ));
        assert!(rank_by_score::<u8>(&[], &[]).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn the_order_of_input_does_not_matter(scores in prop::collection::vec(0u8..5, 0..40), turn in 0usize..40) {
            let pairs: Vec<(f64, usize)> = scores.iter().map(|s| f64::from(*s)).zip(0..).collect();
            let mut turned = pairs.clone();
            turned.rotate_left(turn.min(pairs.len()));
            let ids = |pairs: &[(f64, usize)]| {
                let (s, i): (Vec<f64>, Vec<usize>) = pairs.iter().copied().unzip();
                rank_by_score(&s, &i).unwrap().iter().map(|r| i[r.row]).collect::<Vec<_>>()
            };
            prop_assert_eq!(ids(&pairs), ids(&turned));
        }
    }
}
