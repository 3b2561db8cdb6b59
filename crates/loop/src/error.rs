use std::path::PathBuf;

use labelloop_qa::GoldenChanges;

/// What stopped an iteration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoopError {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// File or folder at fault.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The configuration file does not parse, or holds a key that does not exist.
    #[error("{path}, line {line}: {reason}")]
    ConfigSyntax {
        /// The configuration file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong, with the value found and the ones expected.
        reason: String,
    },
    /// A value of the configuration is out of its range.
    #[error("{key} is {found}: expected {expected}")]
    Config {
        /// Dotted name of the key.
        key: &'static str,
        /// The value found.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// A record on disk that is not what this version writes.
    #[error("{path}: {reason}")]
    Record {
        /// File at fault.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// `--start-iteration` names an iteration that has not been reached.
    #[error("start iteration {found}: expected 0 to {last}, the iterations reached so far")]
    StartIteration {
        /// The number asked for.
        found: u32,
        /// The last possible one.
        last: u32,
    },
    /// A run is under way already; it must be told to go on.
    #[error("{path} holds a run at iteration {iteration}, step {step}: expected --resume to go on with it")]
    RunExists {
        /// The project.
        path: PathBuf,
        /// Where it stands.
        iteration: u32,
        /// Its next step.
        step: &'static str,
    },
    /// The golden set says that labels have drifted, so nothing is trained on them.
    #[error(
        "golden QA of iteration {iteration} says {verdict}: {reason}; mend the labels, or record an override with its reason"
    )]
    GoldenGate {
        /// Iteration of the round.
        iteration: u32,
        /// The verdict.
        verdict: String,
        /// The statistic that was named first.
        reason: String,
    },
    /// The reference of the golden set was edited, and no version says why.
    #[error(
        "the reference of the golden set is not that of golden version {version}{}: labelloop qa version --reason \"...\" makes a version of it",
        named(changes)
    )]
    GoldenEdited {
        /// The version in force.
        version: String,
        /// The samples that differ; none where the version does not list its samples.
        changes: GoldenChanges,
    },
    /// Corrected reference labels of a sample that is not in the golden set.
    #[error("sample {id} is not in the golden set: expected golden samples only")]
    NotGolden {
        /// The sample.
        id: String,
    },
    /// A sample of the reference splits has no labels to compare with.
    #[error(
        "{split} sample {id} has no reference labels in field {field:?}: expected labels for every {split} sample"
    )]
    NoReference {
        /// Split of the sample.
        split: &'static str,
        /// The sample.
        id: String,
        /// Field looked in.
        field: String,
    },
    /// The dataset has no pictures of the slice that the detector works on.
    #[error(
        "no pictures of slice {slice:?} in the {split} split: expected at least one; slices found: {found:?}"
    )]
    NoPictures {
        /// Slice looked for.
        slice: String,
        /// Split looked in.
        split: &'static str,
        /// Slices there are.
        found: Vec<String>,
    },
    /// A picture file is missing or unreadable where the step cannot go on without it.
    #[error("sample {id}: {source}")]
    Picture {
        /// The sample.
        id: String,
        /// What happened.
        source: Box<labelloop_media::MediaError>,
    },
    /// A label whose class the schema does not know.
    #[error("{}: sample {id} has an object of class {class:?}: expected a class of the project{}", path.display(), hint(nearest.as_deref()))]
    UnknownClass {
        /// The file.
        path: PathBuf,
        /// The class it names.
        class: String,
        /// The sample.
        id: String,
        /// The closest class of the project, where one is close.
        nearest: Option<String>,
    },
    /// A picture that several people labelled as a whole.
    #[error("{}: sample {id} was labelled by {}: expected one annotator; keep the annotation of one of them", path.display(), found.join(" and "))]
    SeveralAnnotators {
        /// The file.
        path: PathBuf,
        /// The sample.
        id: String,
        /// The annotators.
        found: Vec<String>,
    },
    /// A format that batches do not travel in.
    #[error(
        "batches do not travel as {found}: expected coco, yolo, voc, kitti, cvat, label-studio or fiftyone"
    )]
    BatchFormat {
        /// The format.
        found: &'static str,
    },
    /// A media file whose name leaves the folder of media.
    #[error("sample {id} names the file {found:?}: expected a name that stays in its folder")]
    UnsafeName {
        /// The sample.
        id: String,
        /// The name.
        found: String,
    },
    /// An identifier, box or share that the vocabulary refuses.
    #[error(transparent)]
    Core(#[from] labelloop_core::CoreError),
    /// The dataset refused.
    #[error(transparent)]
    Dataset(#[from] labelloop_dataset::DatasetError),
    /// A format could not be read or written.
    #[error(transparent)]
    Format(#[from] labelloop_formats::FormatError),
    /// Embedding failed.
    #[error(transparent)]
    Embed(#[from] labelloop_embed::EmbedError),
    /// A coreset method refused its input.
    #[error(transparent)]
    Coreset(#[from] labelloop_coreset::CoresetError),
    /// A search among pictures found too much.
    #[error(transparent)]
    Index(#[from] labelloop_index::IndexError),
    /// The batch policy refused.
    #[error(transparent)]
    Acquire(#[from] labelloop_acquire::AcquireError),
    /// Evaluation refused its input.
    #[error(transparent)]
    Eval(#[from] labelloop_eval::EvalError),
    /// Golden QA refused its input.
    #[error(transparent)]
    Qa(#[from] labelloop_qa::QaError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] labelloop_train::TrainError),
    /// A new sample is a crop of a picture that must not be trained on.
    #[error(
        "sample {id} is the crop {crop} of {parent}, which is in val: expected pictures that were not cut from it"
    )]
    CropOfFrozen {
        /// The new sample.
        id: String,
        /// The crop whose bytes it has.
        crop: PathBuf,
        /// The sample that the crop was cut from.
        parent: String,
    },
    /// The caller asked for an end.
    #[error(transparent)]
    Cancelled(#[from] labelloop_core::Cancelled),
}

impl LoopError {
    /// Whether a gate refused, as opposed to work that failed.
    pub fn is_gate(&self) -> bool {
        let is_own =
            matches!(self, Self::GoldenGate { .. } | Self::GoldenEdited { .. } | Self::CropOfFrozen { .. });
        is_own || self.is_dataset_gate()
    }

    fn is_dataset_gate(&self) -> bool {
        matches!(self, Self::Dataset(e) if e.is_refusal())
    }

    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

fn named(changes: &GoldenChanges) -> String {
    if changes.is_empty() { String::new() } else { format!(", {changes}") }
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|n| format!("; did you mean {n:?}?")).unwrap_or_default()
}

/// Result with [`LoopError`].
pub type Result<T, E = LoopError> = std::result::Result<T, E>;
