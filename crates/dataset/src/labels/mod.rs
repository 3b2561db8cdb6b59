//! Answers of one field: packed as they were read, with what changed since on top.

mod classes;
mod packed;

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::sync::Arc;

use labelloop_core::{ClassIdx, LabelledBy, SampleId};

use crate::Result;
use crate::disk::{Item, Stored};

pub(crate) use classes::ClassIndex;
pub(crate) use packed::Packed;

/// What was said about a sample in one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer<T> {
    pub(crate) items: Vec<T>,
    pub(crate) by: Option<Arc<LabelledBy>>,
}

impl<T> Answer<T> {
    pub(crate) fn new(items: Vec<T>) -> Self {
        Self { items, by: None }
    }
}

/// An answer, wherever it is kept.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry<'a, T> {
    pub(crate) id: &'a SampleId,
    pub(crate) items: &'a [T],
    pub(crate) by: Option<&'a Arc<LabelledBy>>,
}

impl<T> Clone for Entry<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Entry<'_, T> {}

/// All answers of one field. A sample without an entry was not looked at; an empty entry says that nothing is there.
///
/// What stands on disk is shared between clones and read when somebody asks for it; it never changes. Answers can be
/// added and replaced, never taken away.
pub(crate) struct Labels<T> {
    stored: Option<Arc<Stored<T>>>,
    changes: BTreeMap<SampleId, Answer<T>>,
}

impl<T> Default for Labels<T> {
    fn default() -> Self {
        Self { stored: None, changes: BTreeMap::new() }
    }
}

impl<T> From<Stored<T>> for Labels<T> {
    fn from(stored: Stored<T>) -> Self {
        Self { stored: Some(Arc::new(stored)), changes: BTreeMap::new() }
    }
}

impl<T: Clone> Clone for Labels<T> {
    fn clone(&self) -> Self {
        Self { stored: self.stored.clone(), changes: self.changes.clone() }
    }
}

impl<T: Item> Labels<T> {
    /// The objects of a sample; `None` when nobody looked.
    pub(crate) fn get(&self, id: &SampleId) -> Result<Option<&[T]>> {
        Ok(self.entry(id)?.map(|e| e.items))
    }

    /// The whole answer about a sample.
    pub(crate) fn entry(&self, id: &SampleId) -> Result<Option<Entry<'_, T>>> {
        if let Some((id, answer)) = self.changes.get_key_value(id) {
            return Ok(Some(answer.entry(id)));
        }
        match &self.stored {
            Some(stored) => Ok(stored.packed()?.get(id)),
            None => Ok(None),
        }
    }

    pub(crate) fn insert(&mut self, id: SampleId, answer: Answer<T>) {
        self.changes.insert(id, answer);
    }

    /// Says who answered; `false` where there is no answer.
    pub(crate) fn sign(&mut self, id: &SampleId, by: &Arc<LabelledBy>) -> Result<bool> {
        let Some(entry) = self.entry(id)? else { return Ok(false) };
        if entry.by != Some(by) {
            let answer = Answer { items: entry.items.to_vec(), by: Some(Arc::clone(by)) };
            self.changes.insert(id.clone(), answer);
        }
        Ok(true)
    }

    /// All answers in the order of samples.
    pub(crate) fn iter(&self) -> Result<impl Iterator<Item = Entry<'_, T>>> {
        let stored = match &self.stored {
            Some(stored) => Some(stored.packed()?),
            None => None,
        };
        Ok(Merged {
            old: stored.into_iter().flat_map(Packed::iter).peekable(),
            new: self.changes.iter().map(|(id, a)| a.entry(id)).peekable(),
        })
    }

    /// Whether there is no answer at all.
    pub(crate) fn is_empty(&self) -> bool {
        // A table is written for fields with answers only.
        self.stored.is_none() && self.changes.is_empty()
    }

    /// The table on disk that says all there is, where nothing changed since.
    pub(crate) fn unchanged(&self) -> Option<&Stored<T>> {
        self.stored.as_deref().filter(|_| self.changes.is_empty())
    }

    /// Marks those of all samples, in order, that have an object of the class: O(samples + changes), and no table of
    /// objects is read for it.
    pub(crate) fn class_mask<'a>(
        &self,
        class: ClassIdx,
        samples: impl ExactSizeIterator<Item = &'a SampleId>,
    ) -> Result<Vec<bool>> {
        let mut mask = vec![false; samples.len()];
        let Some(stored) = &self.stored else {
            self.mark_changes(class, samples, &mut mask);
            return Ok(mask);
        };
        let index = stored.classes()?;
        let rows = index.rows_of(class);
        if mask.len() == index.ids().len() {
            // Samples never go away, so as many as ever are the same as ever, and rows are places.
            rows.iter().for_each(|row| mask[*row as usize] = true);
            for (id, answer) in &self.changes {
                if let Ok(place) = index.ids().binary_search(id) {
                    mask[place] = answer.has(class);
                }
            }
            return Ok(mask);
        }
        let mut with_class = rows.iter().map(|row| &index.ids()[*row as usize]).peekable();
        let samples: Vec<&SampleId> = samples.collect();
        for (id, slot) in samples.iter().zip(&mut mask) {
            *slot = with_class.next_if(|of| of == id).is_some();
        }
        self.mark_changes(class, samples.into_iter(), &mut mask);
        Ok(mask)
    }

    fn mark_changes<'a>(
        &self,
        class: ClassIdx,
        samples: impl Iterator<Item = &'a SampleId>,
        mask: &mut [bool],
    ) {
        let mut changes = self.changes.iter().peekable();
        for (id, slot) in samples.zip(mask) {
            if let Some((_, answer)) = changes.next_if(|(of, _)| *of == id) {
                *slot = answer.has(class);
            }
        }
    }
}

