//! Columns of a batch, written and read with their types.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{Array, ArrayRef, LargeListArray, PrimitiveArray, RecordBatch};
use arrow_schema::{Field, Schema};
use serde::Serialize;

use super::{header, unreadable};
use crate::Result;
use crate::partial::PartialError;

/// Columns to be written.
pub(super) struct Writer {
    kind: &'static str,
    columns: Vec<(&'static str, ArrayRef)>,
}

impl Writer {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, columns: Vec::new() }
    }

    /// One number, or none, in each row.
    pub(super) fn numbers<T: ArrowPrimitiveType>(
        mut self,
        field: &'static str,
        numbers: impl Iterator<Item = Option<T::Native>>,
    ) -> Self {
        let numbers: Vec<Option<T::Native>> = numbers.collect();
        self.columns.push((field, Arc::new(numbers.into_iter().collect::<PrimitiveArray<T>>())));
        self
    }

    /// A list in each row.
    pub(super) fn lists<T: ArrowPrimitiveType>(
        mut self,
        field: &'static str,
        lists: impl Iterator<Item = Vec<T::Native>>,
    ) -> Self {
        let lists = lists.map(|list| Some(list.into_iter().map(Some)));
        self.columns.push((field, Arc::new(LargeListArray::from_iter_primitive::<T, _, _>(lists))));
        self
    }

    pub(super) fn batch<H: Serialize>(self, header: &H) -> Result<RecordBatch> {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
            .collect();
        let schema = Schema::new_with_metadata(fields, header::metadata(self.kind, header)?);
        let columns = self.columns.into_iter().map(|(_, array)| array).collect();
        Ok(RecordBatch::try_new(Arc::new(schema), columns).map_err(|e| unreadable(self.kind, e))?)
    }
}

/// Columns that were read.
pub(super) struct Reader<'a> {
    pub(super) kind: &'static str,
    batch: &'a RecordBatch,
}

impl<'a> Reader<'a> {
    pub(super) fn new(kind: &'static str, batch: &'a RecordBatch) -> Self {
        Self { kind, batch }
    }

    pub(super) fn n_rows(&self) -> usize {
        self.batch.num_rows()
    }

    pub(super) fn numbers<T: ArrowPrimitiveType>(
        &self,
        field: &'static str,
    ) -> Result<Vec<Option<T::Native>>> {
        let array = self.column(field)?.as_primitive_opt::<T>();
        Ok(array.ok_or_else(|| self.wrong_type::<T>(field, ""))?.iter().collect())
    }

    /// Numbers of which none is missing.
    pub(super) fn all_numbers<T: ArrowPrimitiveType>(&self, field: &'static str) -> Result<Vec<T::Native>> {
        let numbers = self.numbers::<T>(field)?;
        let missing = |entry| self.at_fault(field, entry, "a number");
        numbers.into_iter().enumerate().map(|(i, n)| Ok(n.ok_or_else(|| missing(i))?)).collect()
    }

    pub(super) fn lists<T: ArrowPrimitiveType>(&self, field: &'static str) -> Result<Vec<Vec<T::Native>>> {
        let wrong = || self.wrong_type::<T>(field, "lists of ");
        let lists = self.column(field)?.as_list_opt::<i64>().ok_or_else(wrong)?;
        let values = lists.values().as_primitive_opt::<T>().ok_or_else(wrong)?;
        if lists.null_count() > 0 || values.null_count() > 0 {
            return Err(self.at_fault(field, 0, "lists without gaps").into());
        }
        let values: &[T::Native] = values.values();
        let ends = lists.value_offsets().windows(2).enumerate();
        ends.map(|(i, ends)| {
            let range = usize::try_from(ends[0]).ok().zip(usize::try_from(ends[1]).ok());
            let list = range.and_then(|(start, end)| values.get(start..end));
            Ok(list.ok_or_else(|| self.at_fault(field, i, "a list"))?.to_vec())
        })
        .collect()
    }

    pub(super) fn at_fault(&self, field: &'static str, entry: usize, expected: &'static str) -> PartialError {
        PartialError::Field { kind: self.kind, field, entry, expected }
    }

    fn column(&self, field: &'static str) -> Result<&'a ArrayRef, PartialError> {
        self.batch
            .column_by_name(field)
            .ok_or_else(|| unreadable(self.kind, format!("it has no column {field}")))
    }

    fn wrong_type<T: ArrowPrimitiveType>(&self, field: &'static str, of: &str) -> PartialError {
        unreadable(self.kind, format!("column {field} has another type: expected {of}{}", T::DATA_TYPE))
    }
}
