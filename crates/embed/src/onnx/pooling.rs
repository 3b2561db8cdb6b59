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
