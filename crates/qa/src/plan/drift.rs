use std::fmt;

use serde::{Deserialize, Serialize};

use super::AnnotatorModel;
use crate::Statistic;

/// One way in which labelling changes, and by how much.
///
/// ```
/// use labelloop_qa::{AnnotatorModel, LabelDrift, Statistic};
///
/// let usual = AnnotatorModel::default();
/// let drifted = LabelDrift::Missed(0.05).on(&usual);
/// assert_eq!((drifted.miss, drifted.miss_small), (usual.miss + 0.05, usual.miss_small + 0.05));
/// assert_eq!(LabelDrift::Shrunk(0.05).on(&usual).scale, 0.95);
/// assert_eq!(LabelDrift::Swapped(0.1).statistics(), [Statistic::WrongClass]);
/// assert_eq!(LabelDrift::Spurious(0.08).to_string(), "spurious 8%");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LabelDrift {
    /// More objects are given another class, by this share.
    Swapped(f64),
    /// Both sides of every box are shorter by this share.
    Shrunk(f64),
    /// More boxes without an object, by this many per object.
    Spurious(f64),
    /// Every centre moves right and down, by this share of the box's sides.
    Shifted(f64),
    /// More objects are missed, by this share of all.
    Missed(f64),
    /// More small objects are missed, by this share of the small ones.
    MissedSmall(f64),
    /// More images come back empty, by this share.
    LeftEmpty(f64),
}

impl LabelDrift {
    /// Drifts that do harm: a set that is worth its name finds them at once.
    pub const STRONG: [Self; 7] = [
        Self::Swapped(0.10),
        Self::Shrunk(0.05),
        Self::Spurious(0.08),
        Self::Shifted(0.04),
        Self::Missed(0.05),
        Self::MissedSmall(0.15),
        Self::LeftEmpty(0.05),
    ];

    /// Drifts near the margins, which take some rounds to be sure of.
    pub const WEAK: [Self; 6] = [
        Self::Swapped(0.05),
        Self::Shrunk(0.01),
        Self::MissedSmall(0.10),
        Self::Missed(0.025),
        Self::Spurious(0.032),
        Self::Shifted(0.01),
    ];

    /// How people label who usually do as `model` says, once they drift. Shares stay at most 1.
    pub fn on(self, model: &AnnotatorModel) -> AnnotatorModel {
        let more = |rate: f64, by: f64| (rate + by).clamp(0.0, 1.0);
        let m = *model;
        match self {
            Self::Swapped(by) => AnnotatorModel { swap: more(m.swap, by), ..m },
            Self::Shrunk(by) => AnnotatorModel { scale: m.scale * (1.0 - by), ..m },
            Self::Spurious(by) => AnnotatorModel { spurious: more(m.spurious, by), ..m },
            Self::Shifted(by) => AnnotatorModel { shift: m.shift + by, ..m },
            Self::Missed(by) => {
                AnnotatorModel { miss: more(m.miss, by), miss_small: more(m.miss_small, by), ..m }
            }
            Self::MissedSmall(by) => AnnotatorModel { miss_small: more(m.miss_small, by), ..m },
            Self::LeftEmpty(by) => AnnotatorModel { empty: more(m.empty, by), ..m },
        }
    }

    /// The statistics that name it: any of them is right.
    pub fn statistics(self) -> &'static [Statistic] {
        match self {
            Self::Swapped(_) => &[Statistic::WrongClass],
            Self::Shrunk(_) => &[Statistic::LogSize],
            Self::Spurious(_) => &[Statistic::Spurious],
            Self::Shifted(_) => &[Statistic::ShiftX, Statistic::ShiftY],
            Self::Missed(_) => &[Statistic::Missed],
            Self::MissedSmall(_) => &[Statistic::MissedSmall],
            Self::LeftEmpty(_) => &[Statistic::LeftEmpty],
        }
    }

    /// How strong it is, as a share.
    pub fn strength(self) -> f64 {
        match self {
            Self::Swapped(by)
            | Self::Shrunk(by)
            | Self::Spurious(by)
            | Self::Shifted(by)
            | Self::Missed(by)
            | Self::MissedSmall(by)
            | Self::LeftEmpty(by) => by,
        }
    }
}

impl fmt::Display for LabelDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Swapped(_) => "classes swapped",
            Self::Shrunk(_) => "sides shrunk",
            Self::Spurious(_) => "spurious",
            Self::Shifted(_) => "centres shifted",
            Self::Missed(_) => "missed",
            Self::MissedSmall(_) => "small ones missed",
            Self::LeftEmpty(_) => "images left empty",
        };
        // Tenths of a percent, without the noise of the multiplication.
        let percent = (1000.0 * self.strength()).round() / 10.0;
        f.pad(&format!("{name} {percent}%"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drift_changes_a_model_that_stays_valid() {
        let usual = AnnotatorModel::default();
        for drift in LabelDrift::STRONG.into_iter().chain(LabelDrift::WEAK) {
            let drifted = drift.on(&usual);
            assert_ne!(drifted, usual, "{drift}");
            assert!(drifted.check().is_ok(), "{drift}");
        }
    }

    #[test]
    fn shares_stay_shares() {
        let usual = AnnotatorModel::default();
        assert!(LabelDrift::Missed(5.0).on(&usual).check().is_ok());
        assert!(LabelDrift::Shrunk(1.5).on(&usual).check().is_err(), "sides below nothing are refused");
    }

    #[test]
    fn names_say_how_strong() {
        assert_eq!(LabelDrift::Spurious(0.032).to_string(), "spurious 3.2%");
        assert_eq!(LabelDrift::LeftEmpty(0.05).to_string(), "images left empty 5%");
    }
}
