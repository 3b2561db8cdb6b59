use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ListArray, RecordBatch, StringArray};
use arrow_schema::DataType;
use labelloop_core::{Embeddings, SampleId};
use ndarray::Array2;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use crate::table::content_of;
use crate::table_parquet::{DESCRIPTION, DIGEST, N_DIMS, arrow_error, parquet_error, refused};
use crate::{EmbedError, EmbeddingTable, ModelInfo, Result, TableProblem};

/// Rows in memory at a time, besides what is kept of them.
const BATCH_ROWS: usize = 512;

/// Which columns of a table hold what. Default: `id`, `content`, `embedding`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumns {
    /// Ids, as text.
    pub id: String,
    /// BLAKE3 of each row's file as 64 hexadecimal digits; the table need not have it.
    pub content: String,
    /// Vectors: lists of `f32` or `f64`, of fixed length or not.
    pub embedding: String,
}

impl Default for TableColumns {
    fn default() -> Self {
        let [id, content, embedding] = ["id", "content", "embedding"].map(str::to_owned);
        Self { id, content, embedding }
    }
}

/// Rows of a table that follow each other.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRows {
    /// Ids; whether they are distinct is not known before the last row.
    pub ids: Vec<SampleId>,
    /// BLAKE3 of each row's file, where the table has it.
    pub contents: Option<Vec<[u8; 32]>>,
    /// Vectors, one row for each id.
    pub vectors: Array2<f32>,
}

impl EmbeddingTable {
    /// Reads a Parquet file with columns `id` and `embedding`, and `content` where it has one: ours, and those of pandas,
    /// pyarrow, polars and DuckDB (lists, large lists and lists of fixed length, of `f32` or of `f64`, which is rounded).
    ///
    /// # Errors
    /// [`EmbedError::Table`] with the row: vectors of different lengths, ids that come twice, nulls, numbers that are not
    /// finite; [`EmbedError::Io`].
    pub fn read_parquet(path: &Path) -> Result<Self> {
        Self::read_parquet_columns(path, &TableColumns::default())
    }

    /// [`Self::read_parquet`] with columns of other names.
    ///
    /// # Errors
    /// As [`Self::read_parquet`].
    pub fn read_parquet_columns(path: &Path, columns: &TableColumns) -> Result<Self> {
        let mut reader = ParquetRows::open(path, columns)?;
        let n_rows = reader.n_rows;
        let most_numbers = std::fs::metadata(path).map_err(EmbedError::io(path))?.len() as usize / 4;
        let (mut ids, mut contents, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        let mut row_of = BTreeMap::new();
        for rows in reader.by_ref() {
            let rows = rows?;
            for id in rows.ids {
                let row = ids.len();
                if let Some(first) = row_of.insert(id.clone(), row) {
                    let problem = TableProblem::DuplicateId { row, first, id: id.to_string() };
                    return Err(EmbedError::Table { path: path.to_owned(), problem });
                }
                ids.push(id);
            }
            if numbers.is_empty() {
                // A file may say that it has more rows than it has bytes.
                numbers.reserve_exact(n_rows.saturating_mul(rows.vectors.ncols()).min(most_numbers));
            }
            contents.extend(rows.contents.unwrap_or_default());
            numbers.extend(rows.vectors);
        }
        let n_dims = reader.n_dims.ok_or_else(|| problem(path, TableProblem::NoRows))?;
        let vectors = Array2::from_shape_vec((ids.len(), n_dims), numbers)
            .map_err(|e| refused(path, &e.to_string()))?;
        let contents = reader.has_contents.then_some(contents);
        Self::new(Embeddings::new(ids, vectors)?, contents, reader.model)
    }
}

/// The rows of a Parquet file, some hundred at a time: for tables that are larger than memory.
///
/// ```
/// use labelloop_core::{Embeddings, SampleId};
/// use labelloop_embed::{EmbeddingTable, ParquetRows, TableColumns};
/// use ndarray::array;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors.parquet");
/// let vectors = Embeddings::new(vec![SampleId::new("a")?, SampleId::new("b")?], array![[0.5], [1.0]])?;
/// EmbeddingTable::new(vectors, None, None)?.write_parquet(&path)?;
/// let mut n_rows = 0;
/// for rows in ParquetRows::open(&path, &TableColumns::default())? {
///     n_rows += rows?.vectors.nrows();
/// }
/// assert_eq!(n_rows, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ParquetRows {
    path: PathBuf,
    columns: TableColumns,
    reader: ParquetRecordBatchReader,
    model: Option<ModelInfo>,
    has_contents: bool,
    n_rows: usize,
    n_dims: Option<usize>,
    n_read: usize,
    is_over: bool,
}

