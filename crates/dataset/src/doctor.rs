use std::collections::BTreeMap;
use std::fmt;

use labelloop_core::{SampleId, Split};
use serde::{Deserialize, Serialize};

use crate::{Dataset, GROUND_TRUTH, Sample, Status, View, batch_view};

/// What kind of inconsistency it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// A group with samples in more than one split: a leak.
    TornGroup,
    /// A capture with samples in more than one group.
    TornCapture,
    /// A pool sample whose ancestor is in test, val or golden: a leak.
    LeakingLineage,
    /// A sample whose parent is not there.
    MissingParent,
    /// A status that does not fit the split.
    StatusAgainstSplit,
    /// A status that does not fit the batch.
    StatusAgainstBatch,
    /// A status that does not fit the labels.
    StatusAgainstLabels,
    /// A batch whose view is missing or does not list the sample.
    BatchAgainstView,
    /// A view that lists a sample which is not there.
    DanglingView,
    /// A label field whose tables cannot be read.
    UnreadableField,
    /// A sample without a split while others have one. Not wrong; the next split run deals with it.
    Unsplit,
    /// A tag whose namespace nobody here knows. Not wrong; it may be a slip of the pen.
    UnknownNamespace,
}

impl FindingKind {
    /// Whether the finding is an error, as opposed to something worth knowing.
    pub fn is_error(self) -> bool {
        !matches!(self, Self::Unsplit | Self::UnknownNamespace)
    }
}

/// One inconsistency.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// What kind it is.
    pub kind: FindingKind,
    /// The sample, group, capture or view.
    pub subject: String,
    /// What was found and what was expected.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.kind.is_error() { "error" } else { "note" };
        write!(f, "{level}: {}: {}", self.subject, self.message)
    }
}

