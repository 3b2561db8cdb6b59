//! The one place that knows polars: columns of plain vectors out, columns of plain values in.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use polars::prelude::{
    Column, DataFrame, IntoColumn, NamedFrom, ParquetCompression, ParquetReader, ParquetWriter, PolarsError,
    SerReader, Series,
};

use crate::{DatasetError, Result};

/// Columns on their way to a Parquet file.
pub(crate) struct Columns(Vec<Column>);

impl Columns {
    pub(super) fn new() -> Self {
        Self(vec![])
    }

    pub(super) fn with<T, P: ?Sized>(mut self, name: &str, values: T) -> Self
    where
        Series: NamedFrom<T, P>,
    {
        self.0.push(Series::new(name.into(), values).into_column());
        self
    }

    fn into_frame(self) -> Result<DataFrame, PolarsError> {
        DataFrame::new_infer_height(self.0)
    }
}

/// Rows of one row group, and of one read.
pub(super) const ROWS: usize = 1 << 18;

/// Rows as columns, [`ROWS`] at a time; one piece also where there are no rows, for a table has columns in any case.
pub(super) fn pieces<R>(
    mut rows: impl Iterator<Item = R>,
    encode: impl Fn(&[R]) -> Columns,
) -> impl Iterator<Item = Columns> {
    let mut is_first = true;
    std::iter::from_fn(move || {
        let lot: Vec<R> = rows.by_ref().take(ROWS).collect();
        let goes_on = is_first || !lot.is_empty();
        is_first = false;
        goes_on.then(|| encode(&lot))
    })
}

/// Writes columns piece by piece, so that no table is ever in memory as a whole.
///
/// The pieces have the columns of the first one, and at most [`ROWS`] rows.
pub(super) fn write_table(
    pieces: impl IntoIterator<Item = Columns>,
    out: &mut dyn Write,
    path: &Path,
) -> Result<()> {
    let error = |e: PolarsError| {
        // A full disk reaches us wrapped in a polars error; the cause is what a person needs to read.
        DatasetError::io("write table", path, std::io::Error::other(e.to_string()))
    };
    let mut pieces = pieces.into_iter();
    let Some(first) = pieces.next() else { return Ok(()) };
    let first = first.into_frame().map_err(error)?;
    // One thread and a fixed group size: the bytes must not depend on the machine.
    let writer = ParquetWriter::new(out).with_compression(ParquetCompression::Snappy).set_parallel(false);
    let mut writer = writer.batched(first.schema()).map_err(error)?;
    writer.write_batch(&first).map_err(error)?;
    drop(first);
    for piece in pieces {
        writer.write_batch(&piece.into_frame().map_err(error)?).map_err(error)?;
    }
    writer.finish().map(drop).map_err(error)
}

/// The pieces of a Parquet file, first to last; one without rows where there are none.
pub(super) fn read_table<'a>(
    bytes: &'a [u8],
    path: &'a Path,
) -> Result<impl Iterator<Item = Result<Table>> + 'a> {
    let bad = |e: PolarsError| DatasetError::corrupt(path, e.to_string(), "a Parquet table");
    let n_rows = ParquetReader::new(Cursor::new(bytes)).num_rows().map_err(bad)?;
    Ok((0..n_rows.max(1)).step_by(ROWS).map(move |first_row| {
        let reader = ParquetReader::new(Cursor::new(bytes)).with_slice(Some((first_row, ROWS)));
        let frame = reader.set_rechunk(true).finish().map_err(bad)?;
        Ok(Table { frame, path: path.to_owned(), first_row })
    }))
}

/// A Parquet file that was read, or a piece of it.
pub(crate) struct Table {
    frame: DataFrame,
    path: PathBuf,
    /// Its number in the whole file.
    first_row: usize,
}

macro_rules! required {
    ($name:ident, $method:ident, $type:ty) => {
        /// A column without gaps.
        pub(super) fn $name(&self, name: &str) -> Result<Vec<$type>> {
            let column = self.frame.column(name).map_err(|e| self.wrong(&e))?;
            let values = column.$method().map_err(|e| self.wrong(&e))?;
            if values.has_nulls() {
                let row = values.iter().position(|v| v.is_none()).unwrap_or_default();
                return Err(self.bad(name, row, "no value", stringify!($type)));
            }
            Ok(values.iter().flatten().collect())
        }
    };
}

macro_rules! optional {
    ($name:ident, $method:ident, $type:ty) => {
        /// A column that may have gaps.
        pub(super) fn $name(&self, name: &str) -> Result<Vec<Option<$type>>> {
            let column = self.frame.column(name).map_err(|e| self.wrong(&e))?;
            Ok(column.$method().map_err(|e| self.wrong(&e))?.iter().collect())
        }
    };
}

