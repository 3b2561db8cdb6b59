//! Distances in f64 with a fixed order of additions.

/// Partial sums kept, so that additions need not wait for each other.
const LANES: usize = 8;

/// The squared Euclidean distance of two rows of one length.
#[inline]
pub(crate) fn squared(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |a, b| (a - b) * (a - b))
}

/// The inner product of two rows of one length.
#[inline]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |a, b| a * b)
}

#[inline]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (a_rest, b_rest) = (a_chunks.remainder(), b_chunks.remainder());
    let mut lanes = [0.0f64; LANES];
    for (a, b) in a_chunks.zip(b_chunks) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += term(f64::from(*a), f64::from(*b));
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| term(f64::from(*a), f64::from(*b))).sum();
    lanes.iter().fold(rest, |sum, lane| sum + lane)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_the_plain_sum_and_does_not_mind_the_order(
            pairs in prop::collection::vec((-9f32..9.0, -9f32..9.0), 0..40),
        ) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let plain: f64 = a.iter().zip(&b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            prop_assert!((squared(&a, &b) - plain).abs() <= 1e-9);
            prop_assert_eq!(squared(&a, &b), squared(&b, &a));
            prop_assert_eq!(squared(&a, &a), 0.0);
            let plain: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            prop_assert!((dot(&a, &b) - plain).abs() <= 1e-9);
        }
    }
}
