use std::fmt;

use labelloop_core::{SampleId, SliceKind};
use serde::{Deserialize, Serialize};

use super::parts::{is_mostly_unanswered, names};
use super::{Attribution, Statistic};
use crate::LabelTotals;

/// What a golden check concludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Nothing moved, and a drift of `pass_multiple` margins would have been found.
    Pass,
    /// Something moved within its margin, or beyond it without being significant yet.
    Warn,
    /// Something moved beyond its margin, significantly.
    Fail,
    /// Nothing was found, and the reasons say why that means little.
    Inconclusive,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Pass => "PASS",
            Verdict::Warn => "WARN",
            Verdict::Fail => "FAIL",
            Verdict::Inconclusive => "INCONCLUSIVE",
        })
    }
}

/// What was tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// Which of the rounds is the current one is exchangeable within each image.
    Exchange,
    /// Without calibration rounds: signed values are symmetric about zero within each image, the others about their
    /// margin.
    SignFlip,
}

/// Something a reader of the verdict has to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum Note {
    /// The reference marks no object: there is nothing to miss.
    NoReferenceObjects,
    /// The round repeats the reference to the last bit: it was copied, and a copy cannot drift.
    CopyOfReference,
    /// The round repeats a calibration round to the last bit.
    CopyOfCalibration {
        /// Which one, from 0.
        calibration_idx: usize,
    },
    /// A calibration round repeats the reference (or an earlier calibration round) and was left out.
    CalibrationLeftOut {
        /// Which one, from 0.
        calibration_idx: usize,
    },
    /// One calibration round cannot show how much rounds differ from each other.
    OneCalibrationRound,
    /// The set is too small to have seen a drift worth reporting.
    TooFewImages {
        /// Which statistic is known least, relative to its margin.
        statistic: Statistic,
        /// The smallest effect that would have been found.
        min_detectable: f64,
        /// What it has to be for a PASS.
        wanted: f64,
        /// Images or scans that would do; none where rounds vary too much for any number.
        images_needed: Option<usize>,
    },
    /// A statistic has nothing to divide by, such as sizes in a round without labels.
    NotMeasured {
        /// Which.
        statistic: Statistic,
    },
    /// One class: classes cannot be confused.
    OneClass,
    /// Samples of the round that were not labelled often enough before to be compared.
    LeftOut {
        /// Which, in order.
        samples: Vec<SampleId>,
    },
    /// Samples that people were shown and that came back without an answer.
    Unanswered {
        /// Samples shown.
        n_shown: usize,
        /// Those without an answer, in order.
        samples: Vec<SampleId>,
    },
}

impl Note {
    /// Whether the note takes a PASS away.
    pub fn refuses_pass(&self) -> bool {
        match self {
            Note::CalibrationLeftOut { .. } | Note::OneClass | Note::LeftOut { .. } => false,
            Note::Unanswered { n_shown, samples } => is_mostly_unanswered(*n_shown, samples.len()),
            _ => true,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::NoReferenceObjects => f.write_str("the reference marks no object"),
            Note::CopyOfReference => {
                f.write_str("the round repeats the reference exactly: copied labels cannot show drift")
            }
            Note::CopyOfCalibration { calibration_idx } => {
                write!(
                    f,
                    "the round repeats calibration round {calibration_idx} exactly: was it labelled anew?"
                )
            }
            Note::CalibrationLeftOut { calibration_idx } => {
                write!(f, "calibration round {calibration_idx} is a copy and was left out")
            }
            Note::OneCalibrationRound => {
                f.write_str("one calibration round cannot show how much rounds differ; add a second")
            }
            Note::TooFewImages { statistic, min_detectable, wanted, images_needed } => {
                write!(
                    f,
                    "the set is too small: {statistic} is seen from {min_detectable:.4} on, wanted {wanted:.4}; "
                )?;
                match images_needed {
                    Some(n) => write!(f, "about {n} samples are needed"),
                    None => f.write_str("rounds vary too much for any number of samples"),
                }
            }
            Note::NotMeasured { statistic } => write!(f, "{statistic} could not be measured in this round"),
            Note::OneClass => f.write_str("one class: classes cannot be confused"),
            Note::LeftOut { samples } => write!(
                f,
                "{} samples were not labelled often enough before to be compared: {}",
                samples.len(),
                names(samples)
            ),
            Note::Unanswered { n_shown, samples } => write!(
                f,
                "{} of {n_shown} samples came back without an answer: {}",
                samples.len(),
                names(samples)
            ),
        }
    }
}

