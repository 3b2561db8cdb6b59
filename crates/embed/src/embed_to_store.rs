use std::ops::Range;
use std::path::{Path, PathBuf};

use labelloop_core::{Progress, SampleId};
use ndarray::Array2;

use crate::embed_all::{Sorted, sorted};
use crate::{CacheState, EmbedFailure, Embedder, ModelInfo, Result, VectorStore, pipeline};

/// What [`embed_to_store`] did; the vectors are in the store.
#[derive(Debug)]
pub struct StoredRun {
    /// Samples that have a vector, in ascending order.
    pub ids: Vec<SampleId>,
    /// BLAKE3 of the bytes of each one's picture.
    pub contents: Vec<[u8; 32]>,
    /// The others, in the order of ids.
    pub failures: Vec<EmbedFailure>,
    /// Vectors computed in this run.
    pub n_computed: usize,
    /// Rows whose vector was there already.
    pub n_cached: usize,
    records: Vec<u64>,
    store: VectorStore,
    model: ModelInfo,
    n_dims: usize,
}

/// [`embed_all`](crate::embed_all) for more vectors than there is memory: they stay in the store, and are read back in
/// parts, in the order of ids.
///
/// Memory: for each worker one picture, for each item and each vector in the store some 100 bytes.
///
/// ```
/// use labelloop_core::{ImageSize, SampleId, Silent};
/// use labelloop_embed::{Descriptor, embed_to_store};
/// use labelloop_media::{RgbImage, save_png};
///
/// let folder = tempfile::tempdir()?;
/// let mut items = Vec::new();
/// for name in ["a", "b", "c"] {
///     let path = folder.path().join(name).with_extension("png");
///     save_png(&RgbImage::filled(ImageSize::new(40, 30)?, [name.as_bytes()[0], 99, 200]), &path)?;
///     items.push((SampleId::new(name)?, path));
/// }
/// let run = embed_to_store(&items, &Descriptor::default(), &folder.path().join("v.vectors"), &Silent)?;
/// assert_eq!(run.n_rows(), 3);
/// assert_eq!(run.rows(1..3)?.nrows(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`embed_all`](crate::embed_all).
pub fn embed_to_store<E: Embedder + ?Sized>(
    items: &[(SampleId, PathBuf)],
    embedder: &E,
    store: &Path,
    progress: &dyn Progress,
) -> Result<StoredRun> {
    let items = sorted(items)?;
    let mut store = VectorStore::open(store, embedder)?;
    let outcome = pipeline::run(&items, embedder, Some(&mut store), false, progress)?;
    let Sorted { rows, failures } = Sorted::new(&items, outcome.slots);
    let n_computed = outcome.n_computed;
    Ok(StoredRun {
        ids: rows.iter().map(|(item, ..)| items[*item].0.clone()).collect(),
        contents: rows.iter().map(|(_, content, _)| *content).collect(),
        failures,
        n_computed,
        n_cached: rows.len() - n_computed,
        records: rows.into_iter().map(|(.., record)| record).collect(),
        store,
        model: ModelInfo::of(embedder),
        n_dims: embedder.n_dims(),
    })
}

impl StoredRun {
    /// Samples that have a vector.
    pub fn n_rows(&self) -> usize {
        self.ids.len()
    }

    /// Length of each vector.
    pub fn n_dims(&self) -> usize {
        self.n_dims
    }

    /// Whose vectors these are.
    pub fn model(&self) -> &ModelInfo {
        &self.model
    }

    /// What was found where the store was asked for.
    pub fn cache(&self) -> &CacheState {
        self.store.state()
    }

    /// Records of the store that turned out to be damaged; their vectors were computed again.
    pub fn n_damaged(&self) -> usize {
        self.store.n_damaged()
    }

    /// Vectors of `ids[range]`, read from the store and checked; those beyond the last are left out.
    ///
    /// # Errors
    /// [`EmbedError::Damaged`](crate::EmbedError::Damaged) when a row is not what was written,
    /// [`EmbedError::Io`](crate::EmbedError::Io).
    pub fn rows(&self, range: Range<usize>) -> Result<Array2<f32>> {
        let end = range.end.min(self.n_rows());
        let records = &self.records[range.start.min(end)..end];
        let mut rows = Array2::zeros((records.len(), self.n_dims));
        for (mut row, record) in rows.rows_mut().into_iter().zip(records) {
            let vector = self.store.files().row(*record)?;
            row.iter_mut().zip(vector).for_each(|(to, from)| *to = from);
        }
        Ok(rows)
    }
}
