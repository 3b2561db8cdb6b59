use serde::{Deserialize, Serialize};

use crate::Result;
use crate::select::{Gains, Objective, Reason, Setting};

/// By chance, each row with a probability proportional to its weight among those left: what every method has to beat.
///
/// Row `i` draws a uniform number `u` of the seed and `i`; the gain is `ln(u) / weight` (Efraimidis and Spirakis 2006), so
/// a draw without weights is a uniform one. A weight of 0 comes last.
///
/// ```
/// use labelloop_coreset::select::{Candidates, Method, SelectParams};
/// use ndarray::Array2;
///
/// let rows = Array2::zeros((50, 2));
/// let by = |seed| SelectParams { seed, ..SelectParams::by(Method::from_name("random").unwrap()) };
/// let candidates = Candidates::new(rows.view())?;
/// assert_eq!(by(1).select(&candidates, 5)?, by(1).select(&candidates, 5)?);
/// assert_ne!(by(1).select(&candidates, 5)?.rows(), by(2).select(&candidates, 5)?.rows());
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomParams {}

impl RandomParams {
    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        Ok(Box::new(Random { setting: setting.clone() }))
    }
}

struct Random<'a> {
    setting: Setting<'a>,
}

impl Random<'_> {
    fn draw(&self, row: usize) -> f64 {
        self.setting.seed.unit(row as u64)
    }
}

impl Objective for Random<'_> {
    fn kind(&self) -> Gains {
        Gains::Fixed
    }

    fn gains(&self, rows: &[usize], gains: &mut [f64]) {
        for (row, gain) in rows.iter().zip(gains) {
            // 1 - u is in (0, 1], so its logarithm is finite.
            let log = (1.0 - self.draw(*row)).ln();
            let weight = self.setting.weight(*row);
            *gain = if 0.0 < weight { log / weight } else { f64::NEG_INFINITY };
        }
    }

    fn pick(&mut self, _row: usize) {}

    fn reason(&self, row: usize) -> Reason {
        Reason::Chance { draw: self.draw(row) }
    }
}
