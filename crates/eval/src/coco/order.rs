use crate::ImageCase;

/// Places of detections in the picture, of one class or of all, best score first, the earlier one first among equals.
pub(crate) fn detections_by_score(case: &ImageCase<'_>, class: Option<u32>) -> Vec<usize> {
    let detections = case.detections;
    let is_asked = |i: &usize| class.is_none_or(|class| detections[*i].class().0 == class);
    let mut order: Vec<usize> = (0..detections.len()).filter(is_asked).collect();
    order.sort_by(|a, b| by_score(detections[*a].score(), detections[*b].score()));
    order
}

/// Higher scores first; both zeros are one number, so `total_cmp` would be wrong.
pub(crate) fn by_score(a: f64, b: f64) -> std::cmp::Ordering {
    b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal)
}

/// A number that ascends where finite scores descend; both zeros are one score.
pub(super) fn falling(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    // Bits of numbers below zero ascend the wrong way round, and come after those above.
    if score < 0.0 { bits } else { !bits & !(1 << 63) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_zero_score_equals_zero() {
        assert_eq!(by_score(-0.0, 0.0), std::cmp::Ordering::Equal);
        assert_eq!(by_score(0.9, 0.1), std::cmp::Ordering::Less);
    }

    #[test]
    fn any_finite_scores_are_ranked() {
        let scores = [f64::MAX, 42.0, 1.0, 0.5, f64::MIN_POSITIVE, 0.0, -f64::MIN_POSITIVE, -3.0, f64::MIN];
        assert!(scores.is_sorted_by(|a, b| falling(*a) < falling(*b)));
        assert_eq!(falling(0.0), falling(-0.0));
    }
}
