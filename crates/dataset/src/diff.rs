//! What changed from one snapshot to another.

mod compare;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{SampleId, Split};
use serde::{Deserialize, Serialize};

use crate::{Dataset, Result, Status, Tag};

/// A part of a sample that is not a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "they are the fields of a sample, by their names")]
pub enum SampleField {
    Batch,
    Capture,
    Extra,
    FileName,
    Group,
    Kind,
    Parent,
    Size,
    Slice,
    Split,
    Status,
    Tags,
}

/// Names that came, went, and stayed with other content; each sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesDiff {
    /// Only in the newer.
    pub added: Vec<String>,
    /// Only in the older.
    pub removed: Vec<String>,
    /// In both, with other content.
    pub changed: Vec<String>,
}

/// Samples that went from one value to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moved<T> {
    /// Value in the older.
    pub from: T,
    /// Value in the newer.
    pub to: T,
    /// The samples, in order.
    pub ids: Vec<SampleId>,
}

/// Samples that a tag was put on and taken off, those that came and went with it among them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagDiff {
    /// Samples that carry it in the newer only.
    pub added: Vec<SampleId>,
    /// Samples that carried it in the older only.
    pub removed: Vec<SampleId>,
}

/// Whether a field is on one side only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// In both.
    #[default]
    Both,
    /// In the newer only.
    Added,
    /// In the older only.
    Removed,
}

/// Objects of an answer that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectCounts {
    /// Objects in the older.
    pub before: usize,
    /// Objects in the newer.
    pub after: usize,
}

/// Numbers of answers about the frozen test set that changed. Which they are is not said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenCounts {
    /// Samples that got an answer.
    pub n_added: usize,
    /// Samples that lost theirs.
    pub n_removed: usize,
    /// Samples whose answer changed.
    pub n_changed: usize,
    /// Objects in those answers, over all of them.
    pub objects: Option<ObjectCounts>,
}

/// What changed in a field of answers: labels or predictions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswersDiff {
    /// Whether the field itself came or went.
    pub field: Presence,
    /// Samples that nobody had looked at before, with the number of objects.
    pub added: BTreeMap<SampleId, usize>,
    /// Samples whose answer is gone, with the number of objects it had.
    pub removed: BTreeMap<SampleId, usize>,
    /// Samples whose objects, or the one who answered, changed.
    pub changed: BTreeMap<SampleId, ObjectCounts>,
    /// The same of samples that are in the frozen test set in one of the two, in numbers only.
    pub test: HiddenCounts,
}

/// What changed in a score.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoresDiff {
    /// Whether the score itself came or went.
    pub field: Presence,
    /// Samples that have one in the newer only.
    pub added: Vec<SampleId>,
    /// Samples that had one in the older only.
    pub removed: Vec<SampleId>,
    /// Samples whose value changed.
    pub changed: Vec<SampleId>,
}

/// What changed from one snapshot to another, sorted by name and sample. Fields without a change are left out.
///
/// Labels of the frozen test set are counted and nothing more: a diff is no look at them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DatasetDiff {
    /// The project's name, where it differs.
    pub name: Option<[String; 2]>,
    /// The names of the classes, where they differ.
    pub classes: Option<[Vec<String>; 2]>,
    /// Samples of the newer only.
    pub samples_added: Vec<SampleId>,
    /// Samples of the older only.
    pub samples_removed: Vec<SampleId>,
    /// Samples of both that differ, and in what.
    pub samples_changed: BTreeMap<SampleId, BTreeSet<SampleField>>,
    /// Statuses of samples of both, from and to.
    pub statuses: Vec<Moved<Status>>,
    /// Splits of samples of both, from and to.
    pub splits: Vec<Moved<Option<Split>>>,
    /// By tag; those that follow from split, status and batch are not among them.
    pub tags: BTreeMap<Tag, TagDiff>,
    /// Boxes by field.
    pub boxes: BTreeMap<String, AnswersDiff>,
    /// Cuboids by field.
    pub cuboids: BTreeMap<String, AnswersDiff>,
    /// Predictions by field.
    pub predictions: BTreeMap<String, AnswersDiff>,
    /// Scores by name.
    pub scores: BTreeMap<String, ScoresDiff>,
    /// Views by name.
    pub views: NamesDiff,
    /// Info records by key.
    pub info: NamesDiff,
}