impl<T: Item> Answer<T> {
    fn has(&self, class: ClassIdx) -> bool {
        self.items.iter().any(|item| item.class() == class)
    }
}

impl<T> Answer<T> {
    fn entry<'a>(&'a self, id: &'a SampleId) -> Entry<'a, T> {
        Entry { id, items: &self.items, by: self.by.as_ref() }
    }
}

/// Old and new answers by sample; of two about one sample the new one.
struct Merged<O: Iterator, N: Iterator> {
    old: Peekable<O>,
    new: Peekable<N>,
}

impl<'a, T: 'a, O, N> Iterator for Merged<O, N>
where
    O: Iterator<Item = Entry<'a, T>>,
    N: Iterator<Item = Entry<'a, T>>,
{
    type Item = Entry<'a, T>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.old.peek(), self.new.peek()) {
            (Some(old), Some(new)) => old.id.cmp(new.id),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, _) => std::cmp::Ordering::Greater,
        };
        match order {
            std::cmp::Ordering::Less => self.old.next(),
            std::cmp::Ordering::Greater => self.new.next(),
            std::cmp::Ordering::Equal => {
                self.old.next();
                self.new.next()
            }
        }
    }
}

/// Two fields are equal when they say the same, wherever it is kept. What cannot be read equals nothing.
impl<T: Item> PartialEq for Labels<T> {
    fn eq(&self, other: &Self) -> bool {
        match (self.iter(), other.iter()) {
            (Ok(a), Ok(b)) => a.eq(b),
            _ => false,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Labels<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labels").field("stored", &self.stored).field("changes", &self.changes).finish()
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::LabelledBox;

    use crate::testing::{a_box, ids};

    use super::*;

    fn labels(of: &[(&str, usize)]) -> Labels<LabelledBox> {
        let mut labels = Labels::default();
        for (id, n) in of {
            labels.insert(ids(&[*id]).remove(0), Answer::new(vec![a_box(0); *n]));
        }
        labels
    }

    #[test]
    fn an_empty_answer_is_an_answer() {
        let l = labels(&[("a", 0)]);
        let [a, b] = [ids(&["a"]).remove(0), ids(&["b"]).remove(0)];
        assert_eq!((l.get(&a).unwrap().map(<[_]>::len), l.get(&b).unwrap()), (Some(0), None));
        assert!(!l.is_empty() && labels(&[]).is_empty());
    }

    #[test]
    fn answers_are_signed_where_there_are_any() {
        let mut l = labels(&[("a", 1)]);
        let by = Arc::new(LabelledBy::person("ann"));
        assert!(l.sign(&ids(&["a"])[0], &by).unwrap());
        assert!(!l.sign(&ids(&["b"])[0], &by).unwrap());
        assert_eq!(l.entry(&ids(&["a"])[0]).unwrap().unwrap().by, Some(&by));
    }

    #[test]
    fn classes_are_marked_sample_by_sample() {
        let mut l = labels(&[("a", 1), ("c", 2)]);
        l.insert(ids(&["b"]).remove(0), Answer::new(vec![a_box(1)]));
        let all = ids(&["0", "a", "b", "c"]);
        assert_eq!(l.class_mask(ClassIdx(0), all.iter()).unwrap(), [false, true, false, true]);
    }
}
