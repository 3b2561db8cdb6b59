use serde::{Deserialize, Serialize};

use super::facility_location::MEMORY;
use crate::select::coverage::{Coverage, Plan};
use crate::select::{Kernel, Objective, Setting};
use crate::{ParamError, Result};

/// MaxHerding (Bae, Noh and Sutherland 2024): rows that cover the space of all, softly. Maximises generalised coverage,
/// the mean over all rows of the Gaussian similarity to the most similar known row.
///
/// The gain is what a row adds to that mean; with weights it is the weighted mean. Unlike ProbCover's its result depends
/// little on the width. This is facility location with a Gaussian kernel, divided by the rows; complexity and search are
/// those of [`FacilityLocationParams`](super::FacilityLocationParams).
///
/// ```
/// use labelloop_coreset::select::{Candidates, Method, SelectParams};
/// use ndarray::array;
///
/// let rows = array![[0.0], [0.1], [0.2], [7.0], [7.1]];
/// let labelled = array![[0.1]];
/// let params = SelectParams::by(Method::from_name("max-herding")?);
/// let found = params.select(&Candidates::new(rows.view())?.given(labelled.view())?, 1)?;
/// assert!(found.rows() == [3] || found.rows() == [4]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaxHerdingParams {
    /// The distance at which similarity has fallen to `exp(-1/2)`; by default the median distance of rows.
    pub bandwidth: Option<f64>,
    /// Nearest rows, itself included, that may cover a row; all by default.
    pub neighbours: Option<usize>,
    /// Bytes that similarities may take; 2 GiB by default. Has no influence on what is picked.
    pub memory: usize,
}

impl Default for MaxHerdingParams {
    fn default() -> Self {
        Self { bandwidth: None, neighbours: None, memory: MEMORY }
    }
}

impl MaxHerdingParams {
    pub(crate) fn check(&self) -> Result<(), ParamError> {
        Kernel::Rbf { bandwidth: self.bandwidth }.check()?;
        if self.neighbours == Some(0) { Err(ParamError::NoNeighbours) } else { Ok(()) }
    }

    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        let Self { bandwidth, neighbours, memory } = *self;
        let kernel = Kernel::Rbf { bandwidth };
        Ok(Box::new(Coverage::new(setting, &Plan { kernel, neighbours, memory, is_mean: true })?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_as_documented() {
        let p = MaxHerdingParams::default();
        assert_eq!((p.bandwidth, p.neighbours, p.memory), (None, None, 1 << 31));
    }

    #[test]
    fn parameters_are_checked_one_by_one() {
        let none = MaxHerdingParams { neighbours: Some(0), ..Default::default() };
        assert_eq!(none.check(), Err(ParamError::NoNeighbours));
        let flat = MaxHerdingParams { bandwidth: Some(f64::NAN), ..Default::default() };
        assert!(matches!(flat.check(), Err(ParamError::Bandwidth { .. })));
    }
}