impl Dataset {
    /// What changed from this snapshot to a newer one. Nothing did exactly when the two are equal.
    ///
    /// O(samples + objects) of both; fields that both share on disk are not read.
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
    /// let before = dataset.clone();
    /// assert!(before.diff(&dataset)?.is_empty());
    /// let id = dataset.unlabeled_pool().ids()[0].clone();
    /// dataset.begin_batch(0, &[id.clone()])?;
    /// dataset.finish_batch(0, [(id.clone(), Some(vec![car(1.0), car(5.0)]))].into(), HUMAN_LABELS, "ann")?;
    /// let diff = before.diff(&dataset)?;
    /// assert_eq!(diff.boxes[HUMAN_LABELS].added[&id], 2);
    /// assert_eq!((diff.statuses[0].from, diff.statuses[0].to), (Status::Unlabeled, Status::Annotated));
    /// assert_eq!(diff.views.added, ["batch/0"]);
    /// assert_eq!(diff.reversed(), dataset.diff(&before)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`crate::DatasetError::Io`] and [`crate::DatasetError::Corrupt`] when a field that is still on disk cannot be
    /// read.
    pub fn diff(&self, newer: &Self) -> Result<DatasetDiff> {
        compare::datasets(self, newer)
    }
}

impl DatasetDiff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The way back: what was added is removed, and all that moved moves back.
    #[must_use]
    pub fn reversed(self) -> Self {
        let mut statuses: Vec<_> = self.statuses.into_iter().map(Moved::reversed).collect();
        let mut splits: Vec<_> = self.splits.into_iter().map(Moved::reversed).collect();
        statuses.sort();
        splits.sort();
        let answers = |fields: BTreeMap<String, AnswersDiff>| {
            fields.into_iter().map(|(name, d)| (name, d.reversed())).collect()
        };
        Self {
            name: self.name.map(|[a, b]| [b, a]),
            classes: self.classes.map(|[a, b]| [b, a]),
            samples_added: self.samples_removed,
            samples_removed: self.samples_added,
            samples_changed: self.samples_changed,
            statuses,
            splits,
            tags: self.tags.into_iter().map(|(t, d)| (t, d.reversed())).collect(),
            boxes: answers(self.boxes),
            cuboids: answers(self.cuboids),
            predictions: answers(self.predictions),
            scores: self.scores.into_iter().map(|(n, d)| (n, d.reversed())).collect(),
            views: self.views.reversed(),
            info: self.info.reversed(),
        }
    }
}

impl<T> Moved<T> {
    fn reversed(self) -> Self {
        Self { from: self.to, to: self.from, ids: self.ids }
    }
}

impl TagDiff {
    fn reversed(self) -> Self {
        Self { added: self.removed, removed: self.added }
    }
}

impl NamesDiff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn reversed(self) -> Self {
        Self { added: self.removed, removed: self.added, changed: self.changed }
    }
}

impl Presence {
    fn reversed(self) -> Self {
        match self {
            Self::Both => Self::Both,
            Self::Added => Self::Removed,
            Self::Removed => Self::Added,
        }
    }
}

impl ObjectCounts {
    fn reversed(self) -> Self {
        Self { before: self.after, after: self.before }
    }
}

impl AnswersDiff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Objects in all answers that differ, those of the test set among them.
    pub fn n_objects(&self) -> ObjectCounts {
        let both = self.changed.values().copied().chain(self.test.objects);
        let (mut before, mut after) = (self.removed.values().sum(), self.added.values().sum());
        for counts in both {
            before += counts.before;
            after += counts.after;
        }
        ObjectCounts { before, after }
    }

    fn reversed(self) -> Self {
        let HiddenCounts { n_added, n_removed, n_changed, objects } = self.test;
        Self {
            field: self.field.reversed(),
            added: self.removed,
            removed: self.added,
            changed: self.changed.into_iter().map(|(id, c)| (id, c.reversed())).collect(),
            test: HiddenCounts {
                n_added: n_removed,
                n_removed: n_added,
                n_changed,
                objects: objects.map(ObjectCounts::reversed),
            },
        }
    }
}

impl ScoresDiff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn reversed(self) -> Self {
        Self { field: self.field.reversed(), added: self.removed, removed: self.added, changed: self.changed }
    }
}
