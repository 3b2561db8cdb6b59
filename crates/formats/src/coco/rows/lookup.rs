//! From the ids of a file to places in a sorted list, without a search where the ids are small.

use std::collections::HashMap;

use crate::coco::CocoId;

/// Whole numbers of at least 0 as bits of words, with the number of bits before each word: a number's rank in two reads.
#[derive(Debug)]
pub(super) struct Ranks {
    words: Vec<u64>,
    before: Vec<u32>,
}

/// Words of a table for `n` ids: a few times the room that the ids themselves need.
fn max_words(n: usize) -> usize {
    n.saturating_mul(16).saturating_add(4096)
}

impl Ranks {
    /// Nothing for numbers that are too far apart for a table, and for one that occurs twice.
    pub(super) fn of(ids: &[i64]) -> Option<Self> {
        let largest = ids.iter().try_fold(0, |max, id| usize::try_from(*id).ok().map(|id| id.max(max)))?;
        let n_words = largest / 64 + 1;
        if max_words(ids.len()) < n_words || u32::try_from(ids.len()).is_err() {
            return None;
        }
        let mut words = vec![0u64; n_words];
        for id in ids {
            let (word, bit) = (usize::try_from(*id).ok()? / 64, 1 << (id % 64));
            if words[word] & bit != 0 {
                return None;
            }
            words[word] |= bit;
        }
        let before = words.iter().scan(0, |sum, word| Some(std::mem::replace(sum, *sum + word.count_ones())));
        let before = before.collect();
        Some(Self { words, before })
    }

    #[inline(always)]
    pub(super) fn get(&self, id: i64) -> Option<u32> {
        let at = usize::try_from(id).ok()? / 64;
        let (word, bit) = (*self.words.get(at)?, 1u64 << (id % 64));
        (word & bit != 0).then(|| self.before[at] + (word & (bit - 1)).count_ones())
    }
}

/// Places in a strictly ascending list of ids.
#[derive(Debug)]
pub(super) struct Lookup<'i> {
    ranks: Option<Ranks>,
    numbers: Vec<i64>,
    texts: HashMap<&'i str, u32>,
}

impl<'i> Lookup<'i> {
    /// Nothing for a list that is not strictly ascending.
    pub(super) fn of(ids: &'i [CocoId]) -> Option<Self> {
        let ascends = ids.is_sorted_by(|a, b| a < b) && u32::try_from(ids.len()).is_ok();
        ascends.then_some(())?;
        let numbers: Vec<i64> = ids
            .iter()
            .map_while(|id| match id {
                CocoId::Int(n) => Some(*n),
                CocoId::Text(_) => None,
            })
            .collect();
        let texts = ids.iter().zip(0..).filter_map(|(id, place)| match id {
            CocoId::Int(_) => None,
            CocoId::Text(text) => Some((text.as_str(), place)),
        });
        Some(Self { ranks: Ranks::of(&numbers), texts: texts.collect(), numbers })
    }

    /// The same for a list of numbers.
    pub(super) fn of_numbers(ids: &[i64]) -> Option<Self> {
        let ascends = ids.is_sorted_by(|a, b| a < b) && u32::try_from(ids.len()).is_ok();
        ascends.then(|| Self { ranks: Ranks::of(ids), numbers: ids.to_vec(), texts: HashMap::new() })
    }

    #[inline(always)]
    pub(super) fn number(&self, id: i64) -> Option<u32> {
        match &self.ranks {
            Some(ranks) => ranks.get(id),
            None => self.numbers.binary_search(&id).ok().and_then(|place| u32::try_from(place).ok()),
        }
    }

    pub(super) fn text(&self, id: &str) -> Option<u32> {
        self.texts.get(id).copied()
    }

    pub(super) fn id(&self, id: &CocoId) -> Option<u32> {
        match id {
            CocoId::Int(n) => self.number(*n),
            CocoId::Text(text) => self.text(text),
        }
    }
}

/// Whether no number occurs twice.
pub(super) fn are_distinct(ids: &mut [i64]) -> bool {
    if ids.is_sorted_by(|a, b| a < b) {
        return true;
    }
    let mut words = vec![0u64; max_words(ids.len())];
    let mut n_far = 0;
    for i in 0..ids.len() {
        let id = ids[i];
        let at = usize::try_from(id).map_or(usize::MAX, |id| id / 64);
        if let Some(word) = words.get_mut(at) {
            let bit = 1 << (id % 64);
            if *word & bit != 0 {
                return false;
            }
            *word |= bit;
        } else {
            ids[n_far] = id;
            n_far += 1;
        }
    }
    let far = &mut ids[..n_far];
    far.sort_unstable();
    far.is_sorted_by(|a, b| a < b)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_that_do_not_ascend_are_refused() {
        assert!(Lookup::of_numbers(&[1, 1]).is_none());
        assert!(Lookup::of(&[CocoId::Text("a".to_owned()), CocoId::Int(1)]).is_none());
        assert!(Ranks::of(&[3, 3]).is_none());
        assert!(Ranks::of(&[-1]).is_none());
        assert!(Ranks::of(&[i64::MAX]).is_none());
    }

    proptest! {
        #[test]
        fn places_are_those_of_the_list(
            numbers in prop::collection::btree_set(prop_oneof![-3..200i64, any::<i64>()], 0..50),
            texts in prop::collection::btree_set("[a-c]{0,3}", 0..9),
            other in -5..210i64,
        ) {
            let ids: Vec<CocoId> =
                numbers.iter().map(|n| CocoId::Int(*n)).chain(texts.into_iter().map(CocoId::Text)).collect();
            let lookup = Lookup::of(&ids).unwrap();
            for (place, id) in ids.iter().enumerate() {
                prop_assert_eq!(lookup.id(id), Some(place as u32));
            }
            prop_assert_eq!(lookup.number(other).is_some(), numbers.contains(&other));
            prop_assert_eq!(lookup.text("d"), None);
        }

        #[test]
        fn distinct_means_no_number_twice(
            mut ids in prop::collection::vec(prop_oneof![-9..400i64, 300_000..300_400i64, any::<i64>()], 0..30)
        ) {
            let set: BTreeSet<i64> = ids.iter().copied().collect();
            prop_assert_eq!(are_distinct(&mut ids.clone()), set.len() == ids.len());
            ids.sort_unstable();
            prop_assert_eq!(are_distinct(&mut ids), set.len() == ids.len());
        }
    }
}
