use labelloop_core::Seed;
use serde::{Deserialize, Serialize};

use super::Statistic;
use super::protocol::{Protocol, Test, require};
use super::statistic::N_OF_CUBOIDS;
use crate::Result;

/// How far a statistic of cuboids may move before anybody should care; in the unit of its [`Statistic`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CuboidMargins {
    /// Missed objects per reference object.
    pub missed: f64,
    /// Cuboids without an object, per reference object.
    pub spurious: f64,
    /// Matched cuboids of another class, per matched cuboid.
    pub wrong_class: f64,
    /// Matched cuboids that head backwards, per matched cuboid.
    pub flipped: f64,
    /// Mean third of the log volume ratio: 0.02 is sides 2% longer.
    pub log_size: f64,
    /// Mean of one minus IoU once centres and headings are made equal.
    pub size_loss: f64,
    /// Mean shift of the centre in metres, along any axis.
    pub shift: f64,
    /// Mean distance between the centres on the ground, in metres.
    pub distance: f64,
    /// Mean signed difference of yaw, in radians.
    pub yaw: f64,
    /// Mean unsigned difference of yaw, in radians.
    pub yaw_error: f64,
    /// Scans with objects that came back without any, per scan with objects.
    pub left_empty: f64,
}

impl Default for CuboidMargins {
    fn default() -> Self {
        Self {
            missed: 0.015,
            spurious: 0.02,
            wrong_class: 0.01,
            flipped: 0.01,
            log_size: 0.02,
            size_loss: 0.02,
            shift: 0.05,
            distance: 0.05,
            yaw: 0.02,
            yaw_error: 0.02,
            left_empty: 0.025,
        }
    }
}

impl CuboidMargins {
    /// The margin of one statistic; none for those of boxes.
    pub fn of(&self, statistic: Statistic) -> Option<f64> {
        Some(match statistic {
            Statistic::Missed => self.missed,
            Statistic::Spurious => self.spurious,
            Statistic::WrongClass => self.wrong_class,
            Statistic::Flipped => self.flipped,
            Statistic::LogSize => self.log_size,
            Statistic::SizeLoss => self.size_loss,
            s if s.is_shift() => self.shift,
            Statistic::Distance => self.distance,
            Statistic::Yaw => self.yaw,
            Statistic::YawError => self.yaw_error,
            Statistic::LeftEmpty => self.left_empty,
            _ => return None,
        })
    }

    /// Rates first; a length or an angle may be above 1.
    fn named(&self) -> [(&'static str, f64); 11] {
        [
            ("margins.missed", self.missed),
            ("margins.spurious", self.spurious),
            ("margins.wrong_class", self.wrong_class),
            ("margins.flipped", self.flipped),
            ("margins.log_size", self.log_size),
            ("margins.size_loss", self.size_loss),
            ("margins.left_empty", self.left_empty),
            ("margins.shift", self.shift),
            ("margins.distance", self.distance),
            ("margins.yaw", self.yaw),
            ("margins.yaw_error", self.yaw_error),
        ]
    }
}

/// Parameters of [`golden_check_cuboids`](crate::golden_check_cuboids), before they are checked.
///
/// ```
/// use labelloop_qa::CuboidGoldenParams;
///
/// let params = CuboidGoldenParams { match_distance: 4.0, ..CuboidGoldenParams::default() };
/// assert!(params.check().is_ok());
/// assert!(CuboidGoldenParams { match_distance: f64::NAN, ..params }.check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CuboidGoldenParams {
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
    /// Cuboids whose centres are at most this many metres apart on the ground can be the same object.
    pub match_distance: f64,
    /// Objects nearer to the sensor than this, on the ground and in metres, are near.
    pub near_range: f64,
    /// Objects at least this far from the sensor, in metres, are far; those between are in the middle.
    pub far_range: f64,
    /// PASS needs a set that finds a drift of this many margins with probability `power`.
    pub pass_multiple: f64,
    /// What may move without harm.
    pub margins: CuboidMargins,
    /// Margin of the distance, in metres, where no calibration round says what honest re-annotation costs.
    pub uncalibrated_distance: f64,
    /// The same of the size loss.
    pub uncalibrated_size_loss: f64,
    /// The same of the yaw error, in radians.
    pub uncalibrated_yaw_error: f64,
}

impl Default for CuboidGoldenParams {
    fn default() -> Self {
        Self {
            level: 0.05,
            warn_level: 0.10,
            power: 0.8,
            n_permutations: 999,
            seed: Seed::new(0),
            match_distance: 2.0,
            near_range: 20.0,
            far_range: 50.0,
            pass_multiple: 2.0,
            margins: CuboidMargins::default(),
            uncalibrated_distance: 0.3,
            uncalibrated_size_loss: 0.15,
            uncalibrated_yaw_error: 0.1,
        }
    }
}

/// Parameters that hold what the statistics rest on.
#[derive(Debug, Clone, PartialEq)]
pub struct CuboidGoldenValidParams(CuboidGoldenParams);

impl CuboidGoldenValidParams {
    /// The numbers.
    pub fn get(&self) -> &CuboidGoldenParams {
        &self.0
    }

    /// What the engine needs, with or without calibration rounds.
    pub(crate) fn protocol(&self, is_calibrated: bool) -> Protocol<N_OF_CUBOIDS> {
        let p = &self.0;
        let margin = |s: Statistic| match s {
            Statistic::Distance if !is_calibrated => p.uncalibrated_distance,
            Statistic::SizeLoss if !is_calibrated => p.uncalibrated_size_loss,
            Statistic::YawError if !is_calibrated => p.uncalibrated_yaw_error,
            s => p.margins.of(s).unwrap_or_default(),
        };
        Protocol { list: Statistic::CUBOIDS, margins: Statistic::CUBOIDS.map(margin), test: p.test() }
    }
}

