use labelloop_core::SampleId;

use crate::GoldenChanges;

/// What quality assurance refuses, with the value found and what was expected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QaError {
    /// A parameter outside its range.
    #[error("parameter {name} is {found}: expected {expected}")]
    InvalidParam {
        /// The parameter.
        name: &'static str,
        /// Its value.
        found: f64,
        /// What it should have been.
        expected: &'static str,
    },
    /// A golden set without images or scans.
    #[error("{round} has no samples: expected at least one")]
    NoImages {
        /// Which round.
        round: String,
    },
    /// Samples without any object to compare.
    #[error("{round} has no objects: expected at least one that is not a crowd")]
    NoObjects {
        /// Which round.
        round: String,
    },
    /// The same image twice in one round.
    #[error("{round} holds sample {id} more than once: expected distinct samples")]
    DuplicateImage {
        /// Which round.
        round: String,
        /// The image.
        id: SampleId,
    },
    /// Images of the reference that a round lacks.
    #[error("{round} lacks {} of the {n_expected} reference samples, first {}: expected all of them", missing.len(), missing.first().map_or("", |id| id.as_str()))]
    MissingImages {
        /// Which round.
        round: String,
        /// Images that are not there, in order.
        missing: Vec<SampleId>,
        /// Images of the reference.
        n_expected: usize,
    },
    /// Images of a round that the reference lacks.
    #[error("{round} holds {} samples that the reference lacks, first {}: expected the reference's samples only", extra.len(), extra.first().map_or("", |id| id.as_str()))]
    ExtraImages {
        /// Which round.
        round: String,
        /// Images that should not be there, in order.
        extra: Vec<SampleId>,
    },
    /// An image whose size differs from that in the reference.
    #[error("image {id} is {} x {} in {round}: expected {} x {} as in the reference", found.0, found.1, expected.0, expected.1)]
    SizeMismatch {
        /// Which round.
        round: String,
        /// The image.
        id: SampleId,
        /// Width and height found.
        found: (u32, u32),
        /// Width and height in the reference.
        expected: (u32, u32),
    },
    /// A box of a class beyond the schema.
    #[error(
        "object {box_idx} of sample {id} in {round} has class {found}: expected a number below {n_classes}"
    )]
    ClassOutOfSchema {
        /// Which round.
        round: String,
        /// The image.
        id: SampleId,
        /// Position of the box in its image.
        box_idx: usize,
        /// The class number found.
        found: u32,
        /// Classes of the schema.
        n_classes: usize,
    },
    /// A stated area that is no area.
    #[error(
        "box {box_idx} of image {id} in {round} states area {found}: expected a finite number of at least 0"
    )]
    InvalidArea {
        /// Which round.
        round: String,
        /// The image.
        id: SampleId,
        /// Position of the box in its image.
        box_idx: usize,
        /// The area found.
        found: f64,
    },
    /// Counts by class whose lengths differ.
    #[error("class counts are of {before} and {after} classes: expected the classes of one schema")]
    ClassCount {
        /// Classes before.
        before: usize,
        /// Classes after.
        after: usize,
    },
    /// Lists about objects whose lengths differ.
    #[error("{found} {what} of {expected} objects: expected one for each object")]
    ObjectCount {
        /// Which list.
        what: &'static str,
        /// Its length.
        found: usize,
        /// Objects there are.
        expected: usize,
    },
    /// A neighbour that is not among the objects.
    #[error("neighbour {found} of object {object}: expected a number below {n_objects}")]
    NeighbourRow {
        /// Whose neighbour.
        object: usize,
        /// The neighbour's position.
        found: u32,
        /// Objects there are.
        n_objects: usize,
    },
    /// Neighbours that are not in order.
    #[error("similarity {found} of object {object} after {before}: expected numbers that do not rise")]
    Similarity {
        /// Whose neighbour.
        object: usize,
        /// The similarity found.
        found: f32,
        /// The one before it.
        before: f32,
    },
    /// A golden version that a history does not know.
    #[error("the history has no golden version {found}: expected one of {}", if known.is_empty() { "none, as it is empty".to_owned() } else { known.join(", ") })]
    UnknownGoldenVersion {
        /// The version asked for.
        found: String,
        /// Versions of the history, in order.
        known: Vec<String>,
    },
    /// A golden version whose reference labels were changed without a new version.
    #[error(
        "reference labels of golden version {version} have digest {found}: expected {expected} as recorded before; edited labels need a new version"
    )]
    ReferenceEdited {
        /// The golden version.
        version: String,
        /// Digest of the labels at hand.
        found: String,
        /// Digest in the history.
        expected: String,
    },
    /// A reference that is not that of the golden version in force.
    #[error(
        "the reference is not that of golden version {version}{}: expected a new version that says why",
        differs(changes)
    )]
    ReferenceChanged {
        /// The version in force.
        version: String,
        /// The samples that differ; none where the version does not list its samples.
        changes: GoldenChanges,
    },
    /// A golden set without any version.
    #[error("the golden set has no version: expected one to be made first")]
    NoGoldenVersion,
    /// A golden version of the same reference as the one before it.
    #[error("the reference is that of golden version {version}: expected one that differs")]
    SameReference {
        /// The version in force.
        version: String,
    },
    /// A golden version that nobody gives a reason for.
    #[error("a golden version without a reason: expected why the reference changes")]
    NoReason,
}

/// Result with [`QaError`].
pub type Result<T, E = QaError> = std::result::Result<T, E>;

fn differs(changes: &GoldenChanges) -> String {
    if changes.is_empty() { String::new() } else { format!(", {changes}") }
}
