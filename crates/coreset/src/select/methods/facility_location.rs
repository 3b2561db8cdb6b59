use serde::{Deserialize, Serialize};

use crate::select::coverage::{Coverage, Plan};
use crate::select::{Kernel, Objective, Setting};
use crate::{ParamError, Result};

/// Facility location: rows that represent all others best. Maximises the sum over all rows of the similarity to the most
/// similar known row.
///
/// The gain is what a row adds to that sum; a weight multiplies the share of its row in it. The objective is monotone and
/// submodular, so that the greedy choice reaches at least `1 - 1/e` of the best possible (Nemhauser, Wolsey and Fisher
/// 1978); it is searched lazily (Minoux 1978) and is exact. Labelled rows represent from the start.
///
/// `O(rows^2 x dimensions)` once and, where `memory` does not hold all similarities (4 bytes for each of the rows squared),
/// again for the rows looked at in each step. With `neighbours` each row is represented by its nearest alone, which takes
/// `O(rows x neighbours)` memory.
///
/// ```
/// use labelloop_coreset::select::{Candidates, FacilityLocationParams, Kernel, Method, SelectParams};
/// use ndarray::array;
///
/// // Three rows to one side and two to another: one of the middle of each.
/// let rows = array![[0.0], [0.1], [0.2], [7.0], [7.1]];
/// let params = FacilityLocationParams { kernel: Kernel::Rbf { bandwidth: Some(0.2) }, ..Default::default() };
/// let found = SelectParams::by(Method::FacilityLocation(params)).select(&Candidates::new(rows.view())?, 2)?;
/// assert_eq!(found.rows(), [1, 3]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FacilityLocationParams {
    /// How similar two rows are; by cosine by default.
    pub kernel: Kernel,
    /// Nearest rows, itself included, that may represent a row; all by default.
    pub neighbours: Option<usize>,
    /// Bytes that similarities may take; 2 GiB by default, enough for 23,170 rows. Has no influence on what is picked.
    pub memory: usize,
}

/// Enough for the similarities of 23,170 rows.
pub(crate) const MEMORY: usize = 1 << 31;

impl Default for FacilityLocationParams {
    fn default() -> Self {
        Self { kernel: Kernel::Cosine, neighbours: None, memory: MEMORY }
    }
}

impl FacilityLocationParams {
    pub(crate) fn check(&self) -> Result<(), ParamError> {
        self.kernel.check()?;
        if self.neighbours == Some(0) { Err(ParamError::NoNeighbours) } else { Ok(()) }
    }

    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        let Self { kernel, neighbours, memory } = *self;
        Ok(Box::new(Coverage::new(setting, &Plan { kernel, neighbours, memory, is_mean: false })?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_as_documented() {
        let p = FacilityLocationParams::default();
        assert_eq!((p.kernel, p.neighbours, p.memory), (Kernel::Cosine, None, 2_147_483_648));
        assert!(23_170 * 23_170 * 4 <= p.memory && 23_171 * 23_171 * 4 > p.memory);
    }

    #[test]
    fn parameters_are_checked_one_by_one() {
        let none = FacilityLocationParams { neighbours: Some(0), ..Default::default() };
        assert_eq!(none.check(), Err(ParamError::NoNeighbours));
        let kernel = Kernel::Rbf { bandwidth: Some(0.0) };
        let flat = FacilityLocationParams { kernel, ..Default::default() };
        assert_eq!(flat.check(), Err(ParamError::Bandwidth { found: 0.0 }));
    }
}
