use std::path::{Path, PathBuf};

use labelloop_core::{CoreError, Split};

use crate::{AcrossPair, Likeness, SplitParamsError, Status};

/// What a dataset refuses, with the value found, what was expected and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A value that the shared vocabulary refuses.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// Split parameters that cannot be used.
    #[error(transparent)]
    SplitParams(#[from] SplitParamsError),
    /// The operating system refused a file operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The disk is full, or the part of it that this user may fill.
    #[error(
        "cannot {action} {}: the disk is full ({source}); nothing that was committed is lost: free some space and try again",
        path.display()
    )]
    DiskFull {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A folder that this user may read and not write to.
    #[error(
        "cannot {action} {}: the folder is read-only for this user ({source}); nothing that was committed is lost: \
         give write permission or copy the dataset to where there is",
        path.display()
    )]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file whose bytes are not those that were committed, or that cannot be understood.
    #[error("{} is damaged: found {found}, expected {expected}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A folder that holds no dataset.
    #[error("{} is not a dataset: expected a file named CURRENT, as `init` writes it", path.display())]
    NotADataset {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that holds another dataset.
    #[error("{} already holds a dataset whose {what} is {found:?}: expected {expected:?}", path.display())]
    OtherDataset {
        /// The folder.
        path: PathBuf,
        /// Name or classes.
        what: &'static str,
        /// The value on disk.
        found: String,
        /// The value asked for.
        expected: String,
    },
    /// A dataset written by a later version of this crate.
    #[error("{} has layout version {found}: this program reads up to version {supported}, a newer one is needed", path.display())]
    NewerVersion {
        /// The manifest.
        path: PathBuf,
        /// Version on disk.
        found: u32,
        /// Newest version that can be read.
        supported: u32,
    },
    /// Someone else is writing, or has written since the dataset was read.
    #[error("conflict in {}: {reason}", path.display())]
    Conflict {
        /// The dataset folder.
        path: PathBuf,
        /// Who got there first.
        reason: ConflictReason,
    },
    /// A generation that was never committed.
    #[error("generation {found} does not exist: expected 0 to {current}")]
    NoSuchGeneration {
        /// The number asked for.
        found: u64,
        /// The newest one.
        current: u64,
    },
    /// A label field that the dataset does not have.
    #[error("no {kind} field {found:?}: expected one of {available:?}{}", hint(nearest.as_deref()))]
    UnknownField {
        /// Boxes, cuboids, predictions or scores.
        kind: &'static str,
        /// The name asked for.
        found: String,
        /// The names there are.
        available: Vec<String>,
        /// The closest of them, where one is close.
        nearest: Option<String>,
    },
    /// A field name that cannot be one.
    #[error("field name {found:?}: expected a non-empty text without control characters")]
    InvalidFieldName {
        /// The name.
        found: String,
    },
    /// A sample that the dataset does not have.
    #[error("no sample {id} in dataset {dataset:?}: expected a sample that was imported")]
    UnknownSample {
        /// The sample.
        id: String,
        /// Name of the dataset.
        dataset: String,
    },
    /// The same id with other content.
    #[error("sample {id} is already there with another {what}: found {found}, expected {expected}")]
    SampleConflict {
        /// The sample.
        id: String,
        /// The part that differs.
        what: &'static str,
        /// What came in.
        found: String,
        /// What the dataset holds.
        expected: String,
    },
    /// Two samples of one capture with the same slice name.
    #[error(
        "capture {capture} has slice {slice:?} twice, in samples {first} and {second}: expected distinct slices"
    )]
    DuplicateSlice {
        /// The capture.
        capture: String,
        /// The slice name.
        slice: String,
        /// Sample that has it.
        first: String,
        /// Sample that wants it.
        second: String,
    },
    /// A capture whose samples name different groups.
    #[error(
        "capture {capture}: sample {id} names group {found}, expected {expected} as its other samples say"
    )]
    TornCapture {
        /// The capture.
        capture: String,
        /// The sample.
        id: String,
        /// Its group.
        found: String,
        /// Group of the other samples.
        expected: String,
    },
    /// A label whose class number is outside the schema.
    #[error("label {position} of sample {id} has class number {found}: expected 0 to {}", n_classes.saturating_sub(1))]
    ClassOutOfSchema {
        /// The sample.
        id: String,
        /// Position in the list, from 0.
        position: usize,
        /// The number found.
        found: u32,
        /// Number of classes.
        n_classes: usize,
    },
    /// A stated area that is no area.
    #[error("label {position} of sample {id} states area {found}: expected a finite number of at least 0")]
    InvalidArea {
        /// The sample.
        id: String,
        /// Position in the list, from 0.
        position: usize,
        /// The area found.
        found: f64,
    },
    /// A score that is not finite.
    #[error("score {name:?} of sample {id} is {found}: expected a finite number")]
    InvalidScore {
        /// Name of the score.
        name: String,
        /// The sample.
        id: String,
        /// The value found.
        found: f64,
    },
    /// A policy number that cannot be used.
    #[error("box policy slack is {found}: expected a finite number of at least 0")]
    InvalidSlack {
        /// The value found.
        found: f64,
    },
    /// A status change that the state machine does not know.
    #[error("sample {id} cannot go from {from} to {to}: expected {expected}")]
    IllegalTransition {
        /// The sample.
        id: String,
        /// Its status.
        from: Status,
        /// The status asked for.
        to: Status,
        /// What would have been legal.
        expected: String,
    },
    /// A sample that may not be picked for labelling.
    #[error(
        "sample {id} cannot be selected: it is in split {split} with status {status}, expected pool and unlabeled"
    )]
    NotSelectable {
        /// The sample.
        id: String,
        /// Its split.
        split: String,
        /// Its status.
        status: Status,
    },
    /// A batch without samples.
    #[error("batch {number} has no samples: expected at least one")]
    EmptyBatch {
        /// Its number.
        number: u32,
    },
    /// A batch number that is taken by other samples.
    #[error(
        "batch {number} already holds {expected} samples: found {found} picked, of which {new} are not in it"
    )]
    BatchExists {
        /// Its number.
        number: u32,
        /// Samples in the batch.
        expected: usize,
        /// Samples asked for.
        found: usize,
        /// Those asked for that the batch does not hold.
        new: usize,
    },
    /// A sample that does not belong to the batch.
    #[error("sample {id} is not in batch {number}: expected labels of that batch only")]
    NotInBatch {
        /// The sample.
        id: String,
        /// The batch.
        number: u32,
    },
    /// A view name that is taken by another view.
    #[error("view {name:?} already exists with other content: expected the same content or another name")]
    ViewExists {
        /// The name.
        name: String,
    },
    /// A view that does not exist.
    #[error("no view {found:?}: expected one of {available:?}{}", hint(nearest.as_deref()))]
    ViewNotFound {
        /// The name asked for.
        found: String,
        /// The names there are.
        available: Vec<String>,
        /// The closest of them, where one is close.
        nearest: Option<String>,
    },
    /// A tag that is not `namespace:value`.
    #[error(
        "tag {found:?}: expected namespace:value, a lower-case namespace and a value without control characters"
    )]
    InvalidTag {
        /// The text found.
        found: String,
    },
    /// A tag that follows from split, status or batch and cannot be set by hand.
    #[error("tag {found:?} is derived: change the {namespace} itself")]
    DerivedTag {
        /// The tag.
        found: String,
        /// Its namespace.
        namespace: String,
    },
    /// A dataset or list without groups to split.
    #[error("there is nothing to split: expected at least one sample")]
    EmptyDataset,
    /// Fewer groups than splits.
    #[error("found {found} groups: expected at least {needed}, one for each split with a share above 0")]
    TooFewGroups {
        /// Groups there are.
        found: usize,
        /// Groups needed.
        needed: usize,
    },
    /// Fewer groups than splits, after near-duplicates made one group of several.
    #[error(
        "found {found} groups after {merged} were merged into others that they look like: expected at least {needed}, one \
         for each split with a share above 0"
    )]
    MergedTooFew {
        /// Groups that are left.
        found: usize,
        /// Groups that were merged into those.
        merged: usize,
        /// Groups needed.
        needed: usize,
    },
    /// The same group twice.
    #[error("group {key} occurs more than once: expected one summary for each group")]
    DuplicateGroup {
        /// The group.
        key: String,
    },
    /// Labels of the frozen test set were asked for outside a recorded look.
    #[error(
        "field {field:?} of sample {id} belongs to the frozen test set: expected access through a recorded look"
    )]
    FrozenTest {
        /// The sample.
        id: String,
        /// The field.
        field: String,
    },
    /// All looks at the test set are used up.
    #[error(
        "the test set was looked at {used} times: expected fewer than the budget of {budget}; last reason {last:?}"
    )]
    TestBudgetSpent {
        /// Looks in the ledger.
        used: u32,
        /// Looks allowed.
        budget: u32,
        /// Reason of the last look.
        last: String,
    },
    /// A look without a reason or key.
    #[error("a look at the test set has an empty {what}: expected a text that says which model and why")]
    NoReason {
        /// Reason or key.
        what: &'static str,
    },
    /// A sample that must not be trained on, by itself or by descent.
    #[error("sample {id} must not be trained on: {ancestor} is in split {}, expected pool", split.map_or("none", Split::as_str))]
    Lineage {
        /// The sample offered for training.
        id: String,
        /// Itself or the ancestor at fault.
        ancestor: String,
        /// Split of the ancestor.
        split: Option<Split>,
    },
    /// A sample that must be kept out because it shows what a frozen sample shows.
    #[error(
        "sample {id} must be neither selected nor trained on: {} {frozen} in split {split} ({by})",
        like(id, ancestor)
    )]
    LooksFrozen {
        /// The sample offered for selection or training.
        id: String,
        /// Itself, the ancestor at fault, or another slice of its capture.
        ancestor: String,
        /// The sample of val, golden or test.
        frozen: String,
        /// Split of that sample.
        split: Split,
        /// How alike they are.
        by: Likeness,
    },
    /// Near-duplicates that would be on two sides of a split which was to have none.
    #[error(
        "near-duplicates on two sides: {pair}; {n_pairs} such pairs: expected none, give both one group or merge them"
    )]
    NearDuplicateAcross {
        /// The first pair.
        pair: Box<AcrossPair>,
        /// All such pairs.
        n_pairs: usize,
    },
    /// A derived sample in another group than its parent.
    #[error("derived sample {id} names group {found}: expected {expected}, the group of its parent {parent}")]
    ForeignParent {
        /// The derived sample.
        id: String,
        /// Its group.
        found: String,
        /// Group of the parent.
        expected: String,
        /// The parent.
        parent: String,
    },
    /// An info record of another shape.
    #[error("info {key:?} cannot be read: {detail}")]
    InfoShape {
        /// The key.
        key: String,
        /// What did not fit.
        detail: String,
    },
}

