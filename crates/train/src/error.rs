use std::path::PathBuf;

/// A parameter that the check refused, with the value found and what was expected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamError {
    /// A number outside its range.
    #[error("{name} is {found}: expected {expected}")]
    OutOfRange {
        /// The parameter.
        name: &'static str,
        /// Its value.
        found: f64,
        /// What it should have been.
        expected: &'static str,
    },
    /// A command without a program.
    #[error("the trainer's command is empty: expected a program and its arguments")]
    EmptyCommand,
    /// A placeholder that nothing would fill.
    #[error("argument {index} of the trainer's command holds {{{found}}}: expected one of {expected:?}")]
    UnknownPlaceholder {
        /// Position in the command, 0 is the program.
        index: usize,
        /// The word between the braces.
        found: String,
        /// All words that are filled in.
        expected: &'static [&'static str],
    },
    /// An opening brace without its closing brace.
    #[error("argument {index} of the trainer's command, {argument:?}, opens a brace and never closes it")]
    UnclosedPlaceholder {
        /// Position in the command, 0 is the program.
        index: usize,
        /// The argument as given.
        argument: String,
    },
    /// The name of an environment variable that no system accepts.
    #[error("environment variable name {found:?}: expected a non-empty text without '=' and NUL")]
    InvalidEnvName {
        /// The name found.
        found: String,
    },
    /// Text with a NUL byte, which cannot be handed to a program.
    #[error("{name} holds a NUL byte: expected text without one")]
    NulByte {
        /// Where it was found.
        name: &'static str,
    },
}

/// What went wrong while learning, detecting or running an outside trainer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A parameter was refused.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// No class at all, or more than memory could serve.
    #[error("the learner was asked for {found} classes: expected 1 to {most}")]
    ClassCount {
        /// Classes asked for.
        found: usize,
        /// Most that there may be.
        most: usize,
    },
    /// A label of a class that the learner was not made for.
    #[error("sample {id} has a label of class {found}: expected a class below {n_classes}")]
    ClassOutOfRange {
        /// The sample.
        id: String,
        /// Class of the label.
        found: usize,
        /// Classes that the learner was made for.
        n_classes: usize,
    },
    /// The same sample twice.
    #[error("sample {id} was added before: expected each sample once (remove it first to change its labels)")]
    DuplicateSample {
        /// The sample.
        id: String,
    },
    /// A sample to be taken out that is not in.
    #[error("sample {id} was not added: expected one that was")]
    UnknownSample {
        /// The sample.
        id: String,
    },
    /// Features are asked for before it is known how fine the grid is.
    #[error("the stride is chosen when fitting: expected parameters with a stride to work with features")]
    StrideNotSettled,
    /// Nothing was added before the fit.
    #[error("nothing was added to the learner: expected at least one labelled sample")]
    NothingAdded,
    /// Pictures were added, and none shows an object.
    #[error("{n_images} pictures without a usable label: expected at least one object")]
    NoPositiveLabel {
        /// Pictures added.
        n_images: usize,
    },
    /// Clouds were given, and no label has points that stand together.
    #[error(
        "{n_scans} clouds with {n_cuboids} labels, none of them around a cluster of points: expected at least one"
    )]
    NoUsableCuboid {
        /// Clouds given.
        n_scans: usize,
        /// Labels in them.
        n_cuboids: usize,
    },
    /// The caller asked for an early end.
    #[error(transparent)]
    Cancelled(#[from] labelloop_core::Cancelled),
    /// The normal equations could not be solved.
    #[error(
        "the normal equations of the {what} are not positive definite: expected a larger lambda than {lambda}"
    )]
    NotPositiveDefinite {
        /// Which system.
        what: &'static str,
        /// Strength of the penalty.
        lambda: f64,
    },
    /// Features or sums made by a learner or detector with other parameters.
    #[error(
        "{what} made with other parameters: expected the same stride, number of random features, seed and classes"
    )]
    Incompatible {
        /// What was handed in.
        what: &'static str,
    },
    /// The bytes are not a detector.
    #[error("not a detector of this program: {reason}")]
    NotADetector {
        /// What was found and what was expected.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// File at fault.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The trainer could not be started.
    #[error("the trainer {program:?} could not be started: {source}")]
    Spawn {
        /// Program of the command.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The trainer ended with an error.
    #[error("the trainer ended with {}; last lines of {log}:\n{tail}", exit_text(*code))]
    TrainerFailed {
        /// Exit code; `None` when a signal ended it.
        code: Option<i32>,
        /// Everything it wrote.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
    /// The trainer ran for too long and was ended.
    #[error("the trainer ran for more than {seconds} s and was ended; last lines of {log}:\n{tail}")]
    TrainerTimeout {
        /// Seconds allowed.
        seconds: f64,
        /// Everything it wrote.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
    /// The trainer reported success without leaving predictions.
    #[error("the trainer left no usable predictions at {path}: {reason}; last lines of {log}:\n{tail}")]
    MissingOutput {
        /// Where predictions were expected.
        path: PathBuf,
        /// What was found there.
        reason: &'static str,
        /// Everything it wrote.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
    /// A value that the vocabulary refuses.
    #[error(transparent)]
    Core(#[from] labelloop_core::CoreError),
    /// A picture that could not be read.
    #[error(transparent)]
    Media(#[from] labelloop_media::MediaError),
}

fn exit_text(code: Option<i32>) -> String {
    code.map_or_else(|| "a signal".to_owned(), |c| format!("exit code {c}"))
}

/// Result with [`TrainError`].
pub type Result<T, E = TrainError> = std::result::Result<T, E>;
