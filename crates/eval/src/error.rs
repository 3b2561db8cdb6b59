/// What an evaluation refuses, with the value found, what was expected and where.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A parameter outside its range.
    #[error("{name} is {found}: expected {expected}")]
    InvalidParam {
        /// The parameter.
        name: &'static str,
        /// The value found.
        found: f64,
        /// What it should have been.
        expected: &'static str,
    },
    /// A value that the vocabulary refuses.
    #[error(transparent)]
    Core(#[from] labelloop_core::CoreError),
    /// Two cuboids whose numbers are not in one frame.
    #[error("cuboids are in the frames {first:?} and {second:?}: expected one frame")]
    MixedFrames {
        /// Frame of the first one.
        first: labelloop_core::CuboidFrame,
        /// Frame of the second one.
        second: labelloop_core::CuboidFrame,
    },
    /// A list of parameters without an entry.
    #[error("{name} is empty: expected at least one entry")]
    EmptyParam {
        /// The parameter.
        name: &'static str,
    },
    /// A list of thresholds that does not ascend.
    #[error("{name} goes from {before} to {after}: expected ascending numbers")]
    Unsorted {
        /// The parameter.
        name: &'static str,
        /// The entry that came first.
        before: f64,
        /// The entry after it.
        after: f64,
    },
    /// An area range that holds nothing, or a name used twice.
    #[error("area range {label:?} from {min} to {max}: expected a distinct name and 0 <= min <= max")]
    InvalidAreaRange {
        /// Name of the range.
        label: String,
        /// Lower end in square pixels.
        min: f64,
        /// Upper end in square pixels.
        max: f64,
    },
    /// A class number that the schema does not hold.
    #[error("image {image}, {what} {index}: class {found}, expected a number below {n_classes}")]
    ClassOutOfRange {
        /// The image.
        image: String,
        /// `label` or `detection`.
        what: &'static str,
        /// Its place in the image, from 0.
        index: usize,
        /// The class number found.
        found: u32,
        /// Number of classes of the evaluation.
        n_classes: usize,
    },
    /// A row of a table that names a picture or class beyond those there are.
    #[error("{what} {index}: {field} {found}, expected a number below {end}")]
    RowOutOfRange {
        /// `label` or `detection`.
        what: &'static str,
        /// The row's place in its table, from 0.
        index: usize,
        /// `image` or `class`.
        field: &'static str,
        /// The number found.
        found: u32,
        /// How many there are.
        end: usize,
    },
    /// More rows than can be numbered.
    #[error("a table of {found} rows: expected less than 2^32")]
    TooManyRows {
        /// Number of rows.
        found: usize,
    },
    /// A stated area that is no area.
    #[error("image {image}, label {index}: area {found}, expected a finite number of at least 0")]
    InvalidArea {
        /// The image.
        image: String,
        /// The label's place in the image, from 0.
        index: usize,
        /// The value found.
        found: f64,
    },
    /// The same image twice.
    #[error("image {image} occurs more than once: expected distinct images")]
    DuplicateImage {
        /// The image.
        image: String,
    },
    /// Partial results that were made with different parameters.
    #[error("partial results differ in {what}: expected the same for all shards")]
    IncompatiblePartials {
        /// What differs.
        what: &'static str,
    },
    /// A stored partial result whose parts contradict each other.
    #[error("partial result of image {image} is damaged: {what}")]
    DamagedPartial {
        /// The image.
        image: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An IoU threshold that the partial results were not computed for.
    #[error("IoU threshold {found} is not among those evaluated, {known:?}")]
    UnknownThreshold {
        /// The threshold asked for.
        found: f64,
        /// The thresholds there are.
        known: Vec<f64>,
    },
    /// An image without a group.
    #[error("image {image} has no group: expected one for each image")]
    MissingGroup {
        /// The image.
        image: String,
    },
    /// Two detectors that were not evaluated on the same images and labels.
    #[error("image {image} differs between the two detectors: expected the same images and labels")]
    DifferentImages {
        /// The first image that differs.
        image: String,
    },
    /// A list of one picture that should have had an entry for each of its labels.
    #[error("{name} of image {image} has {found} entries: expected {expected}, one for each label")]
    LabelValues {
        /// The list.
        name: String,
        /// The image.
        image: String,
        /// Entries found.
        found: usize,
        /// Entries expected.
        expected: usize,
    },
    /// A number of an object that is NaN or infinite.
    #[error("image {image}, {what} {index}: {field} is {found}, expected a finite number")]
    NotFinite {
        /// The image.
        image: String,
        /// `label` or `detection`.
        what: &'static str,
        /// Its place in the image, from 0.
        index: usize,
        /// The number's name.
        field: &'static str,
        /// The value found.
        found: f64,
    },
    /// A class that cannot be evaluated.
    #[error("class {found:?}: expected {expected}")]
    InvalidClass {
        /// Its name.
        found: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// A class that is not among those evaluated.
    #[error("class {found:?} is not evaluated: expected one of {known:?}")]
    UnknownClass {
        /// The class asked for.
        found: String,
        /// The classes there are.
        known: Vec<String>,
    },
    /// Two lists that should have been as long as each other.
    #[error("{name} has {found} entries: expected {expected}")]
    Length {
        /// The list.
        name: &'static str,
        /// Entries found.
        found: usize,
        /// Entries expected.
        expected: usize,
    },
    /// A score that nothing can be ranked by.
    #[error("sample {image}, detection {index}: score {found}, expected a finite number of at least 0")]
    InvalidScore {
        /// The sample.
        image: String,
        /// The detection's place in the sample, from 0.
        index: usize,
        /// The score found.
        found: f64,
    },
    /// More detections in a sample than the protocol allows.
    #[error("sample {image}: {found} detections, expected at most {max}")]
    TooManyBoxes {
        /// The sample.
        image: String,
        /// Detections found.
        found: usize,
        /// Detections allowed.
        max: usize,
    },
    /// A cuboid in a frame that the evaluation cannot compare it in.
    #[error("sample {image}, {what} {index}: a cuboid in frame {found:?}, expected {expected}")]
    WrongFrame {
        /// The sample.
        image: String,
        /// `label` or `detection`.
        what: &'static str,
        /// Its place in the sample, from 0.
        index: usize,
        /// The frame found.
        found: labelloop_core::CuboidFrame,
        /// What it should have been.
        expected: &'static str,
    },
    /// A box on the map without its place as seen from the vehicle, where boxes beyond a range are to be left out.
    #[error(
        "sample {image}, {what} {index}: distance from the vehicle is unknown, expected a translation from it, boxes in \
         its frame, or no filter by range"
    )]
    UnknownRange {
        /// The sample.
        image: String,
        /// `label` or `detection`.
        what: &'static str,
        /// Its place in the sample, from 0.
        index: usize,
    },
    /// A distance that is not evaluated.
    #[error("distance {found} is not among those evaluated, {known:?}")]
    UnknownDistance {
        /// The distance asked for.
        found: f64,
        /// The distances there are.
        known: Vec<f64>,
    },
}

/// Result with [`EvalError`].
pub type Result<T, E = EvalError> = std::result::Result<T, E>;

/// Refuses numbers outside `[0, 1]`, NaN among them.
pub(crate) fn check_share(name: &'static str, found: f64) -> Result<()> {
    if (0.0..=1.0).contains(&found) {
        return Ok(());
    }
    Err(EvalError::InvalidParam { name, found, expected: "a number from 0 to 1" })
}

/// Refuses IoU thresholds outside `(0, 1]`, NaN among them.
pub(crate) fn check_iou(found: f64) -> Result<()> {
    if 0.0 < found && found <= 1.0 {
        return Ok(());
    }
    Err(EvalError::InvalidParam { name: "iou", found, expected: "a number above 0 and up to 1" })
}
