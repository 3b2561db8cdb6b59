use std::cmp::Ordering;

use labelloop_core::{Members, Pool, SampleId};
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::candidates::check_finite;
use crate::{AcquireError, Bucket, Result};

/// How the model failed on an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Objects it did not find (false negatives).
    MissedObjects,
    /// Objects it found where there are none (false positives).
    FalseAlarms,
    /// Objects it found and gave the wrong class.
    Confusion {
        /// The class they are of.
        actual: String,
        /// The class it gave.
        predicted: String,
    },
}

impl FailureKind {
    /// The bucket that looks for samples like this failure.
    pub fn bucket(&self) -> Bucket {
        match self {
            FailureKind::MissedObjects => Bucket::Missed,
            FailureKind::FalseAlarms => Bucket::FalseAlarm,
            FailureKind::Confusion { .. } => Bucket::Confusion,
        }
    }
}

/// A failing image that the pool is searched with. The image itself is never selected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureQuery {
    /// The image, of the validation split.
    pub image: SampleId,
    /// How the model failed on it.
    pub kind: FailureKind,
    /// How badly, for instance the number of missed objects.
    pub weight: f64,
    /// Row of the image in [`Failures::embeddings`].
    pub row: usize,
}

/// Failing images and their embeddings.
#[derive(Debug, Clone, Copy)]
pub struct Failures<'a> {
    /// One entry for each image and kind; their order does not matter.
    pub queries: &'a [FailureQuery],
    /// Embeddings that the queries point into, shape any x dimensions.
    pub embeddings: ArrayView2<'a, f32>,
}

/// The failures of one bucket, in an order of their own.
pub(crate) struct BucketQueries {
    pub(crate) images: Vec<SampleId>,
    pub(crate) weights: Vec<f64>,
    pub(crate) embeddings: Array2<f32>,
}

impl Failures<'_> {
    /// Refuses failures that do not fit the candidates.
    pub(crate) fn check(&self, members: &Members<Pool>, n_dims: usize) -> Result<()> {
        for query in self.queries {
            let image = || query.image.to_string();
            if !(0.0 < query.weight && query.weight.is_finite()) {
                return Err(AcquireError::InvalidWeight { image: image(), found: query.weight });
            }
            if query.row >= self.embeddings.nrows() {
                let (found, expected) = (query.row, self.embeddings.nrows());
                return Err(AcquireError::QueryRow { image: image(), found, expected });
            }
            if members.contains(&query.image) {
                return Err(AcquireError::QueryInPool { image: image() });
            }
        }
        if !self.queries.is_empty() && self.embeddings.ncols() != n_dims {
            let found = self.embeddings.ncols();
            return Err(AcquireError::DimensionMismatch { what: "failures", found, expected: n_dims });
        }
        check_finite(self.embeddings, |row| format!("failure row {row}"))
    }

    /// The bucket's failures ordered by kind and image; equal ones are joined and their weights added.
    pub(crate) fn of(&self, bucket: Bucket) -> BucketQueries {
        let mut queries: Vec<&FailureQuery> =
            self.queries.iter().filter(|q| q.kind.bucket() == bucket).collect();
        queries.sort_by(|a, b| self.order(a, b));
        let mut joined: Vec<(&FailureQuery, f64)> = Vec::new();
        for query in queries {
            match joined.last_mut() {
                Some((last, weight)) if (&last.kind, &last.image) == (&query.kind, &query.image) => {
                    *weight += query.weight;
                }
                _ => joined.push((query, query.weight)),
            }
        }
        let rows: Vec<usize> = joined.iter().map(|(q, _)| q.row).collect();
        BucketQueries {
            images: joined.iter().map(|(q, _)| q.image.clone()).collect(),
            weights: joined.iter().map(|(_, weight)| *weight).collect(),
            embeddings: self.embeddings.select(ndarray::Axis(0), &rows),
        }
    }

    /// An order that depends on what the queries say and not on where they stand.
    fn order(&self, a: &FailureQuery, b: &FailureQuery) -> Ordering {
        let vectors = || {
            let pairs = self.embeddings.row(a.row).into_iter().zip(self.embeddings.row(b.row));
            pairs.map(|(x, y)| x.total_cmp(y)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        };
        (&a.kind, &a.image)
            .cmp(&(&b.kind, &b.image))
            .then_with(vectors)
            .then_with(|| a.weight.total_cmp(&b.weight))
    }
}
