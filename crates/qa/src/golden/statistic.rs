use std::fmt;

use serde::{Deserialize, Serialize};

/// What is counted or measured in every image or scan of a round against the reference.
///
/// Of both [boxes](Statistic::BOXES) and [cuboids](Statistic::CUBOIDS):
///
/// | statistic | value | per |
/// |---|---|---|
/// | missed | reference objects without a label | reference object |
/// | spurious | labels without a reference object | reference object |
/// | wrong class | matched labels of another class | matched label |
/// | left empty | samples with objects that came back without a label | sample with objects |
///
/// Of boxes:
///
/// | statistic | value | per |
/// |---|---|---|
/// | missed small | missed objects that are small | reference object of any size |
/// | log size | half the log of box area over reference area, signed | matched box |
/// | IoU loss | one minus IoU | matched box |
/// | shift x, y | centre minus reference centre over the reference's side, signed | matched box |
///
/// Of cuboids, lengths in metres and angles in radians, in the frame of the point cloud (x forward, y left, z up):
///
/// | statistic | value | per |
/// |---|---|---|
/// | flipped | heading more than a quarter turn off | matched cuboid |
/// | log size | a third of the log of volume over reference volume, signed | matched cuboid |
/// | size loss | one minus IoU once centres and headings are made equal (nuScenes' scale error) | matched cuboid |
/// | shift x, y, z | centre minus reference centre along the sensor's axes, signed | matched cuboid |
/// | shift along, across | the same along and to the left of the reference's heading, signed | matched cuboid |
/// | distance | between the centres on the ground (nuScenes' translation error) | matched cuboid |
/// | yaw | yaw minus reference yaw up to half turns, in `[-pi/2, pi/2)`, signed | matched cuboid |
/// | yaw error | its size, without the sign | matched cuboid |
///
/// A wrong transform shifts everything along the sensor's axes; a habit of the hand shifts along the axes of the
/// objects, which turn with them. The nuScenes errors are those of Caesar et al. (2020), section 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Statistic {
    /// Reference objects without a label.
    Missed,
    /// Small reference objects without a box.
    MissedSmall,
    /// Labels without a reference object.
    Spurious,
    /// Matched labels of another class.
    WrongClass,
    /// Matched cuboids that head backwards: more than a quarter turn off.
    Flipped,
    /// Log ratio of sizes, signed: half that of areas, a third of that of volumes.
    LogSize,
    /// One minus IoU of boxes.
    IouLoss,
    /// One minus IoU of cuboids whose centres and headings are made equal.
    SizeLoss,
    /// Shift of the centre: to the right in widths of the reference box, or forward in metres.
    ShiftX,
    /// Shift of the centre: downwards in heights of the reference box, or to the left in metres.
    ShiftY,
    /// Shift of the centre upwards, in metres.
    ShiftZ,
    /// Shift of the centre along the reference's heading, in metres.
    ShiftAlong,
    /// Shift of the centre to the left of the reference's heading, in metres.
    ShiftAcross,
    /// Distance between the centres on the ground, in metres.
    Distance,
    /// Difference of yaw up to half turns, signed, in radians.
    Yaw,
    /// Difference of yaw up to half turns, unsigned, in radians.
    YawError,
    /// Samples wrongly left without any label.
    LeftEmpty,
}

/// Statistics of boxes.
pub(crate) const N_OF_BOXES: usize = 9;
/// Statistics of cuboids.
pub(crate) const N_OF_CUBOIDS: usize = 15;

impl Statistic {
    /// The statistics of boxes, in the order of reports.
    pub const BOXES: [Statistic; N_OF_BOXES] = [
        Statistic::Missed,
        Statistic::MissedSmall,
        Statistic::Spurious,
        Statistic::WrongClass,
        Statistic::LogSize,
        Statistic::IouLoss,
        Statistic::ShiftX,
        Statistic::ShiftY,
        Statistic::LeftEmpty,
    ];

    /// The statistics of cuboids, in the order of reports.
    pub const CUBOIDS: [Statistic; N_OF_CUBOIDS] = [
        Statistic::Missed,
        Statistic::Spurious,
        Statistic::WrongClass,
        Statistic::Flipped,
        Statistic::LogSize,
        Statistic::SizeLoss,
        Statistic::ShiftX,
        Statistic::ShiftY,
        Statistic::ShiftZ,
        Statistic::ShiftAlong,
        Statistic::ShiftAcross,
        Statistic::Distance,
        Statistic::Yaw,
        Statistic::YawError,
        Statistic::LeftEmpty,
    ];

    /// Name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Statistic::Missed => "missed",
            Statistic::MissedSmall => "missed_small",
            Statistic::Spurious => "spurious",
            Statistic::WrongClass => "wrong_class",
            Statistic::Flipped => "flipped",
            Statistic::LogSize => "log_size",
            Statistic::IouLoss => "iou_loss",
            Statistic::SizeLoss => "size_loss",
            Statistic::ShiftX => "shift_x",
            Statistic::ShiftY => "shift_y",
            Statistic::ShiftZ => "shift_z",
            Statistic::ShiftAlong => "shift_along",
            Statistic::ShiftAcross => "shift_across",
            Statistic::Distance => "distance",
            Statistic::Yaw => "yaw",
            Statistic::YawError => "yaw_error",
            Statistic::LeftEmpty => "left_empty",
        }
    }

    /// Whether a move in either direction is drift; for the others only a rise is.
    pub fn is_signed(self) -> bool {
        self.is_shift() || matches!(self, Statistic::LogSize | Statistic::Yaw)
    }

    /// Whether events are counted, as opposed to lengths measured.
    pub fn is_count(self) -> bool {
        matches!(
            self,
            Statistic::Missed
                | Statistic::MissedSmall
                | Statistic::Spurious
                | Statistic::WrongClass
                | Statistic::Flipped
                | Statistic::LeftEmpty
        )
    }

    /// Whether it is a signed shift of the centre along some axis.
    pub(crate) fn is_shift(self) -> bool {
        matches!(
            self,
            Statistic::ShiftX
                | Statistic::ShiftY
                | Statistic::ShiftZ
                | Statistic::ShiftAlong
                | Statistic::ShiftAcross
        )
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_in_json() {
        for s in Statistic::BOXES.into_iter().chain(Statistic::CUBOIDS) {
            assert_eq!(serde_json::to_string(&s).unwrap(), format!("\"{s}\""));
        }
    }

    #[test]
    fn lists_ascend_and_name_nothing_twice() {
        assert!(Statistic::BOXES.is_sorted_by(|a, b| a < b));
        assert!(Statistic::CUBOIDS.is_sorted_by(|a, b| a < b));
    }
}
