use std::fmt;

use serde::{Deserialize, Serialize};

use super::filter::{Difficulty, FilterReason};

/// Which objects a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filtered {
    /// What people marked.
    Labels,
    /// What the detector proposes.
    Detections,
}

/// Something about the data that makes numbers mean less than they seem to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum KittiWarning {
    /// The filter leaves next to nothing of a class, even at the difficulty that asks for least.
    FilterRemovesMost {
        /// The class.
        class: String,
        /// What is removed.
        what: Filtered,
        /// How many do not count at any difficulty.
        removed: u64,
        /// How many there are.
        of: u64,
        /// The most frequent reason.
        reason: FilterReason,
    },
    /// Fewer labels than the curve has slots: not even a perfect detector reaches 100.
    FewLabels {
        /// The class.
        class: String,
        /// The difficulty.
        difficulty: Difficulty,
        /// Labels to find.
        n_valid: u64,
        /// The most there is to reach over eleven recalls, in percent.
        most_r11: f64,
        /// The most there is to reach over forty recalls, in percent.
        most_r40: f64,
    },
    /// No orientation similarity, because some objects of the class have no angle and others do.
    NoOrientation {
        /// The class.
        class: String,
        /// Labels without an angle.
        n_labels: u64,
        /// Detections without an angle.
        n_detections: u64,
    },
    /// No precision of bird's-eye views and cuboids, because no detection of the class has a cuboid.
    NoCuboids {
        /// The class.
        class: String,
        /// Its detections.
        n_detections: u64,
    },
}

impl fmt::Display for KittiWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FilterRemovesMost { class, what, removed, of, reason } => {
                let what = match what {
                    Filtered::Labels => "labels",
                    Filtered::Detections => "detections",
                };
                write!(f, "{class}: {removed} of {of} {what} count at no difficulty, most of them {reason}")
            }
            Self::FewLabels { class, difficulty, n_valid, most_r11, most_r40 } => {
                let difficulty = difficulty.name();
                write!(
                    f,
                    "{class}, {difficulty}: {n_valid} labels to find, less than 41: no detector exceeds {most_r40:.2} (R40) or \
                     {most_r11:.2} (R11)"
                )
            }
            Self::NoOrientation { class, n_labels, n_detections } => {
                write!(
                    f,
                    "{class}: no orientation similarity: {n_labels} labels and {n_detections} detections have no angle"
                )
            }
            Self::NoCuboids { class, n_detections } => {
                write!(f, "{class}: none of {n_detections} detections has a cuboid")
            }
        }
    }
}
