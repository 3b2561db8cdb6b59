//! Two sums of numpy, because bit-identical results need its order of operations.

/// `numpy.linspace(start, stop, n)`: `i * step + start`, and the last number is `stop` itself.
pub(crate) fn linspace(start: f64, stop: f64, n: usize) -> Vec<f64> {
    let step = (stop - start) / n.saturating_sub(1).max(1) as f64;
    let mut values: Vec<f64> = (0..n).map(|i| i as f64 * step + start).collect();
    if let Some(last) = values.last_mut()
        && 1 < n
    {
        *last = stop;
    }
    values
}

/// `numpy.mean` of a contiguous array; nothing where there is no number.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| pairwise_sum(values) / values.len() as f64)
}

/// Pairwise summation as numpy's `add.reduce` does it: blocks of up to 128 numbers in eight running sums, halves that
/// are multiples of eight above that.
fn pairwise_sum(values: &[f64]) -> f64 {
    let n = values.len();
    if n < 8 {
        return values.iter().fold(0.0, |sum, v| sum + v);
    }
    if 128 < n {
        let half = n / 2;
        let (left, right) = values.split_at(half - half % 8);
        return pairwise_sum(left) + pairwise_sum(right);
    }
    let mut chunks = values.chunks_exact(8);
    let mut r = [0.0; 8];
    if let Some(first) = chunks.next() {
        r.copy_from_slice(first);
    }
    for chunk in chunks.by_ref() {
        r.iter_mut().zip(chunk).for_each(|(sum, v)| *sum += v);
    }
    let sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    chunks.remainder().iter().fold(sum, |sum, v| sum + v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_mean_and_few_numbers_are_added_in_order() {
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[0.1, 0.2, 0.3]), Some((0.1 + 0.2 + 0.3) / 3.0));
    }

    #[test]
    fn sums_are_those_of_numpy() {
        // numpy 2.4.6: the bits of np.sum(1 / np.arange(1., n + 1)).
        let reference = [
            (7, 0x4004_be2b_e2be_2be2),
            (8, 0x4005_be2b_e2be_2be2),
            (15, 0x400a_8bbb_a474_75d4),
            (128, 0x4015_bb8a_e954_1ca7),
            (129, 0x4015_c37b_0914_9ba9),
            (137, 0x4016_00dc_ab4a_b08b),
            (1000, 0x401d_f11f_45f4_e61a),
            (10007, 0x4023_939c_cfe4_1eca),
        ];
        for (n, expected) in reference {
            let values: Vec<f64> = (1..=n).map(|i| 1.0 / f64::from(i)).collect();
            assert_eq!(pairwise_sum(&values).to_bits(), expected, "n = {n}");
        }
    }

    #[test]
    fn linspace_of_one_and_none() {
        assert_eq!(linspace(0.5, 0.9, 1), [0.5]);
        assert!(linspace(0.5, 0.9, 0).is_empty());
    }
}