impl CuboidGoldenParams {
    /// # Errors
    /// [`QaError::InvalidParam`](crate::QaError::InvalidParam) with the parameter, its value and its range.
    pub fn check(&self) -> Result<CuboidGoldenValidParams> {
        self.test().check()?;
        let above_0 = "a finite number above 0";
        let open_unit = "a number above 0 and below 1";
        let is_length = |x: f64| 0.0 < x && x.is_finite();
        require(is_length(self.match_distance), "match_distance", self.match_distance, above_0)?;
        require(is_length(self.near_range), "near_range", self.near_range, above_0)?;
        require(
            self.near_range <= self.far_range && self.far_range.is_finite(),
            "far_range",
            self.far_range,
            "a finite number of at least near_range",
        )?;
        for (i, (name, margin)) in self.margins.named().into_iter().enumerate() {
            let (holds, expected) =
                if i < 7 { (0.0 < margin && margin < 1.0, open_unit) } else { (is_length(margin), above_0) };
            require(holds, name, margin, expected)?;
        }
        let u = self.uncalibrated_distance;
        require(is_length(u), "uncalibrated_distance", u, above_0)?;
        let u = self.uncalibrated_size_loss;
        require(0.0 < u && u < 1.0, "uncalibrated_size_loss", u, open_unit)?;
        let u = self.uncalibrated_yaw_error;
        require(is_length(u), "uncalibrated_yaw_error", u, above_0)?;
        Ok(CuboidGoldenValidParams(self.clone()))
    }

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

    fn refused(change: impl Fn(&mut CuboidGoldenParams)) -> &'static str {
        let mut params = CuboidGoldenParams::default();
        change(&mut params);
        match params.check() {
            Err(QaError::InvalidParam { name, .. }) => name,
            other => panic!("expected a parameter error, found {other:?}"),
        }
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let p = CuboidGoldenParams::default();
        assert!(p.check().is_ok());
        assert_eq!((p.level, p.warn_level, p.power, p.n_permutations), (0.05, 0.10, 0.8, 999));
        assert_eq!((p.match_distance, p.near_range, p.far_range), (2.0, 20.0, 50.0));
        assert_eq!((p.pass_multiple, p.seed), (2.0, Seed::new(0)));
        let uncalibrated = (p.uncalibrated_distance, p.uncalibrated_size_loss, p.uncalibrated_yaw_error);
        assert_eq!(uncalibrated, (0.3, 0.15, 0.1));
        let m = p.margins;
        assert_eq!((m.missed, m.spurious, m.wrong_class, m.flipped), (0.015, 0.02, 0.01, 0.01));
        assert_eq!((m.log_size, m.size_loss, m.shift, m.distance), (0.02, 0.02, 0.05, 0.05));
        assert_eq!((m.yaw, m.yaw_error, m.left_empty), (0.02, 0.02, 0.025));
    }

    #[test]
    fn the_test_is_checked() {
        assert_eq!(refused(|p| p.level = f64::NAN), "level");
        assert_eq!(refused(|p| p.warn_level = 0.01), "warn_level");
        assert_eq!(refused(|p| p.power = 1.0), "power");
        assert_eq!(refused(|p| p.n_permutations = 18), "n_permutations");
        assert_eq!(refused(|p| p.pass_multiple = 1.0), "pass_multiple");
    }

    #[test]
    fn match_distance_is_checked() {
        assert_eq!(refused(|p| p.match_distance = 0.0), "match_distance");
    }

    #[test]
    fn ranges_are_checked() {
        assert_eq!(refused(|p| p.near_range = -1.0), "near_range");
        assert_eq!(refused(|p| p.far_range = 1.0), "far_range");
        assert_eq!(refused(|p| p.far_range = f64::INFINITY), "far_range");
    }

    #[test]
    fn what_is_allowed_without_calibration_is_checked() {
        assert_eq!(refused(|p| p.uncalibrated_distance = f64::NAN), "uncalibrated_distance");
        assert_eq!(refused(|p| p.uncalibrated_size_loss = 1.0), "uncalibrated_size_loss");
        assert_eq!(refused(|p| p.uncalibrated_yaw_error = 0.0), "uncalibrated_yaw_error");
    }

    #[test]
    fn every_margin_is_checked() {
        assert_eq!(refused(|p| p.margins.missed = f64::NAN), "margins.missed");
        assert_eq!(refused(|p| p.margins.spurious = 0.0), "margins.spurious");
        assert_eq!(refused(|p| p.margins.wrong_class = 1.0), "margins.wrong_class");
        assert_eq!(refused(|p| p.margins.flipped = -1.0), "margins.flipped");
        assert_eq!(refused(|p| p.margins.log_size = 0.0), "margins.log_size");
        assert_eq!(refused(|p| p.margins.size_loss = 0.0), "margins.size_loss");
        assert_eq!(refused(|p| p.margins.left_empty = 0.0), "margins.left_empty");
        assert_eq!(refused(|p| p.margins.shift = 0.0), "margins.shift");
        assert_eq!(refused(|p| p.margins.distance = f64::INFINITY), "margins.distance");
        assert_eq!(refused(|p| p.margins.yaw = 0.0), "margins.yaw");
        assert_eq!(refused(|p| p.margins.yaw_error = 0.0), "margins.yaw_error");
    }

    #[test]
    fn every_statistic_of_cuboids_has_a_margin() {
        let margins = CuboidMargins::default();
        assert!(Statistic::CUBOIDS.iter().all(|s| margins.of(*s).is_some()));
        assert_eq!(margins.of(Statistic::IouLoss), None);
    }
}
