use ndarray::{Axis, concatenate};

use super::clusters::{ClusterChoice, counted};
use crate::select::{Objective, Setting};
use crate::{Result, TypiClustParams};

impl TypiClustParams {
    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        let (n_rows, n_labelled) = (setting.rows.nrows(), setting.labelled.nrows());
        let all = concatenate(Axis(0), &[setting.rows.view(), setting.labelled.view()]);
        // Both have the same columns: where nothing is labelled, none that differ.
        let all = all.unwrap_or_else(|_| setting.rows.to_owned());
        let found =
            self.typical(all.view(), n_labelled + setting.k, setting.seed.value(), setting.progress)?;
        let mut assigned = found.assigned;
        let sizes = counted(&assigned, found.n_clusters);
        let labelled = assigned.split_off(n_rows.min(assigned.len()));
        let known = counted(&labelled, found.n_clusters);
        let mut typicality = found.typicality;
        typicality.truncate(n_rows);
        let choice = ClusterChoice::new(setting, assigned, typicality, sizes, known, self.min_cluster_size);
        Ok(Box::new(choice))
    }
}
