use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::input::{Detection, Label};

/// How hard an object is to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difficulty {
    /// At least 40 pixels high, fully visible, at most 15% outside the picture.
    Easy,
    /// At least 25 pixels high, at most partly occluded, at most 30% outside the picture.
    Moderate,
    /// At least 25 pixels high, at most largely occluded, at most 50% outside the picture.
    Hard,
}

impl Difficulty {
    /// All of them, easiest first.
    pub const ALL: [Self; 3] = [Self::Easy, Self::Moderate, Self::Hard];

    /// `easy`, `moderate` or `hard`.
    pub fn name(self) -> &'static str {
        ["easy", "moderate", "hard"][self as usize]
    }

    /// Pixels from top to bottom from which an object counts.
    ///
    /// ```
    /// use labelloop_eval::kitti::Difficulty;
    ///
    /// assert_eq!(Difficulty::ALL.map(Difficulty::min_height), [40.0, 25.0, 25.0]);
    /// assert_eq!(Difficulty::ALL.map(Difficulty::max_occlusion), [0, 1, 2]);
    /// assert_eq!(Difficulty::ALL.map(Difficulty::max_truncation), [0.15, 0.3, 0.5]);
    /// ```
    pub fn min_height(self) -> f64 {
        [40.0, 25.0, 25.0][self as usize]
    }

    /// Occlusion up to which a label counts.
    pub fn max_occlusion(self) -> i32 {
        [0, 1, 2][self as usize]
    }

    /// Truncation up to which a label counts.
    pub fn max_truncation(self) -> f64 {
        [0.15, 0.3, 0.5][self as usize]
    }
}

/// What makes labels and detections count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BoxFilter {
    /// KITTI's rules by height, occlusion and truncation. What has no box in the picture does not count.
    #[default]
    Official,
    /// Everything counts, so that all difficulties are the same: for point clouds without pictures.
    None,
}

/// Why a label or a detection counts neither for nor against the detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FilterReason {
    /// A label of a neighbour class.
    Neighbour,
    /// It has no box in the picture, and the filter or the metric asks for one.
    NoBox2d,
    /// Its box in the picture is too low.
    BelowMinHeight,
    /// The label is occluded too much.
    Occluded,
    /// Too much of the labelled object lies outside the picture.
    Truncated,
    /// The label has no cuboid, and the metric asks for one.
    NoCuboid,
    /// The label is not of the slice.
    OutsideSlice,
}

impl FilterReason {
    pub(super) const ALL: [Self; 7] = [
        Self::Neighbour,
        Self::NoBox2d,
        Self::BelowMinHeight,
        Self::Occluded,
        Self::Truncated,
        Self::NoCuboid,
        Self::OutsideSlice,
    ];
}

impl fmt::Display for FilterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Neighbour => "of a neighbour class",
            Self::NoBox2d => "without a 2D box",
            Self::BelowMinHeight => "below the minimum height",
            Self::Occluded => "occluded",
            Self::Truncated => "truncated",
            Self::NoCuboid => "without a cuboid",
            Self::OutsideSlice => "outside the slice",
        })
    }
}

/// How many labels or detections of a class do not count at a difficulty, by reason. The first reason that applies is given,
/// in the order of [`FilterReason`]; `NoCuboid` concerns bird's-eye views and cuboids alone.
pub type FilterCounts = BTreeMap<FilterReason, u64>;

/// What a name means to a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Own,
    Neighbour,
    Other,
}

/// What a label or a detection is to a class at a difficulty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It counts.
    Counts,
    /// It may be matched, and counts neither way.
    Ignored(FilterReason),
    /// It takes no part.
    Absent,
}

/// Whether the label counts by its class, then by the filter, then by what the overlap needs.
pub(super) fn of_label(
    label: &Label,
    role: Role,
    filter: BoxFilter,
    difficulty: Difficulty,
    overlap: usize,
    is_outside: bool,
) -> Standing {
    let reason = match role {
        Role::Other => return Standing::Absent,
        Role::Neighbour => Some(FilterReason::Neighbour),
        Role::Own => None,
    };
    let reason = reason
        .or_else(|| (filter == BoxFilter::Official).then(|| official(label, difficulty)).flatten())
        .or_else(|| match overlap {
            0 => label.bbox.is_none().then_some(FilterReason::NoBox2d),
            _ => label.cuboid.is_none().then_some(FilterReason::NoCuboid),
        })
        .or_else(|| is_outside.then_some(FilterReason::OutsideSlice));
    reason.map_or(Standing::Counts, Standing::Ignored)
}

fn official(label: &Label, difficulty: Difficulty) -> Option<FilterReason> {
    let Some(bbox) = label.bbox else { return Some(FilterReason::NoBox2d) };
    if bbox.height() < difficulty.min_height() {
        return Some(FilterReason::BelowMinHeight);
    }
    if difficulty.max_occlusion() < label.occlusion {
        return Some(FilterReason::Occluded);
    }
    (difficulty.max_truncation() < label.truncation).then_some(FilterReason::Truncated)
}

