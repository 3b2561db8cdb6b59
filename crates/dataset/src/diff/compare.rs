//! One walk along both sides of everything that is sorted.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use labelloop_core::SampleId;

use super::{
    AnswersDiff, DatasetDiff, HiddenCounts, Moved, NamesDiff, ObjectCounts, Presence, SampleField, ScoresDiff,
};
use crate::disk::{Item, Scores};
use crate::labels::Labels;
use crate::{Dataset, Result, Sample};

pub(super) fn datasets(old: &Dataset, new: &Dataset) -> Result<DatasetDiff> {
    let is_hidden = |id: &SampleId| old.is_test(id) || new.is_test(id);
    let names = |d: &Dataset| d.schema.names().to_vec();
    let mut diff = DatasetDiff {
        name: (old.name != new.name).then(|| [old.name.clone(), new.name.clone()]),
        classes: (old.schema != new.schema).then(|| [names(old), names(new)]),
        boxes: fields(&old.boxes, &new.boxes, &is_hidden)?,
        cuboids: fields(&old.cuboids, &new.cuboids, &is_hidden)?,
        predictions: fields(&old.predictions, &new.predictions, &|_| false)?,
        scores: scores(&old.scores, &new.scores)?,
        views: by_name(&old.views, &new.views),
        info: by_name(&old.info, &new.info),
        ..DatasetDiff::default()
    };
    samples(old, new, &mut diff);
    Ok(diff)
}

fn samples(old: &Dataset, new: &Dataset, diff: &mut DatasetDiff) {
    let mut statuses: BTreeMap<_, Vec<SampleId>> = BTreeMap::new();
    let mut splits: BTreeMap<_, Vec<SampleId>> = BTreeMap::new();
    for (id, a, b) in join(&old.samples, &new.samples) {
        tags(id, a, b, diff);
        match (a, b) {
            (Some(a), Some(b)) => {
                let fields = differing(a, b);
                if fields.contains(&SampleField::Status) {
                    statuses.entry((a.status, b.status)).or_default().push(id.clone());
                }
                if fields.contains(&SampleField::Split) {
                    splits.entry((a.split, b.split)).or_default().push(id.clone());
                }
                if !fields.is_empty() {
                    diff.samples_changed.insert(id.clone(), fields);
                }
            }
            (Some(_), None) => diff.samples_removed.push(id.clone()),
            (None, _) => diff.samples_added.push(id.clone()),
        }
    }
    diff.statuses = moved(statuses);
    diff.splits = moved(splits);
}

fn moved<T>(by_ends: BTreeMap<(T, T), Vec<SampleId>>) -> Vec<Moved<T>> {
    by_ends.into_iter().map(|((from, to), ids)| Moved { from, to, ids }).collect()
}

fn differing(a: &Sample, b: &Sample) -> BTreeSet<SampleField> {
    use SampleField as F;
    [
        (F::Batch, a.batch != b.batch),
        (F::Capture, a.capture != b.capture),
        (F::Extra, a.extra != b.extra),
        (F::FileName, a.file_name != b.file_name),
        (F::Group, a.group != b.group),
        (F::Kind, a.kind != b.kind),
        (F::Parent, a.parent != b.parent),
        (F::Size, a.size != b.size),
        (F::Slice, a.slice != b.slice),
        (F::Split, a.split != b.split),
        (F::Status, a.status != b.status),
        (F::Tags, a.tags != b.tags),
    ]
    .into_iter()
    .filter_map(|(field, differs)| differs.then_some(field))
    .collect()
}

fn tags(id: &SampleId, a: Option<&Sample>, b: Option<&Sample>, diff: &mut DatasetDiff) {
    let none = BTreeSet::new();
    let [a, b] = [a, b].map(|s| s.map_or(&none, |s| &s.tags));
    for tag in b.difference(a) {
        diff.tags.entry(tag.clone()).or_default().added.push(id.clone());
    }
    for tag in a.difference(b) {
        diff.tags.entry(tag.clone()).or_default().removed.push(id.clone());
    }
}

fn fields<T: Item>(
    old: &BTreeMap<String, Labels<T>>,
    new: &BTreeMap<String, Labels<T>>,
    is_hidden: &dyn Fn(&SampleId) -> bool,
) -> Result<BTreeMap<String, AnswersDiff>> {
    let nothing = Labels::default();
    let mut diffs = BTreeMap::new();
    for (name, a, b) in join(old, new) {
        let mut diff = answers(a.unwrap_or(&nothing), b.unwrap_or(&nothing), is_hidden)?;
        diff.field = presence(a.is_some(), b.is_some());
        if !diff.is_empty() {
            diffs.insert(name.clone(), diff);
        }
    }
    Ok(diffs)
}

fn presence(before: bool, after: bool) -> Presence {
    match (before, after) {
        (false, true) => Presence::Added,
        (true, false) => Presence::Removed,
        _ => Presence::Both,
    }
}

