use std::fmt;

use serde::Serialize;

use super::accumulate::{detection_score, mean_of};
use super::{FilterCounts, FilterReason, NuscenesParams};

/// Means of the five errors of true positives; nothing where undefined.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct TpMeans {
    /// ATE in metres.
    pub translation: Option<f64>,
    /// ASE, 1 less overlap.
    pub scale: Option<f64>,
    /// AOE in radians.
    pub orientation: Option<f64>,
    /// AVE in metres a second.
    pub velocity: Option<f64>,
    /// AAE, 1 less accuracy.
    pub attribute: Option<f64>,
}

impl TpMeans {
    /// The names of the errors in the order of [`TpMeans::to_array`].
    pub const NAMES: [&str; 5] = ["ATE", "ASE", "AOE", "AVE", "AAE"];

    /// In the order ATE, ASE, AOE, AVE, AAE.
    pub fn to_array(self) -> [Option<f64>; 5] {
        [self.translation, self.scale, self.orientation, self.velocity, self.attribute]
    }

    /// Means of each error over the classes that define it.
    pub(super) fn over(classes: &[Self]) -> Self {
        let mean = |which: usize| mean_of(&classes.iter().map(|c| c.to_array()[which]).collect::<Vec<_>>());
        Self {
            translation: mean(0),
            scale: mean(1),
            orientation: mean(2),
            velocity: mean(3),
            attribute: mean(4),
        }
    }
}

/// Precision and confidence at one distance, at recalls 0, .01 … 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curve {
    /// Distance in metres below which a label is found.
    pub distance: f64,
    /// Precision, linear between detections and 0 beyond the highest recall.
    pub precision: Vec<f64>,
    /// Score at which the recall is reached, likewise.
    pub confidence: Vec<f64>,
}

/// Running means of the errors of matches at recalls 0, .01 … 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorCurves {
    /// Of ATE.
    pub translation: Vec<f64>,
    /// Of ASE.
    pub scale: Vec<f64>,
    /// Of AOE.
    pub orientation: Vec<f64>,
    /// Of AVE.
    pub velocity: Vec<f64>,
    /// Of AAE.
    pub attribute: Vec<f64>,
}

impl ErrorCurves {
    pub(super) fn new(read: impl Fn(usize) -> Vec<f64>) -> Self {
        Self {
            translation: read(0),
            scale: read(1),
            orientation: read(2),
            velocity: read(3),
            attribute: read(4),
        }
    }
}

/// What the protocol says about one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassResult {
    /// Name.
    pub name: String,
    /// Average precision, mean over distances.
    pub ap: Option<f64>,
    /// The same for each distance.
    pub ap_by_distance: Vec<Option<f64>>,
    /// Errors of true positives.
    pub tp_errors: TpMeans,
    /// Labels that count.
    pub n_labels: u64,
    /// Detections that count, in a slice those that do at [`NuscenesParams::tp_distance`].
    pub n_detections: u64,
    /// Labels found at each distance.
    pub n_matched: Vec<u64>,
    /// Labels left out.
    pub filtered_labels: FilterCounts,
    /// Detections left out.
    pub filtered_detections: FilterCounts,
    /// Curves, one for each distance.
    pub curves: Vec<Curve>,
    /// Errors over recall, at [`NuscenesParams::tp_distance`].
    pub error_curves: ErrorCurves,
}

/// Something that may make the numbers mean less than they seem to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum NuscenesWarning {
    /// One filter left out more than nine in ten of all labels or detections.
    FilteredMost {
        /// `labels` or `detections`.
        what: &'static str,
        /// The filter.
        reason: FilterReason,
        /// Boxes that it left out.
        n_filtered: u64,
        /// Boxes there were.
        n_boxes: u64,
    },
    /// Samples had more detections than allowed; the best were kept.
    Cut {
        /// Detections left out.
        n_detections: u64,
    },
    /// Classes without a label that counts. They have an average precision of 0 and errors of 1 in all means, unless
    /// [`super::AbsentClasses::LeaveOut`] is asked for.
    WithoutLabels {
        /// Their names.
        classes: Vec<String>,
    },
}

