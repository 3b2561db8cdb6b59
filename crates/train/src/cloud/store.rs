//! The file of a detector of point clouds.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::describe::N_INPUTS;
use super::model::{ClassModel, Model, N_CLASS_NUMBERS};
use super::read_out::Hidden;
use super::{CloudDetector, CloudDetectorParams};
use crate::Result;
use crate::learner::MOST_CLASSES;
use crate::store::{fnv, refuse};

/// First bytes of every version.
const MAGIC: &[u8] = b"labelloop cloud detector 1\n";
/// Changes whenever the same cloud and seed give other features, so that old weights are refused.
const FEATURES: u32 = 1;
/// More bytes than any header has; a wrong length must not make us allocate.
const MOST_HEADER: usize = 1 << 16;
/// Logarithms of length, width and height.
const N_SIZES: usize = 3;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    features: u32,
    n_classes: usize,
    params: CloudDetectorParams,
}

pub(crate) fn to_bytes(detector: &CloudDetector) -> Vec<u8> {
    let model = &detector.model;
    let header =
        Header { features: FEATURES, n_classes: model.classes.len(), params: model.params.get().clone() };
    let header = serde_json::to_vec(&header).expect("checked parameters are plain finite numbers");
    let mut out = MAGIC.to_vec();
    out.extend((header.len() as u32).to_le_bytes());
    out.extend(header);
    let scale = model.hidden.scale.iter().flatten();
    for value in scale.chain(model.votes.iter()).chain(model.sizes.iter()) {
        out.extend(value.to_le_bytes());
    }
    for value in model.classes.iter().flat_map(ClassModel::to_numbers) {
        out.extend(value.to_le_bytes());
    }
    let sum = fnv(&out);
    out.extend(sum.to_le_bytes());
    out
}

pub(crate) fn from_bytes(bytes: &[u8]) -> Result<CloudDetector> {
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| refuse("it does not begin as one of version 1"))?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| refuse("it is cut in the header"))?;
    let length = u32::from_le_bytes(*length) as usize;
    let (rest, sum) = rest.split_last_chunk::<8>().ok_or_else(|| refuse("it is cut"))?;
    if MOST_HEADER < length || rest.len() < length {
        return Err(refuse("it is cut in the header"));
    }
    if fnv(&bytes[..bytes.len() - 8]) != u64::from_le_bytes(*sum) {
        return Err(refuse("its check sum does not match: it is cut or changed"));
    }
    let (header, numbers) = rest.split_at(length);
    let header: Header = serde_json::from_slice(header).map_err(|e| refuse(&format!("header: {e}")))?;
    if header.features != FEATURES {
        return Err(refuse(&format!("features of version {}: expected {FEATURES}", header.features)));
    }
    Ok(CloudDetector { model: model(&header, numbers)? })
}

/// The numbers must fill the bytes exactly.
fn model(header: &Header, bytes: &[u8]) -> Result<Model> {
    let params = header.params.check()?;
    let n_classes = header.n_classes;
    let width = N_INPUTS + params.get().n_random_features + 1;
    let lengths = [2 * N_INPUTS, width * n_classes.min(MOST_CLASSES), width * N_SIZES];
    let n_numbers = lengths.iter().sum::<usize>() + N_CLASS_NUMBERS * n_classes.min(MOST_CLASSES);
    if n_classes == 0 || MOST_CLASSES < n_classes || bytes.len() != 8 * n_numbers {
        return Err(refuse(&format!("{} bytes of numbers do not fit {n_classes} classes", bytes.len())));
    }
    let numbers: Vec<f64> = bytes.as_chunks::<8>().0.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect();
    if numbers.iter().any(|v| !v.is_finite()) {
        return Err(refuse("a number is not finite"));
    }
    let (scale, rest) = numbers.split_at(lengths[0]);
    let (votes, rest) = rest.split_at(lengths[1]);
    let (sizes, classes) = rest.split_at(lengths[2]);
    let scale = std::array::from_fn(|i| [scale[2 * i], scale[2 * i + 1]]);
    let hidden = Hidden::new(scale, params.get().n_random_features, params.get().seed);
    Ok(Model {
        hidden,
        votes: DMatrix::from_column_slice(width, n_classes, votes),
        sizes: DMatrix::from_column_slice(width, N_SIZES, sizes),
        classes: classes.as_chunks::<N_CLASS_NUMBERS>().0.iter().map(ClassModel::of_numbers).collect(),
        params,
    })
}