impl ParquetRows {
    /// Opens the file and looks at its columns.
    ///
    /// # Errors
    /// [`EmbedError::Io`], [`EmbedError::Table`] for a file of another format or without the columns.
    pub fn open(path: &Path, columns: &TableColumns) -> Result<Self> {
        let file = File::open(path).map_err(EmbedError::io(path))?;
        guarded(path, || Self::begin(path, columns, file))
    }

    /// The model, where the file says which.
    pub fn model(&self) -> Option<&ModelInfo> {
        self.model.as_ref()
    }

    fn begin(path: &Path, columns: &TableColumns, file: File) -> Result<Self> {
        // Without the writer's own notes all kinds of lists are lists and all kinds of text are text.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
            .map_err(parquet_error(path))?;
        let about = |key: &str| {
            let pairs = builder.metadata().file_metadata().key_value_metadata()?;
            pairs.iter().find(|pair| pair.key == key)?.value.clone()
        };
        let model = about(DIGEST)
            .map(|digest| ModelInfo { digest, description: about(DESCRIPTION).unwrap_or_default() });
        let n_rows = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let n_dims = about(N_DIMS).and_then(|n| n.parse().ok()).filter(|n| 0 < *n);
        let fields = builder.schema().fields();
        let place = |name: &str| {
            fields.iter().position(|field| field.name() == name).ok_or_else(|| {
                let found = fields.iter().map(|field| field.name().clone()).collect();
                problem(path, TableProblem::NoColumn { column: name.to_owned(), found })
            })
        };
        let (id, embedding) = (place(&columns.id)?, place(&columns.embedding)?);
        let content = place(&columns.content).ok();
        for (at, is_text) in [(Some(id), true), (content, true), (Some(embedding), false)] {
            if let Some(at) = at {
                let (column, found) = (fields[at].name(), fields[at].data_type());
                check_type(column, found, is_text).map_err(|p| problem(path, p))?;
            }
        }
        let roots = [Some(id), content, Some(embedding)].into_iter().flatten();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let reader =
            builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(parquet_error(path))?;
        let (path, columns) = (path.to_owned(), columns.clone());
        let has_contents = content.is_some();
        Ok(Self { path, columns, reader, model, has_contents, n_rows, n_dims, n_read: 0, is_over: false })
    }

    fn rows_of(&mut self, batch: &RecordBatch) -> Result<TableRows> {
        let ids = self.texts(batch, &self.columns.id)?.into_iter().enumerate().map(|(i, text)| {
            SampleId::new(text.clone()).map_err(|e| {
                let (row, reason) = (self.n_read + i, e.to_string());
                problem(&self.path, TableProblem::Id { row, found: text, reason })
            })
        });
        let ids = ids.collect::<Result<Vec<_>>>()?;
        let contents = if self.has_contents {
            let texts = self.texts(batch, &self.columns.content)?;
            let hashes = texts.iter().enumerate();
            let hashes = hashes.map(|(i, text)| content_of(&self.path, self.n_read + i, text));
            Some(hashes.collect::<Result<Vec<_>>>()?)
        } else {
            None
        };
        let vectors = self.vectors(batch)?;
        self.n_read += batch.num_rows();
        Ok(TableRows { ids, contents, vectors })
    }

