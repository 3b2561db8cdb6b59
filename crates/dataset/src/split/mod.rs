//! Leak-free splits: whole groups are dealt out, old groups never move, rare classes are spread first, and near-duplicates
//! are kept on one side.

mod assign;
mod audit;
mod exchange;
mod guard;
mod near;
mod params;
mod report;

use std::collections::BTreeMap;

use labelloop_core::{GroupKey, Split};
use serde::{Deserialize, Serialize};

use crate::fields::entry;
use crate::{Dataset, Result};

pub use assign::assign_splits;
pub use audit::{AuditItem, SplitAudit, SplitCounts, SplitLeak, audit_splits};
pub(crate) use guard::FrozenTwins;
pub use guard::{GuardedSplit, LooksLike, NearPolicy};
pub use near::{AcrossPair, Likeness, NearDuplicate, NearDuplicates, connected_groups, merge_groups};
pub use params::{SplitParams, SplitParamsError, SplitValidParams};
pub use report::{Cell, ClassRow, ShareRow, SplitReport, Unmet};

/// What a split needs to know about a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSummary {
    /// Name of the group.
    pub key: GroupKey,
    /// Samples in it.
    pub n_samples: usize,
    /// Objects in it by class name; empty when nothing is labelled.
    #[serde(default)]
    pub class_counts: BTreeMap<String, usize>,
}

impl Dataset {
    /// Deals all groups that have no split yet out to test, val, golden and pool, as [`assign_splits`] says; groups
    /// that have one never move, and samples that joined such a group since go where it is. Samples outside the pool
    /// are frozen. The parameters are kept in the info key `split`.
    ///
    /// ```
    /// # use labelloop_core::*;
    /// # use labelloop_dataset::*;
    /// # let samples = (0..8)
    /// #     .map(|i| SampleRecord::image(&format!("s{i}"), format!("s{i}.png"), ImageSize::new(64, 48)?))
    /// #     .collect::<labelloop_core::Result<Vec<_>>>()?;
    /// # let mut dataset = Dataset::new("demo", ClassSchema::new(["car", "van"])?);
    /// # let set = AnnotationSet { schema: dataset.schema().clone(), samples, extra: Extra::new() };
    /// # dataset.import(&set, GROUND_TRUTH, BoxPolicy::default())?;
    /// # dataset.split(&SplitParams::default())?;
    /// # let car = |x| LabelledBox::new(ClassIdx(0), BBox::new(x, 4.0, 20.0, 10.0).unwrap());
    /// let before = dataset.group_splits();
    /// assert_eq!(dataset.split(&SplitParams::default())?.n_new_groups, 0);
    /// assert_eq!(dataset.group_splits(), before);
    /// assert_eq!(dataset.members::<FrozenTest>().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::EmptyDataset`](crate::DatasetError::EmptyDataset),
    /// [`DatasetError::TooFewGroups`](crate::DatasetError::TooFewGroups),
    /// [`DatasetError::SplitParams`](crate::DatasetError::SplitParams). Nothing has
    /// changed then.
    pub fn split(&mut self, params: &SplitParams) -> Result<SplitReport> {
        Ok(self.split_guarded(params, &NearDuplicates::default(), NearPolicy::Report)?.report)
    }

    /// All groups with their samples and the objects of a label field, in the order of keys. These are sums over
    /// whole groups, so the frozen test set is counted too. A field that does not exist has no objects.
    ///
    /// ```
    /// # use labelloop_core::*;
    /// # use labelloop_dataset::*;
    /// # let samples = (0..8)
    /// #     .map(|i| SampleRecord::image(&format!("s{i}"), format!("s{i}.png"), ImageSize::new(64, 48)?))
    /// #     .collect::<labelloop_core::Result<Vec<_>>>()?;
    /// # let mut dataset = Dataset::new("demo", ClassSchema::new(["car", "van"])?);
    /// # let set = AnnotationSet { schema: dataset.schema().clone(), samples, extra: Extra::new() };
    /// # dataset.import(&set, GROUND_TRUTH, BoxPolicy::default())?;
    /// # dataset.split(&SplitParams::default())?;
    /// let groups = dataset.group_summaries(GROUND_TRUTH)?;
    /// assert_eq!((groups.len(), groups[0].n_samples), (8, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::Io`](crate::DatasetError::Io) and [`DatasetError::Corrupt`](crate::DatasetError::Corrupt) when the
    /// field cannot be read.
    pub fn group_summaries(&self, field: &str) -> Result<Vec<GroupSummary>> {
        let mut groups: BTreeMap<&GroupKey, GroupSummary> = BTreeMap::new();
        for sample in self.samples.values() {
            let empty =
                || GroupSummary { key: sample.group.clone(), n_samples: 0, class_counts: BTreeMap::new() };
            let group = groups.entry(&sample.group).or_insert_with(empty);
            group.n_samples += 1;
            let boxes = entry(&self.boxes, field, &sample.id)?.map(|e| e.items).unwrap_or_default();
            let cuboids = entry(&self.cuboids, field, &sample.id)?.map(|e| e.items).unwrap_or_default();
            for class in boxes.iter().map(|b| b.class).chain(cuboids.iter().map(|c| c.class)) {
                let name = self.schema.name(class).unwrap_or_default();
                *group.class_counts.entry(name.to_owned()).or_default() += 1;
            }
        }
        Ok(groups.into_values().collect())
    }

    /// Split of every group that has one.
    pub fn group_splits(&self) -> BTreeMap<GroupKey, Split> {
        self.samples.values().filter_map(|s| Some((s.group.clone(), s.split?))).collect()
    }
}
