use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use labelloop_core::SampleId;
use ndarray::{ArrayView2, Axis};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::table::hex_of;
use crate::table_npy::{ROWS_AT_A_TIME, in_place_of};
use crate::{EmbedError, EmbeddingTable, ModelInfo, Result, StoredRun, TableProblem};

pub(crate) const DIGEST: &str = "labelloop.model.digest";
pub(crate) const DESCRIPTION: &str = "labelloop.model.description";
pub(crate) const N_DIMS: &str = "labelloop.n_dims";
/// Numbers of a row group, 16 MB of them: what a writer holds in memory.
const GROUP_NUMBERS: usize = 4 << 20;

impl EmbeddingTable {
    /// Writes a Parquet file with columns `id` (text), `content` (hexadecimal text, where contents are known) and
    /// `embedding` (a list of `f32` of fixed length), and the model in its metadata; whole or not at all.
    ///
    /// ```
    /// use labelloop_core::{Embeddings, SampleId};
    /// use labelloop_embed::EmbeddingTable;
    /// use ndarray::array;
    ///
    /// let vectors = Embeddings::new(vec![SampleId::new("a")?], array![[0.5, 1.0]])?;
    /// let table = EmbeddingTable::new(vectors, None, None)?;
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("vectors.parquet");
    /// table.write_parquet(&path)?;
    /// assert_eq!(EmbeddingTable::read_parquet(&path)?, table);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`EmbedError::Io`], [`EmbedError::Table`] with what the writer said.
    pub fn write_parquet(&self, path: &Path) -> Result<()> {
        let (ids, vectors) = (self.embeddings().ids(), self.embeddings().vectors());
        in_place_of(path, |file| {
            let mut writer =
                Writer::new(path, file, vectors.ncols(), self.contents().is_some(), self.model())?;
            for from in (0..ids.len()).step_by(ROWS_AT_A_TIME) {
                let rows = from..ids.len().min(from + ROWS_AT_A_TIME);
                let contents = self.contents().map(|contents| &contents[rows.clone()]);
                writer.write(&ids[rows.clone()], contents, &vectors.slice_axis(Axis(0), rows.into()))?;
            }
            writer.finish()
        })
    }
}

impl StoredRun {
    /// Writes what [`EmbeddingTable::write_parquet`] writes, with one row group (16 MB of numbers) in memory at a time.
    ///
    /// # Errors
    /// [`EmbedError::Io`], [`EmbedError::Damaged`], [`EmbedError::Table`] with what the writer said.
    pub fn write_parquet(&self, path: &Path) -> Result<()> {
        in_place_of(path, |file| {
            let mut writer = Writer::new(path, file, self.n_dims(), true, Some(self.model()))?;
            for from in (0..self.n_rows()).step_by(ROWS_AT_A_TIME) {
                let rows = from..self.n_rows().min(from + ROWS_AT_A_TIME);
                let vectors = self.rows(rows.clone())?;
                writer.write(&self.ids[rows.clone()], Some(&self.contents[rows]), &vectors.view())?;
            }
            writer.finish()
        })
    }
}

/// A Parquet file that is being written.
struct Writer<'a> {
    path: &'a Path,
    schema: Arc<Schema>,
    writer: ArrowWriter<&'a File>,
}

impl<'a> Writer<'a> {
    fn new(
        path: &'a Path,
        file: &'a File,
        n_dims: usize,
        has_contents: bool,
        model: Option<&ModelInfo>,
    ) -> Result<Self> {
        let mut columns = vec![Field::new("id", DataType::Utf8, false)];
        if has_contents {
            columns.push(Field::new("content", DataType::Utf8, false));
        }
        columns.push(Field::new("embedding", list_type(n_dims, path)?, false));
        let schema = Arc::new(Schema::new(columns));
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties(n_dims, model)));
        Ok(Self { path, schema, writer: writer.map_err(parquet_error(path))? })
    }

    fn write(
        &mut self,
        ids: &[SampleId],
        contents: Option<&[[u8; 32]]>,
        vectors: &ArrayView2<'_, f32>,
    ) -> Result<()> {
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from_iter_values(ids.iter().map(SampleId::as_str)))];
        if let Some(contents) = contents {
            columns.push(Arc::new(StringArray::from_iter_values(contents.iter().map(hex_of))));
        }
        let list = self.schema.field(self.schema.fields().len() - 1);
        let numbers: Float32Array = vectors.iter().copied().collect::<Vec<f32>>().into();
        let (DataType::FixedSizeList(element, _), Ok(n)) = (list.data_type(), i32::try_from(vectors.ncols()))
        else {
            return Err(refused(self.path, "vectors too long for a Parquet list"));
        };
        let lists = FixedSizeListArray::try_new(Arc::clone(element), n, Arc::new(numbers), None);
        columns.push(Arc::new(lists.map_err(arrow_error(self.path))?));
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(arrow_error(self.path))?;
        self.writer.write(&batch).map_err(parquet_error(self.path))
    }

    fn finish(self) -> Result<()> {
        self.writer.close().map(drop).map_err(parquet_error(self.path))
    }
}

fn list_type(n_dims: usize, path: &Path) -> Result<DataType> {
    let n = i32::try_from(n_dims).map_err(|_| refused(path, "vectors too long for a Parquet list"))?;
    Ok(DataType::FixedSizeList(Arc::new(Field::new("element", DataType::Float32, false)), n))
}

/// Numbers of a network neither repeat nor shrink: they are kept plain, so that readers only copy them.
fn properties(n_dims: usize, model: Option<&ModelInfo>) -> WriterProperties {
    let mut about = vec![KeyValue::new(N_DIMS.to_owned(), n_dims.to_string())];
    if let Some(ModelInfo { digest, description }) = model {
        about.push(KeyValue::new(DIGEST.to_owned(), digest.clone()));
        about.push(KeyValue::new(DESCRIPTION.to_owned(), description.clone()));
    }
    let text = |name: &str| ColumnPath::from(name);
    WriterProperties::builder()
        .set_created_by(concat!("labelloop ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(about))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(text("id"), EnabledStatistics::Chunk)
        .set_compression(Compression::UNCOMPRESSED)
        .set_column_compression(text("id"), Compression::SNAPPY)
        .set_max_row_group_row_count(Some((GROUP_NUMBERS / n_dims.max(1)).max(ROWS_AT_A_TIME)))
        .build()
}

pub(crate) fn parquet_error(path: &Path) -> impl Fn(ParquetError) -> EmbedError + '_ {
    move |error| match error {
        // A full disk should be known as one.
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => EmbedError::Io { path: path.to_owned(), source: *source },
            Err(source) => refused(path, &source.to_string()),
        },
        error => refused(path, &error.to_string()),
    }
}

pub(crate) fn arrow_error(path: &Path) -> impl Fn(ArrowError) -> EmbedError + '_ {
    move |error| refused(path, &error.to_string())
}

pub(crate) fn refused(path: &Path, reason: &str) -> EmbedError {
    let problem = TableProblem::Format { reason: reason.to_owned() };
    EmbedError::Table { path: path.to_owned(), problem }
}
