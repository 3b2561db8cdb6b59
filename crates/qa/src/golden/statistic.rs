use std::fmt;

use serde::{Deserialize, Serialize};

/// What is counted or measured in every image of a round against the reference.
///
/// | statistic | value | per |
/// |---|---|---|
/// | missed | reference objects without a box | reference object |
/// | missed small | the same, small ones only | reference object of any size |
/// | spurious | boxes without a reference object | reference object |
/// | wrong class | matched boxes of another class | matched box |
/// | log size | half the log of box area over reference area, signed | matched box |
/// | IoU loss | one minus IoU | matched box |
/// | shift x, y | centre minus reference centre over the reference's side, signed | matched box |
/// | left empty | images with objects that came back without a box | image with objects |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Reference objects without a box.
    Missed,
    /// Small reference objects without a box.
    MissedSmall,
    /// Boxes without a reference object.
    Spurious,
    /// Matched boxes of another class.
    WrongClass,
    /// Half log area ratio, signed.
    LogSize,
    /// One minus IoU.
    IouLoss,
    /// Shift of the centre to the right, in widths of the reference box.
    ShiftX,
    /// Shift of the centre downwards, in heights of the reference box.
    ShiftY,
    /// Images wrongly left without any box.
    LeftEmpty,
}

/// Number of statistics.
pub(crate) const N_STATISTICS: usize = 9;

impl Statistic {
    /// All statistics, in the order of reports.
    pub const ALL: [Statistic; N_STATISTICS] = [
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

    /// Name in files.
    pub fn as_str(self) -> &'static str {
        self.margin_name().rsplit('.').next().map_or("", |name| match self {
            Statistic::ShiftX => "shift_x",
            Statistic::ShiftY => "shift_y",
            _ => name,
        })
    }

    /// Whether a move in either direction is drift; for the others only a rise is.
    pub fn is_signed(self) -> bool {
        matches!(self, Statistic::LogSize | Statistic::ShiftX | Statistic::ShiftY)
    }

    /// Whether events are counted, as opposed to lengths measured.
    pub fn is_count(self) -> bool {
        matches!(
            self,
            Statistic::Missed
                | Statistic::MissedSmall
                | Statistic::Spurious
                | Statistic::WrongClass
                | Statistic::LeftEmpty
        )
    }

    pub(crate) fn margin_name(self) -> &'static str {
        match self {
            Statistic::Missed => "margins.missed",
            Statistic::MissedSmall => "margins.missed_small",
            Statistic::Spurious => "margins.spurious",
            Statistic::WrongClass => "margins.wrong_class",
            Statistic::LogSize => "margins.log_size",
            Statistic::IouLoss => "margins.iou_loss",
            Statistic::ShiftX | Statistic::ShiftY => "margins.shift",
            Statistic::LeftEmpty => "margins.left_empty",
        }
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
        for s in Statistic::ALL {
            assert_eq!(serde_json::to_string(&s).unwrap(), format!("\"{s}\""));
        }
    }

    #[test]
    fn positions_follow_the_order_of_reports() {
        for (i, s) in Statistic::ALL.into_iter().enumerate() {
            assert_eq!(s as usize, i);
        }
    }
}