fn answers<T: Item>(
    old: &Labels<T>,
    new: &Labels<T>,
    is_hidden: &dyn Fn(&SampleId) -> bool,
) -> Result<AnswersDiff> {
    let mut diff = AnswersDiff::default();
    if let (Some(a), Some(b)) = (old.unchanged(), new.unchanged())
        && a.is_same_on_disk(b)
    {
        return Ok(diff);
    }
    let pairs = Joined {
        old: old.iter()?.map(|e| (e.id, e)).peekable(),
        new: new.iter()?.map(|e| (e.id, e)).peekable(),
    };
    for (id, a, b) in pairs {
        if a == b {
            continue;
        }
        let [before, after] = [a, b].map(|e| e.map(|e| e.items.len()));
        match (is_hidden(id), before, after) {
            (true, before, after) => diff.test.count(before, after),
            (_, Some(before), Some(after)) => {
                diff.changed.insert(id.clone(), ObjectCounts { before, after });
            }
            (_, Some(before), None) => drop(diff.removed.insert(id.clone(), before)),
            (_, None, after) => drop(diff.added.insert(id.clone(), after.unwrap_or_default())),
        }
    }
    Ok(diff)
}

impl HiddenCounts {
    fn count(&mut self, before: Option<usize>, after: Option<usize>) {
        match (before, after) {
            (None, _) => self.n_added += 1,
            (_, None) => self.n_removed += 1,
            _ => self.n_changed += 1,
        }
        let objects = self.objects.get_or_insert(ObjectCounts { before: 0, after: 0 });
        objects.before += before.unwrap_or_default();
        objects.after += after.unwrap_or_default();
    }
}

fn scores(
    old: &BTreeMap<String, Scores>,
    new: &BTreeMap<String, Scores>,
) -> Result<BTreeMap<String, ScoresDiff>> {
    let nothing = BTreeMap::new();
    let mut diffs = BTreeMap::new();
    for (name, a, b) in join(old, new) {
        let mut diff = ScoresDiff { field: presence(a.is_some(), b.is_some()), ..ScoresDiff::default() };
        let a = a.map(Scores::values).transpose()?.unwrap_or(&nothing);
        let b = b.map(Scores::values).transpose()?.unwrap_or(&nothing);
        for (id, a, b) in join(a, b) {
            match (a, b) {
                (Some(a), Some(b)) if a == b => {}
                (Some(_), Some(_)) => diff.changed.push(id.clone()),
                (Some(_), None) => diff.removed.push(id.clone()),
                (None, _) => diff.added.push(id.clone()),
            }
        }
        if !diff.is_empty() {
            diffs.insert(name.clone(), diff);
        }
    }
    Ok(diffs)
}

fn by_name<T: PartialEq>(old: &BTreeMap<String, T>, new: &BTreeMap<String, T>) -> NamesDiff {
    let mut diff = NamesDiff::default();
    for (name, a, b) in join(old, new) {
        match (a, b) {
            (Some(a), Some(b)) if a == b => {}
            (Some(_), Some(_)) => diff.changed.push(name.clone()),
            (Some(_), None) => diff.removed.push(name.clone()),
            (None, _) => diff.added.push(name.clone()),
        }
    }
    diff
}

/// Both sides of two maps, in the order of their keys.
fn join<'a, K: Ord, V>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, Option<&'a V>, Option<&'a V>)> {
    Joined { old: old.iter().peekable(), new: new.iter().peekable() }
}

struct Joined<A: Iterator, B: Iterator> {
    old: Peekable<A>,
    new: Peekable<B>,
}

impl<K: Ord, V, A, B> Iterator for Joined<A, B>
where
    A: Iterator<Item = (K, V)>,
    B: Iterator<Item = (K, V)>,
{
    type Item = (K, Option<V>, Option<V>);

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.old.peek(), self.new.peek()) {
            (Some((a, _)), Some((b, _))) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        match order {
            Ordering::Less => self.old.next().map(|(k, v)| (k, Some(v), None)),
            Ordering::Greater => self.new.next().map(|(k, v)| (k, None, Some(v))),
            Ordering::Equal => {
                let (k, a) = self.old.next()?;
                Some((k, Some(a), self.new.next().map(|(_, b)| b)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_maps_are_walked_along_together() {
        let [a, b] = [[1, 2, 4], [2, 3, 4]].map(|keys| BTreeMap::from(keys.map(|k| (k, k * 10))));
        let sides: Vec<_> = join(&a, &b).map(|(k, a, b)| (*k, a.copied(), b.copied())).collect();
        assert_eq!(
            sides,
            [(1, Some(10), None), (2, Some(20), Some(20)), (3, None, Some(30)), (4, Some(40), Some(40))]
        );
    }
}
