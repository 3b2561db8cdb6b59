use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::SampleId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Dataset, DatasetError, Result, Status};

const STATUS_NOTES: &str = "status_notes";
const GOLDEN_HISTORY: &str = "golden_qa_history";

/// Why a sample took a step back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusNote {
    /// The sample.
    pub id: SampleId,
    /// Status before.
    pub from: Status,
    /// Status after.
    pub to: Status,
    /// What the caller said.
    pub reason: String,
}

/// Counts of the golden set at one iteration. All classes are kept, those that were not seen with a 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GoldenRecord {
    /// Iteration of the loop.
    pub iteration: u32,
    /// Version of the golden set.
    pub golden_version: String,
    /// Digest of the labels that were counted.
    pub label_digest: String,
    /// Samples of the golden set.
    pub n_samples: usize,
    /// Samples with at least one object.
    pub n_with_labels: usize,
    /// Objects in all.
    pub n_objects: usize,
    /// Objects by class name.
    pub class_counts: BTreeMap<String, usize>,
}

/// Records of the dataset itself. Keys that nobody here knows survive every round trip.
impl Dataset {
    /// All records by key.
    pub fn info(&self) -> &BTreeMap<String, Value> {
        &self.info
    }

    /// Sets or replaces a record.
    pub fn set_info(&mut self, key: impl Into<String>, value: Value) {
        self.info.insert(key.into(), value);
    }

    /// A record as a type, or `None` when there is none.
    ///
    /// # Errors
    /// [`DatasetError::InfoShape`] when the record has another shape.
    pub fn record<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let parse = |v: &Value| serde_json::from_value(v.clone()).map_err(|e| shape(key, &e));
        self.info.get(key).map(parse).transpose()
    }

    /// Sets or replaces a record from a type.
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
    /// dataset.set_record("eval_v0", &std::collections::BTreeMap::from([("map", 0.5)]))?;
    /// assert_eq!(dataset.info()["eval_v0"]["map"], 0.5);
    /// assert_eq!(dataset.record::<Vec<u8>>("never set")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::InfoShape`] when the type cannot be written as JSON.
    pub fn set_record<T: Serialize>(&mut self, key: &str, record: &T) -> Result<()> {
        let value = serde_json::to_value(record).map_err(|e| shape(key, &e))?;
        self.info.insert(key.to_owned(), value);
        Ok(())
    }

    /// Counts of the golden set over time, in the order of iterations.
    ///
    /// # Errors
    /// [`DatasetError::InfoShape`].
    pub fn golden_history(&self) -> Result<Vec<GoldenRecord>> {
        Ok(self.record(GOLDEN_HISTORY)?.unwrap_or_default())
    }

    /// Adds counts of the golden set. The same iteration, golden version and label digest again replaces what was
    /// there, so a step that runs twice leaves one record.
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
    /// let record = GoldenRecord {
    ///     iteration: 0,
    ///     golden_version: "1".to_owned(),
    ///     label_digest: "1f3a".to_owned(),
    ///     n_samples: 10,
    ///     n_with_labels: 9,
    ///     n_objects: 31,
    ///     class_counts: [("car".to_owned(), 31), ("van".to_owned(), 0)].into(),
    /// };
    /// dataset.upsert_golden_record(record.clone())?;
    /// dataset.upsert_golden_record(record)?;
    /// assert_eq!(dataset.golden_history()?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::InfoShape`].
    pub fn upsert_golden_record(&mut self, record: GoldenRecord) -> Result<()> {
        let key = |r: &GoldenRecord| (r.iteration, r.golden_version.clone(), r.label_digest.clone());
        let mut history = self.golden_history()?;
        history.retain(|r| key(r) != key(&record));
        history.push(record);
        history.sort();
        self.set_record(GOLDEN_HISTORY, &history)
    }

    /// Why samples took steps back, oldest first.
    ///
    /// # Errors
    /// [`DatasetError::InfoShape`].
    pub fn status_notes(&self) -> Result<Vec<StatusNote>> {
        Ok(self.record(STATUS_NOTES)?.unwrap_or_default())
    }

    pub(crate) fn note_status(&mut self, ids: &BTreeSet<&SampleId>, to: Status, reason: &str) -> Result<()> {
        let mut notes = self.status_notes()?;
        for id in ids {
            let from = self.sample(id)?.status;
            if from != to {
                notes.push(StatusNote { id: (*id).clone(), from, to, reason: reason.to_owned() });
            }
        }
        if notes.is_empty() { Ok(()) } else { self.set_record(STATUS_NOTES, &notes) }
    }
}

fn shape(key: &str, error: &serde_json::Error) -> DatasetError {
    DatasetError::InfoShape { key: key.to_owned(), detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{ids, pool_of};

    use super::*;

    fn golden(iteration: u32, n_objects: usize) -> GoldenRecord {
        GoldenRecord {
            iteration,
            golden_version: "1".into(),
            label_digest: "d".into(),
            n_samples: 3,
            n_with_labels: 2,
            n_objects,
            class_counts: BTreeMap::new(),
        }
    }

    #[test]
    fn golden_history_is_idempotent_and_ordered() {
        let mut d = pool_of(1);
        for record in [golden(1, 5), golden(0, 4), golden(1, 6)] {
            d.upsert_golden_record(record).unwrap();
        }
        assert_eq!(d.golden_history().unwrap(), [golden(0, 4), golden(1, 6)]);
    }

    #[test]
    fn a_record_of_another_shape_is_an_error() {
        let mut d = pool_of(1);
        d.set_info(GOLDEN_HISTORY, json!("later version"));
        assert!(matches!(d.golden_history(), Err(DatasetError::InfoShape { .. })));
        assert_eq!(d.info()[GOLDEN_HISTORY], json!("later version"));
    }

    #[test]
    fn staying_leaves_no_note() {
        let mut d = pool_of(1);
        d.set_status(&ids(&["s0"]), Status::Unlabeled, Some("again")).unwrap();
        assert!(d.info().is_empty() || d.status_notes().unwrap().is_empty());
    }
}