impl Dataset {
    /// Looks for inconsistencies; those that the operations of this crate cannot make are found in folders that
    /// something else wrote. Sorted by kind and subject; empty when all is well. O(samples x depth of lineage).
    ///
    /// ```
    /// # use labelloop_core::*;
    /// # use labelloop_dataset::*;
    /// # let samples = (0..8)
    /// #     .map(|i| SampleRecord::image(&format!("s{i}"), format!("s{i}.png"), ImageSize::new(64, 48)?))
    /// #     .collect::<labelloop_core::Result<Vec<_>>>()?;
    /// # let mut dataset = Dataset::new("demo", ClassSchema::new(["car", "van"])?);
    /// # let set = AnnotationSet { schema: dataset.schema().clone(), samples, extra: Extra::new() };
    /// # dataset.import(&set, GROUND_TRUTH, BoxPolicy::default())?;
    /// # dataset.split(&SplitParams::default())?;
    /// # let car = |x| LabelledBox::new(ClassIdx(0), BBox::new(x, 4.0, 20.0, 10.0).unwrap());
    /// assert!(dataset.doctor().is_empty());
    /// dataset.add_tag(dataset.unlabeled_pool().ids(), &Tag::new("faliure:high_fn")?)?;
    /// assert_eq!(dataset.doctor()[0].kind, FindingKind::UnknownNamespace);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn doctor(&self) -> Vec<Finding> {
        let mut found = Findings::default();
        self.find_torn(&mut found);
        for sample in self.samples.values() {
            self.find_lineage(sample, &mut found);
            find_status(sample, &mut found);
            self.find_batch(sample, &mut found);
            self.find_labels(sample, &mut found);
            for tag in sample.tags.iter().filter(|t| !t.is_known()) {
                let message =
                    format!("tag {tag} has namespace {}, which is not a known one", tag.namespace());
                found.push(FindingKind::UnknownNamespace, &sample.id, message);
            }
        }
        self.find_views(&mut found);
        self.find_unreadable(&mut found);
        found.0.sort();
        found.0
    }

    fn find_torn(&self, found: &mut Findings) {
        let is_split = self.samples.values().any(|s| s.split.is_some());
        let mut split_of = BTreeMap::new();
        let mut group_of = BTreeMap::new();
        for s in self.samples.values() {
            match s.split {
                Some(split) => {
                    let (first, of) = *split_of.entry(&s.group).or_insert((&s.id, split));
                    if of != split {
                        let message =
                            format!("{first} is in {of} and {} in {split}: expected one split", s.id);
                        found.push(FindingKind::TornGroup, &s.group, message);
                    }
                }
                None if is_split => {
                    let message = "in no split yet: the next split run assigns it".to_owned();
                    found.push(FindingKind::Unsplit, &s.id, message);
                }
                None => {}
            }
            let group = *group_of.entry(&s.capture).or_insert(&s.group);
            if *group != s.group {
                let message = format!("{} is in group {}, expected {group}", s.id, s.group);
                found.push(FindingKind::TornCapture, &s.capture, message);
            }
        }
    }

    fn find_lineage(&self, sample: &Sample, found: &mut Findings) {
        let Ok(line) = self.ancestry(&sample.id) else {
            let message = "an ancestor is not in the dataset".to_owned();
            return found.push(FindingKind::MissingParent, &sample.id, message);
        };
        let outside = |s: &&&Sample| s.split.is_some_and(|x| x != Split::Pool);
        if sample.split == Some(Split::Pool)
            && let Some(ancestor) = line.iter().find(outside)
        {
            let split = ancestor.split.map_or("none", Split::as_str);
            let message = format!("in the pool, and derived from {} of split {split}", ancestor.id);
            found.push(FindingKind::LeakingLineage, &sample.id, message);
        }
    }

    fn find_batch(&self, sample: &Sample, found: &mut Findings) {
        let Some(number) = sample.batch else { return };
        let name = batch_view(number);
        let listed = match self.views.get(&name) {
            Some(View::Frozen { ids }) => ids.binary_search(&sample.id).is_ok(),
            _ => false,
        };
        if !listed {
            let message = format!("belongs to batch {number}, and view {name} does not list it");
            found.push(FindingKind::BatchAgainstView, &sample.id, message);
        }
    }

    fn find_labels(&self, sample: &Sample, found: &mut Findings) {
        let n_objects = match sample.status {
            Status::Annotated | Status::VerifiedEmpty => self.n_drawn(&sample.id),
            _ => return,
        };
        let message = match (sample.status, n_objects) {
            (_, None) => format!("{}, and no label field has an answer for it", sample.status),
            (Status::Annotated, Some(0)) => "annotated, and its labels are empty".to_owned(),
            (Status::VerifiedEmpty, Some(n)) if n > 0 => format!("verified empty, and it has {n} objects"),
            _ => return,
        };
        found.push(FindingKind::StatusAgainstLabels, &sample.id, message);
    }

    /// Objects that people drew on a sample, in any field but the reference; nothing when nobody looked.
    fn n_drawn(&self, id: &SampleId) -> Option<usize> {
        let is_drawn = |name: &&String| name.as_str() != GROUND_TRUTH;
        // Fields that cannot be read are findings of their own.
        let boxes =
            self.boxes.iter().filter(|(n, _)| is_drawn(n)).filter_map(|(_, f)| Some(f.get(id).ok()??.len()));
        let cuboids = self
            .cuboids
            .iter()
            .filter(|(n, _)| is_drawn(n))
            .filter_map(|(_, f)| Some(f.get(id).ok()??.len()));
        boxes.chain(cuboids).reduce(|a, b| a + b)
    }

    fn find_unreadable(&self, found: &mut Findings) {
        let boxes = self.boxes.iter().map(|(name, labels)| (name, labels.iter().err()));
        let cuboids = self.cuboids.iter().map(|(name, labels)| (name, labels.iter().err()));
        let predictions = self.predictions.iter().map(|(name, labels)| (name, labels.iter().err()));
        for (name, error) in boxes.chain(cuboids).chain(predictions) {
            if let Some(error) = error {
                found.push(FindingKind::UnreadableField, name, error.to_string());
            }
        }
    }

    fn find_views(&self, found: &mut Findings) {
        for (name, view) in &self.views {
            let View::Frozen { ids } = view else { continue };
            let gone: Vec<&SampleId> = ids.iter().filter(|id| !self.samples.contains_key(*id)).collect();
            if let Some(first) = gone.first() {
                let message = format!("lists {} samples that are not there, first {first}", gone.len());
                found.push(FindingKind::DanglingView, name, message);
            }
        }
    }
}

