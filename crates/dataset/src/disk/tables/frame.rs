//! The one place that knows polars: columns of plain vectors out, columns of plain values in.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use polars::prelude::{
    Column, DataFrame, IntoColumn, NamedFrom, ParquetCompression, ParquetReader, ParquetWriter, PolarsError,
    SerReader, Series,
};

use crate::{DatasetError, Result};

/// Columns on their way to a Parquet file.
pub(super) struct Columns(Vec<Column>);

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

    pub(super) fn write(self, out: &mut impl Write, path: &Path) -> Result<()> {
        let error = |e: PolarsError| {
            // A full disk reaches us wrapped in a polars error; the cause is what a person needs to read.
            DatasetError::io("write table", path, std::io::Error::other(e.to_string()))
        };
        let mut frame = DataFrame::new_infer_height(self.0).map_err(error)?;
        // One thread and a fixed group size: the bytes must not depend on the machine.
        ParquetWriter::new(out)
            .with_compression(ParquetCompression::Snappy)
            .with_row_group_size(Some(1 << 18))
            .set_parallel(false)
            .finish(&mut frame)
            .map_err(error)?;
        Ok(())
    }
}

/// A Parquet file that was read.
pub(super) struct Table {
    frame: DataFrame,
    path: PathBuf,
}

macro_rules! getters {
    ($required:ident, $optional:ident, $method:ident, $type:ty) => {
        /// A column without gaps.
        pub(super) fn $required(&self, name: &str) -> Result<Vec<$type>> {
            let gap = |row: usize| self.bad(name, row, "no value", stringify!($type));
            let values = self.$optional(name)?;
            values.into_iter().enumerate().map(|(row, v)| v.ok_or_else(|| gap(row))).collect()
        }

        /// A column that may have gaps.
        pub(super) fn $optional(&self, name: &str) -> Result<Vec<Option<$type>>> {
            let column = self.frame.column(name).map_err(|e| self.wrong(&e))?;
            Ok(column.$method().map_err(|e| self.wrong(&e))?.iter().collect())
        }
    };
}

impl Table {
    pub(super) fn read(bytes: Vec<u8>, path: PathBuf) -> Result<Self> {
        match ParquetReader::new(Cursor::new(bytes)).set_rechunk(true).finish() {
            Ok(frame) => Ok(Self { frame, path }),
            Err(e) => Err(DatasetError::corrupt(&path, e.to_string(), "a Parquet table")),
        }
    }

    pub(super) fn n_rows(&self) -> usize {
        self.frame.height()
    }

    getters!(text, text_opt, str, &str);
    getters!(whole, whole_opt, u32, u32);
    getters!(real, real_opt, f64, f64);
    getters!(flag, flag_opt, bool, bool);

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
        let found = format!("{found} in column {column:?}, row {row}");
        DatasetError::corrupt(&self.path, found, expected.to_string())
    }

    fn wrong(&self, error: &PolarsError) -> DatasetError {
        DatasetError::corrupt(&self.path, error.to_string(), "the columns of this layout")
    }
}