/// Why a commit was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConflictReason {
    /// The lock is taken.
    #[error("another writer holds the lock: expected one writer at a time")]
    Locked,
    /// Someone committed in between.
    #[error("the dataset was read at generation {read}, and generation {current} is current: read it again")]
    Moved {
        /// Generation that the changes were made on.
        read: u64,
        /// Generation on disk.
        current: u64,
    },
    /// A fresh dataset offered to a folder with history.
    #[error(
        "the dataset was never read from this folder, whose current generation is {current}: read it first"
    )]
    NotRead {
        /// Generation on disk.
        current: u64,
    },
}

impl DatasetError {
    /// Says that groups are too few because `merged` of them became part of others.
    #[must_use]
    pub fn after_merging(self, merged: usize) -> Self {
        match self {
            Self::TooFewGroups { found, needed } if 0 < merged => {
                Self::MergedTooFew { found, merged, needed }
            }
            other => other,
        }
    }

    /// Whether trying again after reading the dataset anew may work.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Whether a gate refused (frozen test, lineage, near-duplicates), as opposed to work that failed.
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
    /// let test = dataset.members::<FrozenTest>();
    /// let shut = dataset.boxes(GROUND_TRUTH, &test.ids()[0]).unwrap_err();
    /// assert!(shut.is_refusal() && !shut.is_conflict());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::FrozenTest { .. }
                | Self::TestBudgetSpent { .. }
                | Self::NoReason { .. }
                | Self::Lineage { .. }
                | Self::LooksFrozen { .. }
                | Self::NearDuplicateAcross { .. }
        )
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// Why something could not be changed on disk. A full disk and a read-only folder are told apart from the rest,
    /// because a person can mend them.
    pub(crate) fn write(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::DiskFull { action, path, source },
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                Self::ReadOnly { action, path, source }
            }
            _ => Self::Io { action, path, source },
        }
    }

    pub(crate) fn corrupt(path: &Path, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), found: found.into(), expected: expected.into() }
    }
}