    fn texts(&self, batch: &RecordBatch, column: &str) -> Result<Vec<String>> {
        let texts = batch.column_by_name(column).and_then(|c| c.as_any().downcast_ref::<StringArray>());
        let texts = texts.ok_or_else(|| refused(&self.path, "a column changed its type between rows"))?;
        let text = |(i, text): (usize, Option<&str>)| {
            let null = || TableProblem::Null { column: column.to_owned(), row: self.n_read + i };
            text.map(str::to_owned).ok_or_else(|| problem(&self.path, null()))
        };
        texts.iter().enumerate().map(text).collect()
    }

    fn vectors(&mut self, batch: &RecordBatch) -> Result<Array2<f32>> {
        let column = self.columns.embedding.clone();
        let lists = batch.column_by_name(&column).and_then(|c| c.as_any().downcast_ref::<ListArray>());
        let lists = lists.ok_or_else(|| refused(&self.path, "a column changed its type between rows"))?;
        let mut numbers = Vec::new();
        for i in 0..lists.len() {
            let row = self.n_read + i;
            let null = || problem(&self.path, TableProblem::Null { column: column.clone(), row });
            if lists.is_null(i) {
                return Err(null());
            }
            let list = lists.value(i);
            if 0 < list.null_count() {
                return Err(null());
            }
            let expected = *self.n_dims.get_or_insert(list.len());
            if list.len() != expected || expected == 0 {
                let found = list.len();
                return Err(problem(
                    &self.path,
                    TableProblem::Length { row, found, expected: expected.max(1) },
                ));
            }
            push_finite(&list, &mut numbers).map_err(|(number, found)| {
                problem(&self.path, TableProblem::NotFinite { row, number, found })
            })?;
        }
        Array2::from_shape_vec((lists.len(), self.n_dims.unwrap_or(0)), numbers)
            .map_err(|e| refused(&self.path, &e.to_string()))
    }
}

impl Iterator for ParquetRows {
    type Item = Result<TableRows>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let path = self.path.clone();
        let read = guarded(&path, || match self.reader.next() {
            None => Ok(None),
            Some(batch) => self.rows_of(&batch.map_err(arrow_error(&path))?).map(Some),
        });
        self.is_over = !matches!(read, Ok(Some(_)));
        read.transpose()
    }
}

/// Adds numbers as `f32`, or says which is none.
fn push_finite(list: &dyn Array, numbers: &mut Vec<f32>) -> Result<(), (usize, String)> {
    if let Some(floats) = list.as_primitive_opt::<Float32Type>() {
        let bad = floats.values().iter().position(|v| !v.is_finite());
        numbers.extend(floats.values());
        return bad.map_or(Ok(()), |at| Err((at, floats.value(at).to_string())));
    }
    if let Some(doubles) = list.as_primitive_opt::<Float64Type>() {
        let bad = doubles.values().iter().position(|v| !(*v as f32).is_finite());
        numbers.extend(doubles.values().iter().map(|v| *v as f32));
        return bad.map_or(Ok(()), |at| Err((at, doubles.value(at).to_string())));
    }
    Err((0, format!("a {}", list.data_type())))
}

fn check_type(column: &str, found: &DataType, is_text: bool) -> Result<(), TableProblem> {
    let is_good = match found {
        DataType::Utf8 => is_text,
        DataType::List(element) => {
            !is_text && matches!(element.data_type(), DataType::Float32 | DataType::Float64)
        }
        _ => false,
    };
    let expected = if is_text { "text" } else { "a list of 32-bit or 64-bit floats" };
    let wrong = || TableProblem::ColumnType { column: column.to_owned(), found: found.to_string(), expected };
    if is_good { Ok(()) } else { Err(wrong()) }
}

/// A reader that panics over a damaged file is a file that cannot be read.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(refused(path, "damaged: the Parquet reader gave up")))
}

fn problem(path: &Path, problem: TableProblem) -> EmbedError {
    EmbedError::Table { path: path.to_owned(), problem }
}
