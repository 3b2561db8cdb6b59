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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_zero_score_equals_zero() {
        assert_eq!(by_score(-0.0, 0.0), std::cmp::Ordering::Equal);
        assert_eq!(by_score(0.9, 0.1), std::cmp::Ordering::Less);
    }
}
