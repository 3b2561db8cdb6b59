use labelloop_core::Seed;
use serde::{Deserialize, Serialize};

use super::Statistic;
use super::protocol::{Protocol, Test, require};
use super::statistic::N_OF_BOXES;
use crate::Result;

/// How far a statistic may move before anybody should care; in the unit of its [`Statistic`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Margins {
    /// Missed objects per reference object.
    pub missed: f64,
    /// Missed small objects per reference object of any size.
    pub missed_small: f64,
    /// Boxes without an object, per reference object.
    pub spurious: f64,
    /// Matched boxes of another class, per matched box.
    pub wrong_class: f64,
    /// Mean half log area ratio: 0.01 is sides 1% longer.
    pub log_size: f64,
    /// Mean of one minus IoU.
    pub iou_loss: f64,
    /// Mean shift of the centre, in sides of the reference box; for x and y alike.
    pub shift: f64,
    /// Images with objects that came back without any, per image with objects.
    pub left_empty: f64,
}

impl Default for Margins {
    fn default() -> Self {
        Self {
            missed: 0.015,
            missed_small: 0.01,
            spurious: 0.02,
            wrong_class: 0.01,
            log_size: 0.01,
            iou_loss: 0.01,
            shift: 0.01,
            left_empty: 0.025,
        }
    }
}

impl Margins {
    /// The margin of one statistic; none for those of cuboids.
    pub fn of(&self, statistic: Statistic) -> Option<f64> {
        Some(match statistic {
            Statistic::Missed => self.missed,
            Statistic::MissedSmall => self.missed_small,
            Statistic::Spurious => self.spurious,
            Statistic::WrongClass => self.wrong_class,
            Statistic::LogSize => self.log_size,
            Statistic::IouLoss => self.iou_loss,
            Statistic::ShiftX | Statistic::ShiftY => self.shift,
            Statistic::LeftEmpty => self.left_empty,
            _ => return None,
        })
    }

    pub(crate) fn named(&self) -> [(&'static str, f64); 8] {
        [
            ("margins.missed", self.missed),
            ("margins.missed_small", self.missed_small),
            ("margins.spurious", self.spurious),
            ("margins.wrong_class", self.wrong_class),
            ("margins.log_size", self.log_size),
            ("margins.iou_loss", self.iou_loss),
            ("margins.shift", self.shift),
            ("margins.left_empty", self.left_empty),
        ]
    }
}

/// Parameters of [`golden_check`](crate::golden_check), before they are checked.
///
/// ```
/// use labelloop_qa::GoldenParams;
///
/// let params = GoldenParams { n_permutations: 9_999, ..GoldenParams::default() };
/// assert!(params.check().is_ok());
/// assert!(GoldenParams { level: f64::NAN, ..params }.check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GoldenParams {
    /// Family-wise error level of the test.
    pub level: f64,
    /// An effect beyond its margin whose p-value is above `level` but at most this raises WARN.
    pub warn_level: f64,
    /// Probability with which the minimum detectable effect is found.
    pub power: f64,
    /// Random rearrangements drawn; the smallest p-value is `1 / (n_permutations + 1)`.
    pub n_permutations: usize,
    /// Where the rearrangements come from.
    pub seed: Seed,
    /// Boxes that overlap at least this much (IoU) are the same object.
    pub iou_threshold: f64,
    /// Objects below this area (square pixels) are small.
    pub small_area: f64,
    /// Objects of at least this area (square pixels) are large; those between are medium.
    pub large_area: f64,
    /// PASS needs a set that finds a drift of this many margins with probability `power`.
    pub pass_multiple: f64,
    /// What may move without harm.
    pub margins: Margins,
    /// Margin of the IoU loss where no calibration round says what honest re-annotation costs.
    pub uncalibrated_iou_loss: f64,
}

impl Default for GoldenParams {
    fn default() -> Self {
        Self {
            level: 0.05,
            warn_level: 0.10,
            power: 0.8,
            n_permutations: 999,
            seed: Seed::new(0),
            iou_threshold: 0.5,
            small_area: 1024.0,
            large_area: 9216.0,
            pass_multiple: 2.0,
            margins: Margins::default(),
            uncalibrated_iou_loss: 0.15,
        }
    }
}

/// Parameters that hold what the statistics rest on.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldenValidParams(GoldenParams);

impl GoldenValidParams {
    /// The numbers.
    pub fn get(&self) -> &GoldenParams {
        &self.0
    }

    /// What the engine needs, with or without calibration rounds.
    pub(crate) fn protocol(&self, is_calibrated: bool) -> Protocol<N_OF_BOXES> {
        let Margins { missed, missed_small, spurious, wrong_class, log_size, iou_loss, shift, left_empty } =
            self.0.margins;
        let iou_loss = if is_calibrated { iou_loss } else { self.0.uncalibrated_iou_loss };
        Protocol {
            list: Statistic::BOXES,
            margins: [
                missed,
                missed_small,
                spurious,
                wrong_class,
                log_size,
                iou_loss,
                shift,
                shift,
                left_empty,
            ],
            test: self.0.test(),
        }
    }
}