/// A detection that is too low is ignored whatever its class, so that a label may fall to one of another class: the
/// development kit looks at the height first.
pub(super) fn of_detection(
    detection: &Detection,
    is_own: bool,
    filter: BoxFilter,
    difficulty: Difficulty,
) -> Standing {
    if filter == BoxFilter::Official {
        match detection.bbox {
            Some(bbox) if bbox.height() < difficulty.min_height() => {
                return Standing::Ignored(FilterReason::BelowMinHeight);
            }
            None if is_own => return Standing::Ignored(FilterReason::NoBox2d),
            _ => {}
        }
    }
    if is_own { Standing::Counts } else { Standing::Absent }
}

#[cfg(test)]
mod tests {
    use labelloop_core::BBox;

    use super::*;

    fn high(pixels: f64) -> Option<BBox> {
        Some(BBox::from_corners(0.0, 100.0, 30.0, 100.0 + pixels).unwrap())
    }

    fn label(pixels: f64, occlusion: i32, truncation: f64) -> Label {
        Label { occlusion, truncation, ..Label::new("Car", high(pixels), None) }
    }

    fn easy(label: &Label) -> Standing {
        of_label(label, Role::Own, BoxFilter::Official, Difficulty::Easy, 0, false)
    }

    #[test]
    fn limits_themselves_count() {
        assert_eq!(easy(&label(40.0, 0, 0.15)), Standing::Counts);
        assert_eq!(easy(&label(39.99, 0, 0.15)), Standing::Ignored(FilterReason::BelowMinHeight));
        assert_eq!(easy(&label(40.0, 1, 0.15)), Standing::Ignored(FilterReason::Occluded));
        assert_eq!(easy(&label(40.0, 0, 0.16)), Standing::Ignored(FilterReason::Truncated));
        assert_eq!(easy(&label(40.0, -1, -1.0)), Standing::Counts, "unknown passes");
    }

    #[test]
    fn difficulties_ask_for_less_and_less() {
        let at = |label: &Label| {
            Difficulty::ALL
                .map(|d| of_label(label, Role::Own, BoxFilter::Official, d, 0, false) == Standing::Counts)
        };
        assert_eq!(at(&label(25.0, 0, 0.0)), [false, true, true]);
        assert_eq!(at(&label(50.0, 2, 0.0)), [false, false, true]);
        assert_eq!(at(&label(50.0, 3, 0.0)), [false, false, false]);
        assert_eq!(at(&label(50.0, 0, 0.3)), [false, true, true]);
    }

    #[test]
    fn classes_come_first_and_missing_boxes_have_a_reason() {
        let filter = BoxFilter::Official;
        let small = label(1.0, 0, 0.0);
        let of =
            |label, role, filter, overlap| of_label(label, role, filter, Difficulty::Hard, overlap, false);
        assert_eq!(of(&small, Role::Other, filter, 0), Standing::Absent);
        assert_eq!(of(&small, Role::Neighbour, filter, 0), Standing::Ignored(FilterReason::Neighbour));
        let bare = Label::new("Car", None, None);
        assert_eq!(of(&bare, Role::Own, filter, 1), Standing::Ignored(FilterReason::NoBox2d));
        assert_eq!(of(&bare, Role::Own, BoxFilter::None, 0), Standing::Ignored(FilterReason::NoBox2d));
        assert_eq!(of(&bare, Role::Own, BoxFilter::None, 1), Standing::Ignored(FilterReason::NoCuboid));
        assert_eq!(of(&small, Role::Own, BoxFilter::None, 0), Standing::Counts);
        let outside = of_label(&small, Role::Own, BoxFilter::None, Difficulty::Easy, 0, true);
        assert_eq!(outside, Standing::Ignored(FilterReason::OutsideSlice));
    }

    #[test]
    fn low_detections_are_ignored_whatever_their_class() {
        let low = Detection::new("Tram", high(39.0), None, 1.0);
        let of = |d, is_own, difficulty| of_detection(d, is_own, BoxFilter::Official, difficulty);
        assert_eq!(of(&low, false, Difficulty::Easy), Standing::Ignored(FilterReason::BelowMinHeight));
        assert_eq!(of(&low, false, Difficulty::Hard), Standing::Absent);
        assert_eq!(of(&low, true, Difficulty::Hard), Standing::Counts);
        let bare = Detection::new("Car", None, None, 1.0);
        assert_eq!(of(&bare, true, Difficulty::Hard), Standing::Ignored(FilterReason::NoBox2d));
        assert_eq!(of(&bare, false, Difficulty::Hard), Standing::Absent);
        assert_eq!(of_detection(&bare, true, BoxFilter::None, Difficulty::Easy), Standing::Counts);
    }

    #[test]
    fn words_are_those_of_the_files() {
        assert_eq!(serde_json::to_string(&FilterReason::NoBox2d).unwrap(), "\"no_box2d\"");
        assert_eq!(Difficulty::ALL.map(Difficulty::name), ["easy", "moderate", "hard"]);
        assert!(FilterReason::ALL.windows(2).all(|p| p[0] < p[1]));
        assert_eq!(FilterReason::Occluded.to_string(), "occluded");
    }
}
