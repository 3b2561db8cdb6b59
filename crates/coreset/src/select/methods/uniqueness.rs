use ndarray::{Axis, concatenate};
use serde::{Deserialize, Serialize};

use super::FixedScore;
use crate::select::{Objective, Setting};
use crate::{Result, uniqueness};

/// [`uniqueness`](crate::uniqueness()) of each row among rows and labelled rows together, times its weight.
///
/// A score of rows as they are: a pick does not lower that of its copies.
///
/// ```
/// use labelloop_coreset::select::{Candidates, Method, SelectParams};
/// use ndarray::array;
///
/// let rows = array![[0.0], [1.0], [2.0], [12.0]];
/// let params = SelectParams::by(Method::from_name("uniqueness")?);
/// assert_eq!(params.select(&Candidates::new(rows.view())?, 1)?.rows(), [3]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UniquenessParams {}

impl UniquenessParams {
    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        let all = concatenate(Axis(0), &[setting.rows.view(), setting.labelled.view()]);
        let mut scores: Vec<f64> = match &all {
            Ok(all) => uniqueness(all.view())?.into_iter().map(f64::from).collect(),
            // Both have the same columns: where nothing is labelled, none that differ.
            Err(_) => uniqueness(setting.rows.view())?.into_iter().map(f64::from).collect(),
        };
        scores.truncate(setting.rows.nrows());
        Ok(Box::new(FixedScore::new("uniqueness", scores)?.weighted(setting.weights)?))
    }
}
