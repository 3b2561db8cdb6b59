use labelloop_eval::multiplicity::{Correction, adjust_known};

/// The p-values adjusted so that rejecting all up to `q` lets at most the share `q` of rejections be false, on average.
///
/// Benjamini and Hochberg (1995): with `p_(1) <= ... <= p_(m)`, the adjusted value of the `i`-th is the smallest
/// `m p_(j) / j` over `j >= i`, at most 1. The promise holds for independent tests and for those that depend on each other
/// positively (Benjamini and Yekutieli 2001). Values that are no numbers from 0 to 1 give none and are not counted.
///
/// ```
/// use labelloop_qa::benjamini_hochberg;
///
/// let q = benjamini_hochberg(&[0.01, 0.04, 0.03]);
/// assert_eq!(q, [Some(0.03), Some(0.04), Some(0.04)]);
/// ```
///
/// O(m log m).
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<Option<f64>> {
    let known: Vec<Option<f64>> =
        p_values.iter().map(|p| Some(*p).filter(|p| (0.0..=1.0).contains(p))).collect();
    adjust_known(&known, Correction::BenjaminiHochberg).expect("what is known is from 0 to 1")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_test_needs_no_adjustment_and_none_gives_none() {
        assert_eq!(benjamini_hochberg(&[0.2]), [Some(0.2)]);
        assert!(benjamini_hochberg(&[]).is_empty());
        assert_eq!(benjamini_hochberg(&[f64::NAN, 0.2, 1.5]), [None, Some(0.2), None]);
    }

    proptest! {
        #[test]
        fn it_rejects_what_the_step_up_rule_rejects(
            p in prop::collection::vec(0u32..=1000, 1..40), level in 0.01..0.3f64
        ) {
            let p: Vec<f64> = p.into_iter().map(|x| f64::from(x) / 1000.0).collect();
            // Definition: the largest k with p_(k) <= k / m * level; all up to it are rejected.
            let mut sorted = p.clone();
            sorted.sort_by(f64::total_cmp);
            let m = p.len() as f64;
            let limit = (1..=p.len()).rev().find(|k| sorted[k - 1] * (m / *k as f64) <= level).map(|k| sorted[k - 1]);
            for (x, q) in p.iter().zip(benjamini_hochberg(&p)) {
                prop_assert_eq!(q.unwrap() <= level, limit.is_some_and(|limit| *x <= limit));
                prop_assert!(*x <= q.unwrap() && q.unwrap() <= 1.0);
            }
        }
    }
}
