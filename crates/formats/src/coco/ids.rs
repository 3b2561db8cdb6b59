//! The numbers of a COCO file: kept where a source gave them, otherwise counted up in an order that does not depend on
//! the order of the samples.

use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{AnnotationSet, Extra, SampleId, SampleRecord, SliceKind};

use super::CocoId;
use crate::json::{self, Object};

/// Key of the set's `extra` that keeps ids and further fields of the categories.
pub(super) const CATEGORIES: &str = "categories";

/// Ids of all pictures in order of sample id, and how many kept ids could not be used.
///
/// Complexity: O(n log n) in the number of samples.
pub(super) fn image_ids(set: &AnnotationSet) -> (BTreeMap<&SampleId, CocoId>, usize) {
    let mut pictures: Vec<&SampleRecord> =
        set.samples.iter().filter(|s| s.kind == SliceKind::Image).collect();
    pictures.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let (mut taken, mut ids, mut n_lost) = (BTreeSet::new(), BTreeMap::new(), 0);
    for sample in &pictures {
        let Some(text) = sample.extra.get("id") else { continue };
        match serde_json::from_str::<CocoId>(text) {
            Ok(id) if taken.insert(id.clone()) => _ = ids.insert(&sample.id, id),
            _ => n_lost += 1,
        }
    }
    let mut next = 0;
    for sample in pictures {
        ids.entry(&sample.id).or_insert_with(|| {
            next += 1;
            while taken.contains(&CocoId::Int(next)) {
                next += 1;
            }
            CocoId::Int(next)
        });
    }
    (ids, n_lost)
}

/// Whole-number ids of annotations: those kept in `extra`, and new ones above the highest for the others.
#[derive(Debug, Default)]
pub(super) struct AnnotationIds {
    taken: BTreeSet<i64>,
    next: i64,
    pub(super) n_lost: usize,
}

impl AnnotationIds {
    /// The kept id of one annotation where it is a whole number that no other has.
    pub(super) fn kept(&mut self, extra: &Extra) -> Option<i64> {
        let text = extra.get("id")?;
        let kept = serde_json::from_str::<i64>(text).ok().filter(|id| self.taken.insert(*id));
        self.n_lost += usize::from(kept.is_none());
        kept
    }

    /// An id that nothing has.
    pub(super) fn fresh(&mut self) -> i64 {
        loop {
            self.next += 1;
            if self.taken.insert(self.next) {
                return self.next;
            }
        }
    }
}

/// Ids and further fields of the classes, by class index.
#[derive(Debug)]
pub(super) struct Categories {
    pub(super) ids: Vec<i64>,
    pub(super) extra: Vec<Extra>,
}

impl Categories {
    /// What a source said of the classes that still exist under their name; the others get the next numbers from 1.
    pub(super) fn of(set: &AnnotationSet) -> Self {
        let mut kept = set.extra.get(CATEGORIES).map(|text| kept_categories(text)).unwrap_or_default();
        let names = set.schema.names();
        let mut taken: BTreeSet<i64> = names.iter().filter_map(|n| kept.get(n)).map(|(id, _)| *id).collect();
        let (mut ids, mut extra, mut next) = (Vec::new(), Vec::new(), 0);
        for name in names {
            let (id, fields) = kept.remove(name).unwrap_or_else(|| {
                next += 1;
                while taken.contains(&next) {
                    next += 1;
                }
                taken.insert(next);
                (next, Extra::new())
            });
            ids.push(id);
            extra.push(fields);
        }
        Self { ids, extra }
    }
}

/// Id and other fields by name; entries that we would not have written are passed over.
fn kept_categories(text: &str) -> BTreeMap<String, (i64, Extra)> {
    let mut kept = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for mut fields in serde_json::from_str::<Vec<Object<'_>>>(text).unwrap_or_default() {
        let id = fields.take("id").and_then(|raw| serde_json::from_str(raw.get()).ok());
        let name = fields.take("name").and_then(|raw| json::scalar_text(raw.get()));
        if let (Some(id), Some(name)) = (id, name)
            && seen.insert(id)
        {
            kept.insert(name, (id, fields.into_extra()));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use labelloop_core::{ClassSchema, ImageSize};

    use super::*;

    fn set(ids: &[(&str, Option<&str>)]) -> AnnotationSet {
        let samples = ids
            .iter()
            .map(|(name, id)| {
                let mut s = SampleRecord::image(name, *name, ImageSize::new(1, 1).unwrap()).unwrap();
                s.extra.extend(id.map(|id| ("id".to_owned(), id.to_owned())));
                s
            })
            .collect();
        AnnotationSet { schema: ClassSchema::new(["a", "b", "c"]).unwrap(), samples, extra: Extra::new() }
    }

    #[test]
    fn kept_ids_stay_and_others_fill_up() {
        let set = set(&[("z", None), ("b", Some("1")), ("a", None), ("c", Some("1")), ("d", Some("\"x\""))]);
        let (ids, n_lost) = image_ids(&set);
        let listed: Vec<String> = ids.iter().map(|(s, id)| format!("{s}={id}")).collect();
        assert_eq!(listed, ["a=2", "b=1", "c=3", "d=\"x\"", "z=4"]);
        assert_eq!(n_lost, 1);
    }

    #[test]
    fn categories_keep_their_ids_by_name() {
        let mut set = set(&[]);
        let text = r#"[{"id": 1, "name": "gone"}, {"id": 2, "name": "b", "supercategory": "s"}]"#;
        set.extra.insert(CATEGORIES.to_owned(), text.to_owned());
        let categories = Categories::of(&set);
        assert_eq!(categories.ids, [1, 2, 3]);
        assert_eq!(categories.extra[1]["supercategory"], "\"s\"");
    }

    #[test]
    fn annotation_ids_are_distinct() {
        let mut ids = AnnotationIds::default();
        let with = |text: &str| Extra::from([("id".to_owned(), text.to_owned())]);
        assert_eq!(ids.kept(&with("1")), Some(1));
        assert_eq!(ids.kept(&with("1")), None);
        assert_eq!(ids.kept(&with("\"a\"")), None);
        assert_eq!((ids.n_lost, ids.fresh(), ids.fresh()), (2, 2, 3));
    }
}
