use serde::{Deserialize, Serialize};

use crate::{GoldenReport, LabelTotals, QaError, Result, StatisticResult, Verdict};

/// One golden check, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Iteration of the loop, from 0.
    pub iteration: u64,
    /// Version of the golden set.
    pub golden_version: String,
    /// Digest of the labels checked.
    pub label_digest: String,
    /// Digest of the reference labels.
    pub reference_digest: String,
    /// The conclusion.
    pub verdict: Verdict,
    /// Family-wise p-value.
    pub p_value: Option<f64>,
    /// Counts of the round, every class of the schema.
    pub totals: LabelTotals,
    /// All statistics.
    pub statistics: Vec<StatisticResult>,
    /// Digests of the calibration rounds. Empty in histories written before they were kept.
    #[serde(default)]
    pub calibration_digests: Vec<String>,
    /// Samples of the whole golden set, of which `totals` counts those that were compared. None in histories written
    /// before rounds showed a part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_golden: Option<usize>,
    /// [`GoldenReport::can_calibrate`]; none in histories written before it was kept, where PASS says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_calibrate: Option<bool>,
}

impl HistoryEntry {
    /// What to keep of a report.
    pub fn of(iteration: u64, golden_version: impl Into<String>, report: &GoldenReport) -> Self {
        Self {
            iteration,
            golden_version: golden_version.into(),
            label_digest: report.current_digest.clone(),
            reference_digest: report.reference_digest.clone(),
            verdict: report.verdict,
            p_value: report.p_value,
            totals: report.current.clone(),
            statistics: report.statistics.clone(),
            calibration_digests: report.calibration_digests.clone(),
            n_golden: None,
            can_calibrate: Some(report.can_calibrate()),
        }
    }

    /// Whether the labels checked may calibrate later rounds.
    pub fn is_good(&self) -> bool {
        self.can_calibrate.unwrap_or(self.verdict == Verdict::Pass)
    }

    /// The same of a round that shows a part of the golden set: keyed by all labels that came back, and with the digest of
    /// the reference as a whole, since a part of it would look like an edited reference.
    #[must_use]
    pub fn of_part(
        self,
        label_digest: impl Into<String>,
        reference_digest: impl Into<String>,
        n_golden: usize,
    ) -> Self {
        Self {
            label_digest: label_digest.into(),
            reference_digest: reference_digest.into(),
            n_golden: Some(n_golden),
            ..self
        }
    }

    fn key(&self) -> (u64, &str, &str) {
        (self.iteration, &self.golden_version, &self.label_digest)
    }
}

/// What an upsert did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upsert {
    /// The key is new.
    Inserted,
    /// The same entry was there: nothing changed.
    Unchanged,
    /// An entry of this key was there with other content (other parameters) and was replaced.
    Replaced,
}

/// All golden checks, keyed by iteration, golden version and label digest, in that order.
///
/// Checking the same labels again changes nothing; no class is ever left out.
///
/// ```
/// use labelloop_qa::History;
///
/// let history: History = History::default();
/// assert!(history.entries().is_empty());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<HistoryEntry>", into = "Vec<HistoryEntry>")]
pub struct History {
    entries: Vec<HistoryEntry>,
}

impl From<Vec<HistoryEntry>> for History {
    /// Puts entries in order; of entries with one key the last stays.
    fn from(entries: Vec<HistoryEntry>) -> Self {
        let mut history = Self::default();
        for entry in entries {
            history.place(entry);
        }
        history
    }
}

impl From<History> for Vec<HistoryEntry> {
    fn from(history: History) -> Self {
        history.entries
    }
}

impl History {
    /// Entries in the order of their keys.
    pub fn entries(&self) -> &[HistoryEntry] {
        &self.entries
    }

    /// Adds or replaces the entry of its key.
    ///
    /// # Errors
    /// [`QaError::ReferenceEdited`] when the golden version is known with other reference labels: whoever corrects the
    /// reference gives it a new version, or rounds before and after could not be compared. The history is unchanged.
    pub fn upsert(&mut self, entry: HistoryEntry) -> Result<Upsert> {
        let edited = |e: &&HistoryEntry| {
            e.golden_version == entry.golden_version && e.reference_digest != entry.reference_digest
        };
        if let Some(known) = self.entries.iter().find(edited) {
            return Err(QaError::ReferenceEdited {
                version: entry.golden_version.clone(),
                found: entry.reference_digest.clone(),
                expected: known.reference_digest.clone(),
            });
        }
        Ok(self.place(entry))
    }