fn find_status(sample: &Sample, found: &mut Findings) {
    let Sample { status, batch, split, .. } = sample;
    let fits_split = match split {
        Some(Split::Pool) => *status != Status::Frozen,
        Some(_) => *status == Status::Frozen,
        None => *status == Status::Unlabeled,
    };
    if !fits_split {
        let message = format!("status {status} in split {}", split.map_or("none", Split::as_str));
        found.push(FindingKind::StatusAgainstSplit, &sample.id, message);
    }
    let in_batch =
        matches!(status, Status::Selected | Status::Pending | Status::Annotated | Status::VerifiedEmpty);
    if in_batch != batch.is_some() {
        let batch = batch.map_or("no batch".to_owned(), |b| format!("batch {b}"));
        let message = format!("status {status} with {batch}");
        found.push(FindingKind::StatusAgainstBatch, &sample.id, message);
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn push(&mut self, kind: FindingKind, subject: &impl ToString, message: String) {
        self.0.push(Finding { kind, subject: subject.to_string(), message });
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{a_box, ids, pool_of, scene, split_scene};
    use crate::{HUMAN_LABELS, Tag};

    use super::*;

    /// The kinds found after a change that no operation of this crate would make.
    fn after(mut d: Dataset, change: impl FnOnce(&mut Dataset)) -> Vec<FindingKind> {
        assert!(d.doctor().is_empty(), "{:?}", d.doctor());
        change(&mut d);
        d.doctor().into_iter().map(|f| f.kind).collect()
    }

    fn sample<'a>(d: &'a mut Dataset, id: &str) -> &'a mut Sample {
        d.samples.get_mut(id).unwrap()
    }

    #[test]
    fn torn_groups_and_captures_are_found() {
        let torn = after(split_scene(8), |d| {
            let pool = d.unlabeled_pool().ids()[0].to_string();
            sample(d, &pool).enter(Some(Split::Val));
        });
        assert!(torn.iter().all(|k| *k == FindingKind::TornGroup) && !torn.is_empty());
        let torn = after(scene(2), |d| {
            sample(d, "c0/left").group = labelloop_core::GroupKey::new("g1").unwrap();
        });
        assert!(torn.iter().all(|k| *k == FindingKind::TornCapture) && !torn.is_empty());
    }

    #[test]
    fn leaks_by_descent_and_missing_parents_are_found() {
        let leak = after(split_scene(8), |d| {
            let val = d.members::<labelloop_core::Val>().ids()[0].clone();
            let pool = d.unlabeled_pool().ids()[0].to_string();
            sample(d, &pool).parent = Some(val);
        });
        assert_eq!(leak, [FindingKind::LeakingLineage]);
        let gone = after(pool_of(1), |d| sample(d, "s0").parent = Some(ids(&["gone"]).remove(0)));
        assert_eq!(gone, [FindingKind::MissingParent]);
    }

    #[test]
    fn statuses_against_split_and_batch_are_found() {
        let frozen = after(pool_of(1), |d| sample(d, "s0").status = Status::Frozen);
        assert_eq!(frozen, [FindingKind::StatusAgainstSplit]);
        let unasked = after(pool_of(1), |d| sample(d, "s0").status = Status::Pending);
        assert_eq!(unasked, [FindingKind::StatusAgainstBatch]);
        let unlisted = after(pool_of(1), |d| {
            sample(d, "s0").status = Status::Selected;
            sample(d, "s0").batch = Some(4);
        });
        assert_eq!(unlisted, [FindingKind::BatchAgainstView]);
    }

    fn labelled(n: usize) -> Dataset {
        let mut d = pool_of(2);
        d.begin_batch(0, &ids(&["s0"])).unwrap();
        let labels = BTreeMap::from([(ids(&["s0"]).remove(0), Some(vec![a_box(0); n]))]);
        d.finish_batch(0, labels, HUMAN_LABELS, "a").unwrap();
        d
    }

    #[test]
    fn statuses_against_labels_are_found() {
        let expected = [FindingKind::StatusAgainstLabels];
        let set =
            |n: usize| move |d: &mut Dataset| d.set_boxes(HUMAN_LABELS, &ids(&["s0"])[0], vec![a_box(0); n]);
        assert_eq!(after(labelled(1), |d| set(0)(d).unwrap()), expected);
        assert_eq!(after(labelled(0), |d| set(1)(d).unwrap()), expected);
        assert_eq!(after(labelled(1), |d| drop(d.boxes.remove(HUMAN_LABELS))), expected);
    }

    #[test]
    fn dangling_views_are_found() {
        let mut d = pool_of(1);
        d.save_view("v", View::Frozen { ids: ids(&["s0"]) }).unwrap();
        let found = after(d, |d| drop(d.samples.remove("s0")));
        assert_eq!(found, [FindingKind::DanglingView]);
    }

    #[test]
    fn what_is_only_worth_knowing_is_no_error() {
        let unsplit = after(pool_of(2), |d| sample(d, "s0").split = None);
        assert_eq!(unsplit, [FindingKind::Unsplit]);
        let tag = Tag::new("faliure:high_fn").unwrap();
        let mut d = pool_of(1);
        d.add_tag(&ids(&["s0"]), &tag).unwrap();
        let found = d.doctor();
        assert!(!found[0].kind.is_error());
        assert_eq!(
            found[0].to_string(),
            "note: s0: tag faliure:high_fn has namespace faliure, which is not a known one"
        );
    }
}