/// Result with [`DatasetError`].
pub type Result<T, E = DatasetError> = std::result::Result<T, E>;

fn like(id: &str, ancestor: &str) -> String {
    match id == ancestor {
        true => "it is a near-duplicate of".to_owned(),
        false => format!("it comes with {ancestor}, a near-duplicate of"),
    }
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|n| format!("; did you mean {n:?}?")).unwrap_or_default()
}

/// The closest of some names, where one is close. The distance is that of class names.
pub(crate) fn nearest_name(wanted: &str, names: &[String]) -> Option<String> {
    let schema = labelloop_core::ClassSchema::new(names.to_vec()).ok()?;
    schema.nearest(wanted).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names_are_close_or_absent() {
        let names = vec!["ground_truth".to_owned(), "human_labels".to_owned()];
        assert_eq!(nearest_name("groundtruth", &names).as_deref(), Some("ground_truth"));
        assert_eq!(nearest_name("zebra", &names), None);
        assert_eq!(nearest_name("x", &[]), None);
    }

    #[test]
    fn what_a_person_can_mend_is_said_plainly() {
        let write = |errno| {
            DatasetError::write("sync", Path::new("d/x"), std::io::Error::from_raw_os_error(errno))
                .to_string()
        };
        assert_eq!(
            write(28),
            "cannot sync d/x: the disk is full (No space left on device (os error 28)); nothing that was committed is \
             lost: free some space and try again"
        );
        assert!(write(30).contains("read-only") && write(13).contains("give write permission"));
        assert_eq!(write(5), "cannot sync d/x: Input/output error (os error 5)");
    }

    #[test]
    fn predicates_tell_refusals_from_conflicts() {
        let frozen = DatasetError::FrozenTest { id: "a".into(), field: "ground_truth".into() };
        assert!(frozen.is_refusal() && !frozen.is_conflict());
        let locked = DatasetError::Conflict { path: "d".into(), reason: ConflictReason::Locked };
        assert!(locked.is_conflict() && !locked.is_refusal());
    }
}
