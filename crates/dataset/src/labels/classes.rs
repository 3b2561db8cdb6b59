use labelloop_core::{ClassIdx, SampleId};

/// Which samples have objects of which classes: what a question about classes needs of a table of answers.
#[derive(Debug)]
pub(crate) struct ClassIndex {
    ids: Vec<SampleId>,
    /// Rows of `ids` by class, rising.
    rows: Vec<Vec<u32>>,
}

impl ClassIndex {
    pub(crate) fn new(ids: Vec<SampleId>, rows: Vec<Vec<u32>>) -> Self {
        Self { ids, rows }
    }

    /// In the order of samples.
    pub(crate) fn samples_of(&self, class: ClassIdx) -> Box<dyn Iterator<Item = &SampleId> + '_> {
        let rows = self.rows.get(class.as_usize()).map(Vec::as_slice).unwrap_or_default();
        Box::new(rows.iter().map(|row| &self.ids[*row as usize]))
    }
}
