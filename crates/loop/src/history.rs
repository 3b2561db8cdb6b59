//! What each iteration measured, kept once per iteration however often a step is redone.

use std::collections::BTreeMap;
use std::path::Path;

use labelloop_qa::MapCeiling;
use serde::{Deserialize, Serialize};

use crate::files;
use crate::gain::Gain;
use crate::{LoopError, Result};

/// One iteration in numbers. A number that does not exist is `None`, never 0 or NaN.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IterationRecord {
    /// From 0.
    pub iteration: u32,
    /// Labelled pictures that the model was trained on.
    pub n_images: usize,
    /// Labelled boxes in them.
    pub n_boxes: usize,
    /// Units (captures) of this iteration's batch.
    pub n_batch: usize,
    /// Picks of the batch by bucket.
    pub picks_by_bucket: BTreeMap<String, usize>,
    /// Labelled boxes by class, zeros kept.
    pub boxes_by_class: BTreeMap<String, usize>,
    /// F1 on val at `score_threshold`.
    pub f1: Option<f64>,
    /// 95% interval of F1 from resampling groups.
    pub f1_interval: Option<[f64; 2]>,
    /// F1 gained per 100 boxes over the rounds that the plateau rule compares, this one the last; absent in the first.
    #[serde(default)]
    pub gain: Option<Gain>,
    /// Precision on val.
    pub precision: Option<f64>,
    /// Recall on val.
    pub recall: Option<f64>,
    /// Labels found on val.
    pub tp: usize,
    /// False alarms on val.
    pub fp: usize,
    /// Labels missed on val.
    #[serde(rename = "fn")]
    pub fn_: usize,
    /// Confidence above which a detection counts, the best for F1 on val.
    pub score_threshold: Option<f64>,
    /// COCO mAP on val, IoU .50:.95.
    pub map: Option<f64>,
    /// COCO mAP on val at IoU .50.
    pub map50: Option<f64>,
    /// 95% interval of `map50` from resampling groups.
    pub map50_interval: Option<[f64; 2]>,
    /// AP at IoU .50 by class.
    pub ap50_by_class: BTreeMap<String, Option<f64>>,
    /// F1 on training pictures at the same threshold.
    pub train_f1: Option<f64>,
    /// Verdict of golden QA.
    pub qa_verdict: Option<String>,
    /// Its p-value.
    pub qa_p: Option<f64>,
    /// Best F1 that labels of this quality let anybody show, at the IoU of `f1`.
    pub noise_ceiling: Option<f64>,
    /// COCO mAP at IoU .50:.95 of the truth against labels of this quality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_ceiling: Option<MapCeiling>,
    /// The same at IoU .50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map50_ceiling: Option<MapCeiling>,
    /// Digest of the model.
    pub model_digest: String,
}

/// All iterations in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    records: BTreeMap<u32, IterationRecord>,
}

impl History {
    /// Reads the file, or starts empty where there is none.
    ///
    /// # Errors
    /// [`LoopError::Io`] or [`LoopError::Record`] naming the file.
    pub fn load(path: &Path) -> Result<Self> {
        if path.exists() { files::read_json(path) } else { Ok(Self::default()) }
    }

    /// Writes the file as a whole.
    ///
    /// # Errors
    /// [`LoopError::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        files::write_json(path, self)
    }

    /// Puts a record in its place; one of the same iteration is replaced, so that a redone step adds nothing.
    pub fn upsert(&mut self, record: IterationRecord) {
        self.records.insert(record.iteration, record);
    }

    /// Forgets an iteration and all after it.
    pub fn truncate(&mut self, from: u32) {
        self.records.retain(|i, _| *i < from);
    }

    /// Records in order of iteration.
    pub fn records(&self) -> Vec<IterationRecord> {
        self.records.values().cloned().collect()
    }

    /// The iteration with the best F1, the earlier one among equals.
    pub fn best(&self) -> Option<&IterationRecord> {
        self.records.values().filter(|r| r.f1.is_some()).max_by(|a, b| {
            a.f1.unwrap_or(0.0).total_cmp(&b.f1.unwrap_or(0.0)).then(b.iteration.cmp(&a.iteration))
        })
    }

    /// `convergence_tracking.csv`: one line per iteration; a number that does not exist is an empty cell.
    ///
    /// # Errors
    /// [`LoopError::Record`] when the table cannot be built, [`LoopError::Io`] when it cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        let broken = |e: csv::Error| LoopError::Record { path: path.to_owned(), reason: e.to_string() };
        let mut table = csv::Writer::from_writer(Vec::new());
        for record in self.records.values() {
            table.serialize(CsvRow::from(record)).map_err(broken)?;
        }
        let bytes = table
            .into_inner()
            .map_err(|e| LoopError::Record { path: path.to_owned(), reason: e.to_string() })?;
        files::write_atomically(path, &bytes)
    }
}

