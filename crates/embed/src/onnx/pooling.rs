use super::{Layout, ModelDescription, OnnxError, Pooling};

/// What a pooling takes, in the words of an error.
pub(super) fn expected(description: &ModelDescription) -> &'static str {
    match description.pooling {
        Pooling::None => "f32 [1, dims]",
        Pooling::Cls | Pooling::MeanTokens => "f32 [1, tokens, dims]",
        Pooling::MeanPatches => "f32 [1, tokens, dims] with more tokens than prefix_tokens",
        Pooling::GlobalAverage if description.map_layout == Layout::Nchw => "f32 [1, dims, rows, columns]",
        Pooling::GlobalAverage => "f32 [1, rows, columns, dims]",
        Pooling::Flatten => "f32 of at least one number",
    }
}

/// The vector of an output; none where the shape is not what the pooling takes.
///
/// Sums are in f64 and in the order of the output, so that they do not depend on how it was computed.
pub(super) fn pool(description: &ModelDescription, shape: &[usize], numbers: &[f32]) -> Option<Vec<f32>> {
    let fits = shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side)) == Some(numbers.len());
    if !fits || numbers.is_empty() {
        return None;
    }
    match (description.pooling, shape) {
        (Pooling::None, [1, _] | [_]) | (Pooling::Flatten, _) => Some(numbers.to_vec()),
        (Pooling::Cls, [1, _, dims]) => Some(numbers[..*dims].to_vec()),
        (Pooling::MeanTokens, [1, _, dims]) => Some(mean_of_rows(numbers, *dims)),
        (Pooling::MeanPatches, [1, tokens, dims]) => {
            let skipped = description.prefix_tokens as usize;
            (skipped < *tokens).then(|| mean_of_rows(&numbers[skipped * dims..], *dims))
        }
        (Pooling::GlobalAverage, [1, a, b, c]) => Some(match description.map_layout {
            Layout::Nchw => mean_of_planes(numbers, b * c),
            Layout::Nhwc => {
                let _ = a;
                mean_of_rows(numbers, *c)
            }
        }),
        _ => None,
    }
}

fn mean_of_rows(numbers: &[f32], n_dims: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; n_dims];
    for row in numbers.chunks_exact(n_dims) {
        sums.iter_mut().zip(row).for_each(|(sum, number)| *sum += f64::from(*number));
    }
    let n_rows = (numbers.len() / n_dims) as f64;
    sums.into_iter().map(|sum| (sum / n_rows) as f32).collect()
}

fn mean_of_planes(numbers: &[f32], n_places: usize) -> Vec<f32> {
    let mean = |plane: &[f32]| plane.iter().map(|number| f64::from(*number)).sum::<f64>() / n_places as f64;
    numbers.chunks_exact(n_places).map(|plane| mean(plane) as f32).collect()
}

/// The vector as described, of what was pooled.
pub(super) fn finish(description: &ModelDescription, mut vector: Vec<f32>) -> Result<Vec<f32>, OnnxError> {
    if let Some(index) = vector.iter().position(|number| !number.is_finite()) {
        return Err(OnnxError::NotFinite { index, found: vector[index] });
    }
    if description.l2_norm {
        let squares = vector.iter().map(|number| f64::from(*number) * f64::from(*number)).sum::<f64>();
        if squares == 0.0 {
            return Err(OnnxError::ZeroVector { n_dims: vector.len() });
        }
        let length = squares.sqrt();
        vector.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
    }
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::DescriptionParams;

    fn described(keys: &str) -> ModelDescription {
        DescriptionParams::from_toml(keys).unwrap().check().unwrap()
    }

    const NUMBERS: [f32; 12] = [1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12.];

    fn pooled(pooling: &str, shape: &[usize]) -> Option<Vec<f32>> {
        pool(&described(&format!("pooling = {pooling}")), shape, &NUMBERS)
    }

    #[test]
    fn vectors_and_anything_flat_are_taken_as_they_are() {
        for (pooling, shape) in
            [("\"none\"", &[1, 12][..]), ("\"none\"", &[12]), ("\"flatten\"", &[1, 3, 2, 2])]
        {
            assert_eq!(pooled(pooling, shape).unwrap(), NUMBERS);
        }
    }

    #[test]
    fn tokens_are_chosen_or_averaged() {
        assert_eq!(pooled("\"cls\"", &[1, 4, 3]).unwrap(), [1., 2., 3.]);
        assert_eq!(pooled("\"mean-tokens\"", &[1, 4, 3]).unwrap(), [5.5, 6.5, 7.5]);
        assert_eq!(pooled("\"mean-patches\"", &[1, 4, 3]).unwrap(), [7., 8., 9.]);
        assert_eq!(pooled("\"mean-patches\"\nprefix_tokens = 3", &[1, 4, 3]).unwrap(), [10., 11., 12.]);
        assert_eq!(pooled("\"mean-patches\"\nprefix_tokens = 4", &[1, 4, 3]), None);
    }

    #[test]
    fn maps_are_averaged_over_their_places() {
        assert_eq!(pooled("\"global-average\"", &[1, 3, 2, 2]).unwrap(), [2.5, 6.5, 10.5]);
        let last = pooled("\"global-average\"\nmap_layout = \"nhwc\"", &[1, 2, 2, 3]).unwrap();
        assert_eq!(last, [5.5, 6.5, 7.5]);
    }

    #[test]
    fn other_shapes_are_none() {
        let all = ["none", "cls", "mean-tokens", "mean-patches", "global-average"];
        for pooling in all.map(|name| format!("\"{name}\"")) {
            for shape in
                [&[2, 6][..], &[2, 2, 3], &[3, 2, 2, 1], &[], &[1, 1, 1, 1, 12], &[1, 13], &[usize::MAX, 2]]
            {
                assert_eq!(pooled(&pooling, shape), None, "{pooling} {shape:?}");
            }
        }
        assert_eq!(pool(&described("pooling = \"flatten\""), &[0], &[]), None);
    }

    #[test]
    fn lengths_become_one_where_asked() {
        assert_eq!(finish(&described(""), vec![3.0, 0.0, -4.0]).unwrap(), [0.6, 0.0, -0.8]);
        assert_eq!(finish(&described("l2_norm = false"), vec![3.0, -4.0]).unwrap(), [3.0, -4.0]);
        let tiny = finish(&described(""), vec![1e-30, 0.0]).unwrap();
        assert_eq!(tiny, [1.0, 0.0]);
        let large = finish(&described(""), vec![f32::MAX, f32::MAX]).unwrap();
        assert!((large[0] - 0.5f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn what_has_no_direction_or_is_not_finite_is_refused() {
        let error = finish(&described(""), vec![0.0; 3]).unwrap_err().to_string();
        assert_eq!(
            error,
            "all 3 numbers of the vector are 0: expected another one to divide them by the length"
        );
        assert!(finish(&described("l2_norm = false"), vec![0.0; 3]).is_ok());
        for found in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let refused = finish(&described("l2_norm = false"), vec![1.0, found]).unwrap_err();
            assert!(matches!(refused, OnnxError::NotFinite { index: 1, .. }), "{refused}");
        }
    }
}