impl Table {
    /// A whole file at once.
    pub(super) fn read(bytes: Vec<u8>, path: PathBuf) -> Result<Self> {
        match ParquetReader::new(Cursor::new(bytes)).set_rechunk(true).finish() {
            Ok(frame) => Ok(Self { frame, path, first_row: 0 }),
            Err(e) => Err(DatasetError::corrupt(&path, e.to_string(), "a Parquet table")),
        }
    }

    pub(super) fn n_rows(&self) -> usize {
        self.frame.height()
    }

    required!(text, str, &str);
    required!(whole, u32, u32);
    required!(real, f64, f64);
    required!(flag, bool, bool);
    optional!(text_opt, str, &str);
    optional!(whole_opt, u32, u32);
    optional!(real_opt, f64, f64);

    /// A column of text that older versions did not write: all gaps where it is absent.
    pub(super) fn text_since(&self, name: &str) -> Result<Vec<Option<&str>>> {
        if self.frame.column(name).is_err() {
            return Ok(vec![None; self.n_rows()]);
        }
        self.text_opt(name)
    }

    /// A value that cannot be what the layout says.
    pub(super) fn bad(
        &self,
        column: &str,
        row: usize,
        found: impl std::fmt::Display,
        expected: impl std::fmt::Display,
    ) -> DatasetError {
        let found = format!("{found} in column {column:?}, row {}", self.first_row + row);
        DatasetError::corrupt(&self.path, found, expected.to_string())
    }

    fn wrong(&self, error: &PolarsError) -> DatasetError {
        DatasetError::corrupt(&self.path, error.to_string(), "the columns of this layout")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn bytes_of(columns: Columns) -> Vec<u8> {
        let mut bytes = vec![];
        write_table([columns], &mut bytes, Path::new("t.parquet")).unwrap();
        bytes
    }

    pub(in super::super) fn table(columns: Columns) -> Table {
        Table::read(bytes_of(columns), "t.parquet".into()).unwrap()
    }

    pub(in super::super) fn message<T>(result: Result<T>) -> String {
        match result {
            Err(e @ DatasetError::Corrupt { .. }) => e.to_string(),
            Err(e) => panic!("expected damage, found {e}"),
            Ok(_) => panic!("expected damage, found none"),
        }
    }

    #[test]
    fn missing_columns_wrong_types_and_gaps_are_refused() {
        let t = table(Columns::new().with("name", [Some("a"), None]).with("value", ["x", "y"]));
        assert!(message(t.text("name")).contains("no value in column \"name\", row 1"));
        assert!(message(t.real("value")).contains("expected the columns of this layout"));
        assert!(message(t.whole("gone")).contains("expected the columns of this layout"));
    }

    #[test]
    fn what_is_no_parquet_is_refused() {
        for bytes in [vec![], b"PAR1".to_vec(), b"PAR1 and nothing of use PAR1".to_vec()] {
            let pieces = read_table(&bytes, Path::new("t.parquet")).map(Iterator::count);
            assert!(message(pieces).contains("a Parquet table"));
            assert!(message(Table::read(bytes, "t.parquet".into())).contains("a Parquet table"));
        }
    }

    #[test]
    fn a_table_goes_out_and_in_piece_by_piece() {
        let n = 2 * ROWS as u32 + 7;
        let all: Vec<u32> = (0..n).collect();
        let mut bytes = vec![];
        let pieces = all.chunks(ROWS).map(|part| Columns::new().with("n", part.to_vec()));
        write_table(pieces, &mut bytes, Path::new("t")).unwrap();
        let back: Vec<Table> = read_table(&bytes, Path::new("t")).unwrap().map(Result::unwrap).collect();
        assert_eq!(back.iter().map(Table::n_rows).collect::<Vec<_>>(), [ROWS, ROWS, 7]);
        assert_eq!(back.iter().flat_map(|t| t.whole("n").unwrap()).collect::<Vec<_>>(), all);
        assert!(back[1].bad("n", 3, "x", "y").to_string().contains(&format!("row {}", ROWS + 3)));
    }

    #[test]
    fn a_table_without_rows_has_columns() {
        let bytes = bytes_of(Columns::new().with("name", Vec::<&str>::new()));
        let pieces: Vec<Table> = read_table(&bytes, Path::new("t")).unwrap().map(Result::unwrap).collect();
        assert_eq!((pieces.len(), pieces[0].text("name").unwrap().len()), (1, 0));
    }
}
