use std::path::Path;

use labelloop_core::{CoreError, Embeddings, SampleId};
use ndarray::{Axis, concatenate};
use serde::{Deserialize, Serialize};

use crate::{EmbedError, EmbedRun, Embedder, Result, TableProblem};

/// Which model made vectors, with everything that happens to a picture before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// 64 hexadecimal digits: [`Embedder::digest_bytes`]. Vectors of two digests must not be compared.
    pub digest: String,
    /// What the digest stands for, in words.
    pub description: String,
}

impl ModelInfo {
    /// What an embedder says of itself.
    pub fn of<E: Embedder + ?Sized>(embedder: &E) -> Self {
        let digest = blake3::Hash::from_bytes(embedder.digest_bytes()).to_hex().to_string();
        Self { digest, description: embedder.description() }
    }
}

/// Vectors with all that says what they are: samples, contents of their files, and the model.
///
/// It goes to Parquet (feature `parquet`, `EmbeddingTable::write_parquet`) and to `.npy`
/// ([`EmbeddingTable::write_npy`]), and comes back bit for bit.
///
/// ```
/// use labelloop_core::{Embeddings, SampleId};
/// use labelloop_embed::{EmbeddingTable, ModelInfo};
/// use ndarray::array;
///
/// let ids = vec![SampleId::new("a")?, SampleId::new("b")?];
/// let vectors = Embeddings::new(ids, array![[0.0, 1.0], [1.0, 0.0]])?;
/// let model = ModelInfo { digest: "0".repeat(64), description: "by hand".to_owned() };
/// let table = EmbeddingTable::new(vectors, None, Some(model))?;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors.npy");
/// table.write_npy(&path)?;
/// assert_eq!(EmbeddingTable::read_npy(&path)?, table);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingTable {
    embeddings: Embeddings,
    contents: Option<Vec<[u8; 32]>>,
    model: Option<ModelInfo>,
}

impl EmbeddingTable {
    /// Vectors, with the BLAKE3 of each one's file and the model where they are known.
    ///
    /// # Errors
    /// [`CoreError::RowCount`] for another number of contents than of rows.
    pub fn new(
        embeddings: Embeddings,
        contents: Option<Vec<[u8; 32]>>,
        model: Option<ModelInfo>,
    ) -> Result<Self> {
        if let Some(contents) = &contents
            && contents.len() != embeddings.n_samples()
        {
            let (n_rows, n_ids) = (embeddings.n_samples(), contents.len());
            return Err(CoreError::RowCount { n_rows, n_ids }.into());
        }
        Ok(Self { embeddings, contents, model })
    }

    /// What a run of this embedder gave.
    ///
    /// ```
    /// use labelloop_core::Silent;
    /// use labelloop_embed::{Descriptor, EmbeddingTable, embed_all};
    ///
    /// let embedder = Descriptor::default();
    /// let table = EmbeddingTable::of(embed_all(&[], &embedder, None, &Silent)?, &embedder);
    /// assert_eq!(table.model().unwrap().digest, embedder.digest());
    /// # Ok::<(), labelloop_embed::EmbedError>(())
    /// ```
    pub fn of<E: Embedder + ?Sized>(run: EmbedRun, embedder: &E) -> Self {
        let EmbedRun { embeddings, contents, .. } = run;
        Self { embeddings, contents: Some(contents), model: Some(ModelInfo::of(embedder)) }
    }

    /// Samples and vectors.
    pub fn embeddings(&self) -> &Embeddings {
        &self.embeddings
    }

    /// BLAKE3 of each row's file, where it is known.
    pub fn contents(&self) -> Option<&[[u8; 32]]> {
        self.contents.as_deref()
    }

    /// The model, where it is known.
    pub fn model(&self) -> Option<&ModelInfo> {
        self.model.as_ref()
    }

    /// The vectors without the rest.
    pub fn into_embeddings(self) -> Embeddings {
        self.embeddings
    }

    /// The rows of this table, then those of the other. Contents are kept where both have them.
    ///
    /// ```
    /// use labelloop_core::{Embeddings, SampleId};
    /// use labelloop_embed::{EmbedError, EmbeddingTable, ModelInfo};
    /// use ndarray::array;
    ///
    /// let table = |id: &str, digest: char| {
    ///     let vectors = Embeddings::new(vec![SampleId::new(id)?], array![[0.0, 1.0]])?;
    ///     let model = ModelInfo { digest: digest.to_string().repeat(64), description: String::new() };
    ///     EmbeddingTable::new(vectors, None, Some(model))
    /// };
    /// assert_eq!(table("a", '0')?.join(&table("b", '0')?)?.embeddings().n_samples(), 2);
    /// let refused = table("a", '0')?.join(&table("b", '1')?);
    /// assert!(matches!(refused, Err(EmbedError::DifferentModels { .. })));
    /// # Ok::<(), EmbedError>(())
    /// ```
    ///
    /// # Errors
    /// [`EmbedError::DifferentModels`] unless both digests are the same, or both are unknown;
    /// [`EmbedError::VectorLength`]; [`CoreError::DuplicateSample`].
    pub fn join(&self, other: &Self) -> Result<Self> {
        let digest = |table: &Self| table.model.as_ref().map(|model| model.digest.clone());
        let (left, right) = (digest(self), digest(other));
        if left != right {
            let words = |digest: Option<String>| digest.unwrap_or_else(|| "unknown".to_owned());
            return Err(EmbedError::DifferentModels { left: words(left), right: words(right) });
        }
        let (expected, found) = (self.embeddings.n_dims(), other.embeddings.n_dims());
        if expected != found {
            return Err(EmbedError::VectorLength { found, expected });
        }
        let both = concatenate(Axis(0), &[self.embeddings.vectors(), other.embeddings.vectors()])
            .map_err(|_| EmbedError::VectorLength { found, expected })?;
        let ids = [self.embeddings.ids(), other.embeddings.ids()].concat();
        let contents = self.contents.as_ref().zip(other.contents.as_ref());
        let contents = contents.map(|(one, two)| [one.as_slice(), two].concat());
        Self::new(Embeddings::new(ids, both)?, contents, self.model.clone())
    }
}

/// Ids as a file has them, each once.
pub(crate) fn checked_ids(path: &Path, texts: Vec<String>) -> Result<Vec<SampleId>> {
    let refused = |problem| EmbedError::Table { path: path.to_owned(), problem };
    let mut first_of = std::collections::BTreeMap::new();
    let mut ids = Vec::with_capacity(texts.len());
    for (row, text) in texts.into_iter().enumerate() {
        let id = SampleId::new(text.clone())
            .map_err(|e| refused(TableProblem::Id { row, found: text.clone(), reason: e.to_string() }))?;
        if let Some(first) = first_of.insert(id.clone(), row) {
            return Err(refused(TableProblem::DuplicateId { row, first, id: text }));
        }
        ids.push(id);
    }
    Ok(ids)
}

/// A content as text.
pub(crate) fn hex_of(content: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*content).to_hex().to_string()
}

/// The content that a text of row `row` names.
pub(crate) fn content_of(path: &Path, row: usize, text: &str) -> Result<[u8; 32]> {
    let refused = || EmbedError::Table {
        path: path.to_owned(),
        problem: TableProblem::Content { row, found: text.to_owned() },
    };
    blake3::Hash::from_hex(text).map(Into::into).map_err(|_| refused())
}
