//! What the one engine has to know of a list of statistics: margins, and how the test is done.

use labelloop_core::Seed;

use super::Statistic;
use crate::{QaError, Result};

/// How the test is done, whatever is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Test {
    pub(crate) level: f64,
    pub(crate) warn_level: f64,
    pub(crate) power: f64,
    pub(crate) n_permutations: usize,
    pub(crate) seed: Seed,
    pub(crate) pass_multiple: f64,
}

/// The statistics in the order of reports, each with its margin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Protocol<const N: usize> {
    pub(crate) list: [Statistic; N],
    pub(crate) margins: [f64; N],
    pub(crate) test: Test,
}

impl Test {
    pub(crate) fn check(&self) -> Result<()> {
        require(0.0 < self.level && self.level < 0.5, "level", self.level, "a number above 0 and below 0.5")?;
        require(
            self.level <= self.warn_level && self.warn_level < 1.0,
            "warn_level",
            self.warn_level,
            "a number from level to below 1",
        )?;
        require(0.5 <= self.power && self.power < 1.0, "power", self.power, "a number from 0.5 to below 1")?;
        let least = (1.0 / self.level).ceil() - 1.0;
        let n = self.n_permutations as f64;
        require(least <= n && n <= 1e7, "n_permutations", n, "from 1 / level - 1 to 10,000,000")?;
        let m = self.pass_multiple;
        require(1.0 < m && m.is_finite(), "pass_multiple", m, "a finite number above 1")
    }
}

pub(crate) fn require(holds: bool, name: &'static str, found: f64, expected: &'static str) -> Result<()> {
    if holds { Ok(()) } else { Err(QaError::InvalidParam { name, found, expected }) }
}