/// What was found for one statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Not significant.
    Quiet,
    /// Significant, within the margin.
    Small,
    /// Beyond the margin, and nearly significant.
    Suspect,
    /// Significant and beyond the margin.
    Drift,
}

/// One row of the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatisticResult {
    /// Which statistic.
    pub statistic: Statistic,
    /// Its rate or mean in the current round; none where there is nothing to divide by.
    pub current: Option<f64>,
    /// The same over the calibration rounds, or 0 without them.
    pub baseline: Option<f64>,
    /// Current minus baseline.
    pub effect: Option<f64>,
    /// Normal interval of the effect with coverage `1 - level`, samples taken as drawn at random.
    pub interval: Option<[f64; 2]>,
    /// What the effect may be without harm.
    pub margin: f64,
    /// Standardised statistic, signed.
    pub z: f64,
    /// p-value, adjusted over all statistics.
    pub p_value: f64,
    /// The smallest true effect that is found with the stated power.
    pub min_detectable: f64,
    /// Standard deviation of one round's rate or mean about what its samples give, where nothing changed; counts are never
    /// known better than one event. 0 in reports written before it was kept.
    #[serde(default)]
    pub sd_round: f64,
    /// What was found.
    pub finding: Finding,
}

/// The result of [`golden_check`](crate::golden_check) and
/// [`golden_check_cuboids`](crate::golden_check_cuboids). `Display` prints it for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoldenReport {
    /// What was labelled: pictures with boxes, or point clouds with cuboids.
    #[serde(default = "pictures")]
    pub kind: SliceKind,
    /// The conclusion.
    pub verdict: Verdict,
    /// What a reader has to know about it.
    pub notes: Vec<Note>,
    /// Family-wise p-value of "nothing changed"; none where nothing could be tested.
    pub p_value: Option<f64>,
    /// What was tested.
    pub design: Design,
    /// Error level of the test.
    pub level: f64,
    /// Rearrangements drawn.
    pub n_permutations: usize,
    /// Images (or scans) of the golden set.
    pub n_images: usize,
    /// Objects of the reference, without crowds.
    pub n_objects: usize,
    /// Calibration rounds used.
    pub n_calibration: usize,
    /// One row per statistic, in the order of [`Statistic::BOXES`] or [`Statistic::CUBOIDS`].
    pub statistics: Vec<StatisticResult>,
    /// Where the drift sits; none where nothing was found.
    pub attribution: Option<Attribution>,
    /// Counts of the reference.
    pub reference: LabelTotals,
    /// Counts of the current round.
    pub current: LabelTotals,
    /// [`label_digest`](crate::label_digest) of the reference.
    pub reference_digest: String,
    /// [`label_digest`](crate::label_digest) of the current round.
    pub current_digest: String,
    /// The same of the calibration rounds used, in the order they were given. Empty in reports written before they were kept.
    #[serde(default)]
    pub calibration_digests: Vec<String>,
}

/// What reports were about before they said so.
fn pictures() -> SliceKind {
    SliceKind::Image
}

impl GoldenReport {
    /// The row of one statistic.
    pub fn statistic(&self, statistic: Statistic) -> Option<&StatisticResult> {
        self.statistics.iter().find(|r| r.statistic == statistic)
    }

    /// The statistic that names what was found.
    pub fn named(&self) -> Option<Statistic> {
        self.attribution.as_ref().map(|a| a.statistic)
    }
}