impl GoldenParams {
    /// # Errors
    /// [`crate::QaError::InvalidParam`] with the parameter, its value and its range.
    pub fn check(&self) -> Result<GoldenValidParams> {
        self.test().check()?;
        let open_unit = "a number above 0 and below 1";
        let iou = self.iou_threshold;
        require(0.0 < iou && iou < 1.0, "iou_threshold", iou, open_unit)?;
        let finite = "a finite number of at least 0";
        require(
            0.0 <= self.small_area && self.small_area.is_finite(),
            "small_area",
            self.small_area,
            finite,
        )?;
        require(
            self.small_area <= self.large_area && self.large_area.is_finite(),
            "large_area",
            self.large_area,
            "a finite number of at least small_area",
        )?;
        let u = self.uncalibrated_iou_loss;
        require(0.0 < u && u < 1.0, "uncalibrated_iou_loss", u, open_unit)?;
        for (name, margin) in self.margins.named() {
            require(0.0 < margin && margin < 1.0, name, margin, open_unit)?;
        }
        Ok(GoldenValidParams(self.clone()))
    }
}

impl GoldenParams {
    fn test(&self) -> Test {
        Test {
            level: self.level,
            warn_level: self.warn_level,
            power: self.power,
            n_permutations: self.n_permutations,
            seed: self.seed,
            pass_multiple: self.pass_multiple,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QaError;

    fn refused(change: impl Fn(&mut GoldenParams)) -> &'static str {
        let mut params = GoldenParams::default();
        change(&mut params);
        match params.check() {
            Err(QaError::InvalidParam { name, .. }) => name,
            other => panic!("expected a parameter error, found {other:?}"),
        }
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let p = GoldenParams::default();
        assert!(p.check().is_ok());
        assert_eq!((p.level, p.warn_level, p.power, p.n_permutations), (0.05, 0.10, 0.8, 999));
        assert_eq!((p.iou_threshold, p.small_area, p.large_area), (0.5, 1024.0, 9216.0));
        assert_eq!((p.pass_multiple, p.uncalibrated_iou_loss, p.seed), (2.0, 0.15, Seed::new(0)));
        let m = p.margins;
        assert_eq!((m.missed, m.missed_small, m.spurious, m.wrong_class), (0.015, 0.01, 0.02, 0.01));
        assert_eq!((m.log_size, m.iou_loss, m.shift, m.left_empty), (0.01, 0.01, 0.01, 0.025));
    }

    #[test]
    fn level_is_checked() {
        assert_eq!(refused(|p| p.level = 0.0), "level");
        assert_eq!(refused(|p| p.level = f64::NAN), "level");
    }

    #[test]
    fn warn_level_is_checked() {
        assert_eq!(refused(|p| p.warn_level = 0.01), "warn_level");
    }

    #[test]
    fn power_is_checked() {
        assert_eq!(refused(|p| p.power = 1.0), "power");
    }

    #[test]
    fn n_permutations_must_be_able_to_reach_the_level() {
        assert_eq!(refused(|p| p.n_permutations = 18), "n_permutations");
    }

    #[test]
    fn iou_threshold_is_checked() {
        assert_eq!(refused(|p| p.iou_threshold = f64::NAN), "iou_threshold");
    }

    #[test]
    fn areas_are_checked() {
        assert_eq!(refused(|p| p.small_area = -1.0), "small_area");
        assert_eq!(refused(|p| p.large_area = 1.0), "large_area");
    }

    #[test]
    fn pass_multiple_is_checked() {
        assert_eq!(refused(|p| p.pass_multiple = 1.0), "pass_multiple");
    }

    #[test]
    fn uncalibrated_iou_loss_is_checked() {
        assert_eq!(refused(|p| p.uncalibrated_iou_loss = 0.0), "uncalibrated_iou_loss");
    }

    #[test]
    fn every_margin_is_checked() {
        assert_eq!(refused(|p| p.margins.missed = f64::NAN), "margins.missed");
        assert_eq!(refused(|p| p.margins.missed_small = 0.0), "margins.missed_small");
        assert_eq!(refused(|p| p.margins.spurious = -1.0), "margins.spurious");
        assert_eq!(refused(|p| p.margins.wrong_class = 1.0), "margins.wrong_class");
        assert_eq!(refused(|p| p.margins.log_size = 0.0), "margins.log_size");
        assert_eq!(refused(|p| p.margins.iou_loss = 0.0), "margins.iou_loss");
        assert_eq!(refused(|p| p.margins.shift = 0.0), "margins.shift");
        assert_eq!(refused(|p| p.margins.left_empty = 0.0), "margins.left_empty");
    }

    #[test]
    fn the_protocol_has_the_margins_in_the_order_of_its_list() {
        let params = GoldenParams::default().check().unwrap();
        let protocol = params.protocol(true);
        for (s, margin) in protocol.list.into_iter().zip(protocol.margins) {
            assert_eq!(params.get().margins.of(s), Some(margin), "{s}");
        }
        assert_eq!(params.protocol(false).margins[5], 0.15, "what honest work costs is not known then");
    }

    #[test]
    fn a_config_file_may_name_a_few_and_no_unknown_ones() {
        let p: GoldenParams = serde_json::from_str(r#"{"level":0.01,"margins":{"missed":0.03}}"#).unwrap();
        assert_eq!((p.level, p.margins.missed, p.margins.shift), (0.01, 0.03, 0.01));
        assert!(serde_json::from_str::<GoldenParams>(r#"{"lvl":0.01}"#).is_err());
    }
}
