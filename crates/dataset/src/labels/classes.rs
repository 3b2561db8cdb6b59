use std::sync::Arc;

use labelloop_core::{ClassIdx, SampleId};

/// Which samples have objects of which classes: what a question about classes needs of a table of answers.
#[derive(Debug)]
pub(crate) struct ClassIndex {
    /// All samples of the generation, in order.
    ids: Arc<[SampleId]>,
    /// Rows of `ids` by class, rising.
    rows: Vec<Vec<u32>>,
}

impl ClassIndex {
    pub(crate) fn new(ids: Arc<[SampleId]>, rows: Vec<Vec<u32>>) -> Self {
        Self { ids, rows }
    }

    /// All samples that the index knows of, in order.
    pub(crate) fn ids(&self) -> &[SampleId] {
        &self.ids
    }

    /// Rows of [`ClassIndex::ids`] with the class, rising.
    pub(crate) fn rows_of(&self, class: ClassIdx) -> &[u32] {
        self.rows.get(class.as_usize()).map(Vec::as_slice).unwrap_or_default()
    }
}
