use serde::{Deserialize, Serialize};

use crate::Result;
use crate::kmeans::nearest;
use crate::seeding::approach;
use crate::select::{Gains, Known, Objective, Reason, Setting};

/// Rows drawn with a probability proportional to their squared distance to the nearest known row, times their weight: the
/// seeding of k-means++ (Arthur and Vassilvitskii 2007).
///
/// Between chance and farthest first: no row near a known one, and no preference for outliers beyond their share. The gain is
/// `ln(u) / mass` with a draw `u` of the seed, the pick and the row, whose highest is a draw by mass (Efraimidis and Spirakis
/// 2006). O(k x rows x dimensions).
///
/// ```
/// use labelloop_coreset::select::{Candidates, Method, SelectParams};
/// use ndarray::array;
///
/// let rows = array![[0.0], [0.0], [7.0], [7.0]];
/// let params = SelectParams::by(Method::from_name("k-means-plus-plus")?);
/// let found = params.select(&Candidates::new(rows.view())?, 2)?;
/// assert_ne!(found.rows()[0] / 2, found.rows()[1] / 2); // never a copy while others are left
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KMeansPlusPlusParams {}

impl KMeansPlusPlusParams {
    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        let (nearest, known) = nearest(setting.rows, setting.labelled)?
            .into_iter()
            .map(|(labelled, squared)| (squared, Known::Labelled(labelled as usize)))
            .unzip();
        Ok(Box::new(PlusPlus { setting: setting.clone(), nearest, known, n_picks: 0 }))
    }
}

struct PlusPlus<'a> {
    setting: Setting<'a>,
    /// Squared distance to the nearest known row; infinite while there is none.
    nearest: Vec<f64>,
    known: Vec<Known>,
    n_picks: u64,
}

impl PlusPlus<'_> {
    fn draw(&self, row: usize) -> f64 {
        self.setting.seed.stream(&self.n_picks.to_string()).unit(row as u64)
    }
}

impl Objective for PlusPlus<'_> {
    fn kind(&self) -> Gains {
        Gains::Any
    }

    fn gains(&self, rows: &[usize], gains: &mut [f64]) {
        let draws = self.setting.seed.stream(&self.n_picks.to_string());
        for (row, gain) in rows.iter().zip(gains) {
            let squared = if self.nearest[*row].is_finite() { self.nearest[*row] } else { 1.0 };
            let mass = squared * self.setting.weight(*row);
            // 1 - u is in (0, 1], so its logarithm is finite.
            let log = (1.0 - draws.unit(*row as u64)).ln();
            *gain = if 0.0 < mass { log / mass } else { f64::NEG_INFINITY };
        }
    }

    fn pick(&mut self, row: usize) {
        let lowered = approach(self.setting.rows, &self.nearest, row);
        for ((known, nearest), lowered) in self.known.iter_mut().zip(&mut self.nearest).zip(lowered) {
            if lowered < *nearest {
                (*nearest, *known) = (lowered, Known::Pick(row));
            }
        }
        self.n_picks += 1;
    }

    fn reason(&self, row: usize) -> Reason {
        if self.nearest[row].is_infinite() {
            return Reason::Chance { draw: self.draw(row) };
        }
        Reason::Drawn { distance: self.setting.distance(self.nearest[row]), nearest: self.known[row] }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use crate::select::{Candidates, Method, Reason, SelectParams};

    #[test]
    fn far_rows_are_drawn_as_often_as_their_squared_distance_says() {
        // From the labelled row the others have squared distances of 1 and 9.
        let (rows, labelled) = (array![[1.0f32], [3.0]], array![[0.0f32]]);
        let candidates = Candidates::new(rows.view()).unwrap().given(labelled.view()).unwrap();
        let method = Method::from_name("k-means-plus-plus").unwrap();
        let picks = (0..4000).map(|seed| {
            let params = SelectParams { seed, ..SelectParams::by(method.clone()) };
            params.select(&candidates, 1).unwrap().picks[0].clone()
        });
        let far: Vec<_> = picks.filter(|pick| pick.row == 1).collect();
        assert!((3500..3700).contains(&far.len()), "{}", far.len());
        assert!(matches!(far[0].reason, Reason::Drawn { distance: 3.0, .. }));
        assert!(far[0].reason.to_string().contains("labelled row 0"));
    }

    #[test]
    fn copies_come_last() {
        let rows = array![[0.0f32], [0.0], [2.0], [2.0]];
        let params = SelectParams::by(Method::from_name("k-means-plus-plus").unwrap());
        let found = params.select(&Candidates::new(rows.view()).unwrap(), 4).unwrap();
        assert_eq!(found.rows().len(), 4);
    }
}
