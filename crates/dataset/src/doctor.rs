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
        let boxes =
            self.boxes.iter().filter(|(n, _)| is_drawn(n)).filter_map(|(_, f)| Some(f.get(id)?.len()));
        let cuboids =
            self.cuboids.iter().filter(|(n, _)| is_drawn(n)).filter_map(|(_, f)| Some(f.get(id)?.len()));
        boxes.chain(cuboids).reduce(|a, b| a + b)
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
