use ndarray::{Axis, concatenate};

use super::FixedScore;
use crate::select::{Objective, Setting};
use crate::{OutlierParams, RepresentativenessParams, Result};

impl OutlierParams {
    /// Scores among rows and labelled rows together.
    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        let all = concatenate(Axis(0), &[setting.rows.view(), setting.labelled.view()]);
        // Both have the same columns: where nothing is labelled, none that differ.
        let mut scores = self.score(all.unwrap_or_else(|_| setting.rows.to_owned()).view())?;
        scores.truncate(setting.rows.nrows());
        Ok(Box::new(FixedScore::new("outlier", scores)?.weighted(setting.weights)?))
    }
}

impl RepresentativenessParams {
    /// Scores among rows and labelled rows together.
    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        let all = concatenate(Axis(0), &[setting.rows.view(), setting.labelled.view()]);
        let mut scores = self.score(all.unwrap_or_else(|_| setting.rows.to_owned()).view())?;
        scores.truncate(setting.rows.nrows());
        Ok(Box::new(FixedScore::new("representativeness", scores)?.weighted(setting.weights)?))
    }
}