impl fmt::Display for NuscenesWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FilteredMost { what, reason, n_filtered, n_boxes } => {
                let why = match reason {
                    FilterReason::TooMany => "one too many in their sample",
                    FilterReason::OutOfRange => "beyond the range of their class",
                    FilterReason::NoPoints => "without a lidar or radar point",
                    FilterReason::BikeRack => "in a bicycle rack",
                };
                write!(f, "{n_filtered} of {n_boxes} {what} are left out: {why}")
            }
            Self::Cut { n_detections } => {
                write!(f, "{n_detections} detections are left out: their samples have more than allowed")
            }
            Self::WithoutLabels { classes } => {
                write!(f, "no label that counts of {}", classes.join(", "))
            }
        }
    }
}

/// What nuScenes' protocol says about a detector. Printing gives a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NuscenesResult {
    /// What was evaluated, without the order of samples.
    pub params: NuscenesParams,
    /// Mean average precision over classes and distances. Nothing where no class counts.
    pub mean_ap: Option<f64>,
    /// The nuScenes detection score. Nothing where no class counts.
    pub nds: Option<f64>,
    /// Means of the errors over the classes that define them.
    pub tp_errors: TpMeans,
    /// Classes in the order of their numbers.
    pub classes: Vec<ClassResult>,
    /// Samples evaluated.
    pub n_samples: usize,
    /// What to look at before believing the numbers.
    pub warnings: Vec<NuscenesWarning>,
}

impl NuscenesResult {
    pub(super) fn new(params: NuscenesParams, classes: Vec<ClassResult>, n_samples: usize) -> Self {
        let mean_ap = mean_of(&classes.iter().map(|class| class.ap).collect::<Vec<_>>());
        let tp_errors = TpMeans::over(&classes.iter().map(|class| class.tp_errors).collect::<Vec<_>>());
        let nds = mean_ap.map(|ap| detection_score(ap, &tp_errors, params.ap_weight));
        let warnings = warnings(&classes);
        Self { params, mean_ap, nds, tp_errors, classes, n_samples, warnings }
    }

    /// The result of a class by its name.
    pub fn class(&self, name: &str) -> Option<&ClassResult> {
        self.classes.iter().find(|class| class.name == name)
    }
}

fn warnings(classes: &[ClassResult]) -> Vec<NuscenesWarning> {
    let mut warnings = Vec::new();
    let (mut labels, mut detections) = (FilterCounts::default(), FilterCounts::default());
    let (mut n_labels, mut n_detections) = (0, 0);
    for class in classes {
        labels.add(&class.filtered_labels);
        detections.add(&class.filtered_detections);
        n_labels += class.n_labels + class.filtered_labels.total();
        n_detections += class.n_detections + class.filtered_detections.total();
    }
    for (what, counts, n_boxes) in [("labels", labels, n_labels), ("detections", detections, n_detections)] {
        for reason in FilterReason::ALL {
            let n_filtered = counts.of(reason);
            if 9 * n_boxes < 10 * n_filtered {
                warnings.push(NuscenesWarning::FilteredMost { what, reason, n_filtered, n_boxes });
            }
        }
    }
    if 0 < detections.too_many {
        warnings.push(NuscenesWarning::Cut { n_detections: detections.too_many });
    }
    let absent = classes.iter().filter(|class| class.n_labels == 0).map(|class| class.name.clone());
    let absent: Vec<String> = absent.collect();
    if !absent.is_empty() {
        warnings.push(NuscenesWarning::WithoutLabels { classes: absent });
    }
    warnings
}

impl fmt::Display for NuscenesResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
        writeln!(f, "mAP {}  NDS {}", number(self.mean_ap), number(self.nds))?;
        let errors = TpMeans::NAMES.iter().zip(self.tp_errors.to_array());
        let errors: Vec<String> = errors.map(|(name, v)| format!("m{name} {}", number(v))).collect();
        writeln!(f, "{}\n", errors.join("  "))?;
        let width = self.classes.iter().map(|c| c.name.chars().count()).max().unwrap_or(0).max(5);
        write!(f, "{:<width$}  {:>7}  {:>6}", "class", "labels", "AP")?;
        let distances = self.params.distances.iter().map(|d| format!("AP@{d}"));
        for name in distances.chain(TpMeans::NAMES.map(str::to_owned)) {
            write!(f, "  {name:>6}")?;
        }
        for class in &self.classes {
            write!(f, "\n{:<width$}  {:>7}  {:>6}", class.name, class.n_labels, number(class.ap))?;
            for value in class.ap_by_distance.iter().copied().chain(class.tp_errors.to_array()) {
                write!(f, "  {:>6}", number(value))?;
            }
        }
        writeln!(f)
    }
}
