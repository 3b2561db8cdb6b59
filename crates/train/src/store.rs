//! The file of a detector.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::features::Projection;
use crate::partial::N_BOX;
use crate::{GridDetector, GridParams, Result, TrainError};

/// First bytes of every version.
const MAGIC: &[u8] = b"labelloop grid detector 1\n";
/// Changes whenever the same picture and seed give other features, so that old weights are refused.
const FEATURES: u32 = 1;
/// More bytes than any header has; a wrong length must not make us allocate.
const MOST_HEADER: usize = 1 << 16;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    features: u32,
    stride: u32,
    n_classes: usize,
    params: GridParams,
}

pub(crate) fn to_bytes(detector: &GridDetector) -> Vec<u8> {
    let header = Header {
        features: FEATURES,
        stride: detector.stride(),
        n_classes: detector.n_classes(),
        params: detector.params.get().clone(),
    };
    let header = serde_json::to_vec(&header).expect("checked parameters are plain finite numbers");
    let mut out = MAGIC.to_vec();
    out.extend((header.len() as u32).to_le_bytes());
    out.extend(header);
    for value in detector.weights.iter().chain(&detector.class_boxes) {
        out.extend(value.to_le_bytes());
    }
    let sum = fnv(&out);
    out.extend(sum.to_le_bytes());
    out
}

pub(crate) fn from_bytes(bytes: &[u8]) -> Result<GridDetector> {
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| refuse("it does not begin as one of version 1"))?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| refuse("it is cut in the header"))?;
    let length = u32::from_le_bytes(*length) as usize;
    if MOST_HEADER < length || rest.len() < length {
        return Err(refuse("it is cut in the header"));
    }
    let (body, sum) = bytes.split_last_chunk::<8>().ok_or_else(|| refuse("it is cut"))?;
    if fnv(body) != u64::from_le_bytes(*sum) {
        return Err(refuse("its check sum does not match: it is cut or changed"));
    }
    let (header, rest) = rest.split_at(length);
    let header: Header = serde_json::from_slice(header).map_err(|e| refuse(&format!("header: {e}")))?;
    if header.features != FEATURES {
        return Err(refuse(&format!("features of version {}: expected {FEATURES}", header.features)));
    }
    let pinned = Some(header.stride);
    if header.params.stride.is_some() && header.params.stride != pinned {
        return Err(refuse("stride and parameters disagree"));
    }
    let params = header.params.check()?;
    GridParams { stride: pinned, ..header.params.clone() }.check()?;
    let weights = rest.get(..rest.len().saturating_sub(8)).unwrap_or_default();
    let (weights, class_boxes) = arrays(weights, params.get().n_random_features + 1, header.n_classes)?;
    let projection = Projection::new(&params, header.stride);
    Ok(GridDetector { params, projection, weights, class_boxes })
}

/// Weights (features x (classes + 4)) and mean boxes (classes x 4), which must fill the bytes exactly.
fn arrays(bytes: &[u8], n_features: usize, n_classes: usize) -> Result<(Array2<f32>, Array2<f32>)> {
    let counts = || {
        let outputs = n_classes.checked_add(N_BOX).filter(|_| 0 < n_classes)?;
        let n_weights = outputs.checked_mul(n_features)?;
        let total = n_classes.checked_mul(N_BOX)?.checked_add(n_weights)?.checked_mul(4)?;
        (total == bytes.len()).then_some((outputs, n_weights))
    };
    let Some((n_outputs, n_weights)) = counts() else {
        return Err(refuse(&format!("{} bytes of weights do not fit {n_classes} classes", bytes.len())));
    };
    let mut values: Vec<f32> =
        bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
    if values.iter().any(|v| !v.is_finite()) {
        return Err(refuse("a weight is not finite"));
    }
    let class_boxes = values.split_off(n_weights);
    let shaped = |n_rows, n_columns, v| {
        Array2::from_shape_vec((n_rows, n_columns), v).map_err(|e| refuse(&format!("weights: {e}")))
    };
    Ok((shaped(n_features, n_outputs, values)?, shaped(n_classes, N_BOX, class_boxes)?))
}

pub(crate) fn refuse(reason: &str) -> TrainError {
    TrainError::NotADetector { reason: reason.to_owned() }
}

/// Fowler, Noll and Vo's 64-bit sum, variant 1a: notices damage, not malice.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01B3))
}

/// Writes next to the file, then renames, so that readers see all or nothing.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let io = |source| TrainError::Io { path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_published() {
        // Test vectors of the authors' page: the empty text, "a" and "foobar".
        assert_eq!(fnv(b""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(fnv(b"a"), 0xAF63_DC4C_8601_EC8C);
        assert_eq!(fnv(b"foobar"), 0x8594_4171_F739_67E8);
    }

    #[test]
    fn class_counts_that_overflow_are_refused() {
        assert!(arrays(&[0; 64], 17, usize::MAX).is_err());
        assert!(arrays(&[], 17, 0).is_err());
    }
}
