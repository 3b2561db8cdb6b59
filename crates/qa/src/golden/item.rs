//! What images with boxes and scans with cuboids have in common: ids, labels, and whether two rounds fit together.

use std::collections::BTreeMap;

use labelloop_core::{ClassIdx, ClassSchema, SampleId};

use crate::{QaError, Result};

/// One label, whatever its geometry.
pub(crate) trait Mark {
    /// Class, place and size to the last bit.
    type Key: Ord + AsRef<[u64]>;

    fn class(&self) -> ClassIdx;
    fn annotator(&self) -> Option<&str>;
    /// Whether it marks a region of many objects.
    fn is_crowd(&self) -> bool;
    fn key(&self) -> Self::Key;
}

/// One golden image or scan as it was labelled in one round.
pub(crate) trait Item<'a>: Copy {
    type Mark: Mark + 'a;

    fn id(&self) -> &'a SampleId;
    fn marks(&self) -> &'a [Self::Mark];

    /// Refuses what no statistic can be computed from, beyond classes.
    fn check(&self, round: &str) -> Result<()>;

    /// Refuses what cannot be compared with the reference's item of the same id.
    fn check_against(&self, round: &str, expected: &Self) -> Result<()>;
}

/// The items of a round in the order of their ids.
pub(crate) type Sorted<'r, 'a, I> = BTreeMap<&'a SampleId, &'r I>;

/// Refuses what no statistic can be computed from, and puts items in order.
pub(crate) fn sorted_round<'r, 'a, I: Item<'a>>(
    round: &str,
    items: &'r [I],
    schema: &ClassSchema,
) -> Result<Sorted<'r, 'a, I>> {
    if items.is_empty() {
        return Err(QaError::NoImages { round: round.to_owned() });
    }
    let mut sorted = BTreeMap::new();
    for item in items {
        check_classes(round, item, schema)?;
        item.check(round)?;
        if sorted.insert(item.id(), item).is_some() {
            return Err(QaError::DuplicateImage { round: round.to_owned(), id: item.id().clone() });
        }
    }
    Ok(sorted)
}

/// Refuses a round that does not show the reference's items, all of them and no others.
pub(crate) fn check_same_items<'a, I: Item<'a>>(
    round: &str,
    items: &Sorted<'_, 'a, I>,
    reference: &Sorted<'_, 'a, I>,
) -> Result<()> {
    let not_in = |a: &Sorted<'_, 'a, I>, b: &Sorted<'_, 'a, I>| -> Vec<SampleId> {
        a.keys().filter(|id| !b.contains_key(**id)).map(|id| (*id).clone()).collect()
    };
    let missing = not_in(reference, items);
    if !missing.is_empty() {
        return Err(QaError::MissingImages { round: round.to_owned(), missing, n_expected: reference.len() });
    }
    let extra = not_in(items, reference);
    if !extra.is_empty() {
        return Err(QaError::ExtraImages { round: round.to_owned(), extra });
    }
    items
        .values()
        .zip(reference.values())
        .try_for_each(|(item, expected)| item.check_against(round, expected))
}

fn check_classes<'a, I: Item<'a>>(round: &str, item: &I, schema: &ClassSchema) -> Result<()> {
    for (box_idx, mark) in item.marks().iter().enumerate() {
        if schema.n_classes() <= mark.class().as_usize() {
            return Err(QaError::ClassOutOfSchema {
                round: round.to_owned(),
                id: item.id().clone(),
                box_idx,
                found: mark.class().0,
                n_classes: schema.n_classes(),
            });
        }
    }
    Ok(())
}

/// A digest of what was labelled, whatever the order of items and of labels within an item, and whoever drew them.
pub(crate) fn digest<'a, I: Item<'a>>(items: &[I]) -> String {
    let mut order: Vec<&I> = items.iter().collect();
    order.sort_by(|a, b| a.id().cmp(b.id()));
    digest_in_order(order.into_iter())
}

/// The same of items that are in order already.
pub(crate) fn sorted_digest<'a, I: Item<'a>>(items: &Sorted<'_, 'a, I>) -> String {
    digest_in_order(items.values().copied())
}

fn digest_in_order<'i, 'a, I: Item<'a> + 'i>(items: impl Iterator<Item = &'i I>) -> String {
    let mut hasher = blake3::Hasher::new();
    // One piece per item: the hash of few bytes at a time is slow.
    let mut bytes = Vec::new();
    for item in items {
        bytes.clear();
        bytes.extend((item.id().as_str().len() as u64).to_le_bytes());
        bytes.extend(item.id().as_str().as_bytes());
        let keys = sorted_keys(item.marks());
        bytes.extend((keys.len() as u64).to_le_bytes());
        for key in keys {
            for part in key.as_ref() {
                bytes.extend(part.to_le_bytes());
            }
        }
        hasher.update(&bytes);
    }
    hasher.finalize().to_hex().to_string()
}

/// Whether two rounds hold the same labels to the last bit.
pub(crate) fn is_copy<'a, I: Item<'a>>(a: &Sorted<'_, 'a, I>, b: &Sorted<'_, 'a, I>) -> bool {
    a.values().any(|i| !i.marks().is_empty())
        && a.len() == b.len()
        && a.values()
            .zip(b.values())
            .all(|(x, y)| x.id() == y.id() && sorted_keys(x.marks()) == sorted_keys(y.marks()))
}

fn sorted_keys<M: Mark>(marks: &[M]) -> Vec<M::Key> {
    let mut keys: Vec<M::Key> = marks.iter().map(Mark::key).collect();
    keys.sort_unstable();
    keys
}

/// The bits of a number; adding 0.0 makes the two zeros one.
pub(crate) fn bits(number: f64) -> u64 {
    (number + 0.0).to_bits()
}