    fn place(&mut self, entry: HistoryEntry) -> Upsert {
        match self.entries.binary_search_by(|e| e.key().cmp(&entry.key())) {
            Ok(i) if self.entries[i] == entry => Upsert::Unchanged,
            Ok(i) => {
                self.entries[i] = entry;
                Upsert::Replaced
            }
            Err(i) => {
                self.entries.insert(i, entry);
                Upsert::Inserted
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(iteration: u64, version: &str, labels: &str, reference: &str) -> HistoryEntry {
        HistoryEntry {
            iteration,
            golden_version: version.into(),
            label_digest: labels.into(),
            reference_digest: reference.into(),
            verdict: Verdict::Pass,
            p_value: Some(0.5),
            totals: LabelTotals { n_images: 1, n_labelled_images: 0, n_objects: 0, classes: vec![] },
            statistics: vec![],
            calibration_digests: vec![],
            n_golden: None,
            can_calibrate: None,
        }
    }

    #[test]
    fn a_rerun_changes_nothing() {
        let mut history = History::default();
        assert_eq!(history.upsert(entry(0, "v0", "a", "r")).unwrap(), Upsert::Inserted);
        let before = serde_json::to_string(&history).unwrap();
        assert_eq!(history.upsert(entry(0, "v0", "a", "r")).unwrap(), Upsert::Unchanged);
        assert_eq!(serde_json::to_string(&history).unwrap(), before);
        assert_eq!(
            history.upsert(HistoryEntry { p_value: None, ..entry(0, "v0", "a", "r") }).unwrap(),
            Upsert::Replaced
        );
        assert_eq!(history.entries().len(), 1);
    }

    #[test]
    fn order_is_that_of_keys_whatever_came_first() {
        let mut history = History::default();
        for e in [entry(2, "v0", "c", "r"), entry(0, "v0", "b", "r"), entry(0, "v0", "a", "r")] {
            history.upsert(e).unwrap();
        }
        let keys: Vec<_> = history.entries().iter().map(|e| (e.iteration, e.label_digest.as_str())).collect();
        assert_eq!(keys, [(0, "a"), (0, "b"), (2, "c")]);
        let back: History = serde_json::from_str(&serde_json::to_string(&history).unwrap()).unwrap();
        assert_eq!(back, history);
    }

    #[test]
    fn an_edited_reference_needs_a_new_version() {
        let mut history = History::default();
        history.upsert(entry(0, "v0", "a", "r")).unwrap();
        assert!(matches!(
            history.upsert(entry(1, "v0", "b", "other")),
            Err(QaError::ReferenceEdited { found, expected, .. }) if found == "other" && expected == "r"
        ));
        assert_eq!(history.entries().len(), 1);
        assert!(history.upsert(entry(1, "v1", "b", "other")).is_ok());
    }

    #[test]
    fn histories_from_before_calibration_rounds_were_named_are_read() {
        let mut old = serde_json::to_value(entry(1, "v", "b", "r")).unwrap();
        old.as_object_mut().unwrap().remove("calibration_digests").unwrap();
        let read: HistoryEntry = serde_json::from_value(old).unwrap();
        assert_eq!(read, entry(1, "v", "b", "r"));
    }

    #[test]
    fn parts_of_one_reference_are_no_edit_of_it() {
        let mut history = History::default();
        history.upsert(entry(0, "1", "first part", "part a").of_part("a", "whole", 40)).unwrap();
        history.upsert(entry(1, "1", "second part", "part b").of_part("b", "whole", 40)).unwrap();
        let kept: Vec<_> = history.entries().iter().map(|e| (e.label_digest.as_str(), e.n_golden)).collect();
        assert_eq!(kept, [("a", Some(40)), ("b", Some(40))]);
        assert!(history.upsert(entry(2, "1", "c", "part c")).is_err());
    }

    #[test]
    fn a_file_in_another_order_is_put_right() {
        let json = serde_json::to_string(&[entry(1, "v", "b", "r"), entry(0, "v", "a", "r")]).unwrap();
        let history: History = serde_json::from_str(&json).unwrap();
        assert_eq!(history.entries()[0].iteration, 0);
    }
}