#[derive(Serialize)]
struct CsvRow {
    iteration: u32,
    f1: Option<f64>,
    precision: Option<f64>,
    recall: Option<f64>,
    tp: usize,
    fp: usize,
    #[serde(rename = "fn")]
    fn_: usize,
    map: Option<f64>,
    map50: Option<f64>,
    f1_lower: Option<f64>,
    f1_upper: Option<f64>,
    map50_lower: Option<f64>,
    map50_upper: Option<f64>,
    train_f1: Option<f64>,
    score_threshold: Option<f64>,
    n_images: usize,
    n_boxes: usize,
    n_batch: usize,
    qa_verdict: Option<String>,
    qa_p: Option<f64>,
    gain_per_100_boxes: Option<f64>,
    gain_lower: Option<f64>,
    gain_upper: Option<f64>,
}

impl From<&IterationRecord> for CsvRow {
    fn from(r: &IterationRecord) -> Self {
        Self {
            iteration: r.iteration,
            f1: r.f1,
            precision: r.precision,
            recall: r.recall,
            tp: r.tp,
            fp: r.fp,
            fn_: r.fn_,
            map: r.map,
            map50: r.map50,
            f1_lower: r.f1_interval.map(|i| i[0]),
            f1_upper: r.f1_interval.map(|i| i[1]),
            map50_lower: r.map50_interval.map(|i| i[0]),
            map50_upper: r.map50_interval.map(|i| i[1]),
            train_f1: r.train_f1,
            score_threshold: r.score_threshold,
            n_images: r.n_images,
            n_boxes: r.n_boxes,
            n_batch: r.n_batch,
            qa_verdict: r.qa_verdict.clone(),
            qa_p: r.qa_p,
            gain_per_100_boxes: r.gain.map(|g| g.per_100_boxes),
            gain_lower: r.gain.and_then(|g| g.interval).map(|i| i[0]),
            gain_upper: r.gain.and_then(|g| g.interval).map(|i| i[1]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(iteration: u32, f1: Option<f64>) -> IterationRecord {
        IterationRecord { iteration, f1, ..IterationRecord::default() }
    }

    #[test]
    fn a_redone_iteration_is_replaced_and_not_appended() {
        let dir = tempfile::tempdir().unwrap();
        let (json, csv) = (dir.path().join("history.json"), dir.path().join("t.csv"));
        let mut history = History::default();
        history.upsert(record(0, Some(0.5)));
        history.upsert(record(0, Some(0.6)));
        history.upsert(record(1, None));
        history.save(&json).unwrap();
        assert_eq!(History::load(&json).unwrap(), history);
        history.write_csv(&csv).unwrap();
        let text = std::fs::read_to_string(csv).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.starts_with("iteration,f1,precision,recall,tp,fp,fn,"), "{text}");
        assert!(text.lines().nth(2).unwrap().starts_with("1,,"), "{text}");
    }

    #[test]
    fn the_best_round_is_kept_when_a_later_one_is_worse() {
        let mut history = History::default();
        for (i, f1) in [(0, Some(0.5)), (1, Some(0.7)), (2, Some(0.7)), (3, None)] {
            history.upsert(record(i, f1));
        }
        assert_eq!(history.best().unwrap().iteration, 1);
        history.truncate(1);
        assert_eq!(history.records().len(), 1);
    }

    #[test]
    fn the_gain_has_its_columns_and_older_records_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        let gain = Gain { per_100_boxes: 0.5, interval: Some([0.25, 0.75]), n_rounds: 2 };
        let mut history = History::default();
        history.upsert(IterationRecord { gain: Some(gain), ..record(1, None) });
        history.write_csv(&path).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text.lines().next().unwrap().ends_with(",gain_per_100_boxes,gain_lower,gain_upper"),
            "{text}"
        );
        assert!(text.trim_end().ends_with(",0.5,0.25,0.75"), "{text}");
        let mut older = serde_json::to_value(record(0, None)).unwrap();
        older.as_object_mut().unwrap().remove("gain");
        assert_eq!(serde_json::from_value::<IterationRecord>(older).unwrap(), record(0, None));
    }

    #[test]
    fn a_damaged_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.json");
        std::fs::write(&path, "{").unwrap();
        assert!(History::load(&path).unwrap_err().to_string().contains("history.json"));
    }
}
