use std::sync::Arc;

use labelloop_core::{LabelledBy, SampleId};

use super::Entry;

/// Answers in one piece of memory, by sample.
#[derive(Debug)]
pub(crate) struct Packed<T> {
    ids: Vec<SampleId>,
    /// Where the objects of each sample end; they begin where those of the sample before end.
    ends: Vec<usize>,
    items: Vec<T>,
    /// One each, or none at all.
    by: Vec<Option<Arc<LabelledBy>>>,
}

impl<T> Packed<T> {
    /// `ids` in order and each once; `counts` objects each; `by` as many as ids, or none.
    pub(crate) fn new(
        ids: Vec<SampleId>,
        counts: impl IntoIterator<Item = usize>,
        by: Vec<Option<Arc<LabelledBy>>>,
        items: Vec<T>,
    ) -> Self {
        let mut end = 0;
        let ends: Vec<usize> = counts
            .into_iter()
            .map(|n| {
                end += n;
                end
            })
            .collect();
        debug_assert!(ids.len() == ends.len() && end == items.len() && [0, ids.len()].contains(&by.len()));
        Self { ids, ends, items, by }
    }

    pub(crate) fn get(&self, id: &SampleId) -> Option<Entry<'_, T>> {
        self.ids.binary_search(id).ok().map(|i| self.entry(i))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry<'_, T>> {
        (0..self.ids.len()).map(|i| self.entry(i))
    }

    fn entry(&self, i: usize) -> Entry<'_, T> {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        let by = self.by.get(i).and_then(Option::as_ref);
        Entry { id: &self.ids[i], items: &self.items[start..self.ends[i]], by }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::ids;

    use super::*;

    #[test]
    fn each_sample_has_its_own_objects() {
        let p = Packed::new(ids(&["a", "b", "d"]), [2, 0, 1], vec![], vec![1, 2, 3]);
        let found: Vec<_> = p.iter().map(|e| (e.id.as_str(), e.items)).collect();
        assert_eq!(found, [("a", &[1, 2][..]), ("b", &[]), ("d", &[3])]);
        assert_eq!(p.get(&ids(&["d"])[0]).unwrap().items, [3]);
        assert!(p.get(&ids(&["c"])[0]).is_none());
    }
}
