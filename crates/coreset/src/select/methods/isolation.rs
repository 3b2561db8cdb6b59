use serde::{Deserialize, Serialize};

use super::FixedScore;
use crate::select::{Objective, Setting};
use crate::{Result, isolation};

/// [`isolation`](crate::isolation()) of each row among rows and labelled rows, times its weight.
///
/// A score of rows as they are: a pick does not lower that of its copies.
///
/// ```
/// use labelloop_coreset::select::{Candidates, Method, SelectParams};
/// use ndarray::array;
///
/// let rows = array![[0.0], [1.0], [2.0], [12.0], [40.0]];
/// let labelled = array![[40.0], [40.0], [40.0]];
/// let params = SelectParams::by(Method::from_name("isolation")?);
/// let candidates = Candidates::new(rows.view())?.given(labelled.view())?;
/// assert_eq!(params.select(&candidates, 1)?.rows(), [3]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IsolationParams {}

impl IsolationParams {
    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        let scores = isolation(setting.rows, Some(setting.labelled))?;
        Ok(Box::new(FixedScore::new("isolation", scores)?.weighted(setting.weights)?))
    }
}
