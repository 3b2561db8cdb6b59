//! What was found, one line for each choice, so that a run can be stopped and go on.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Whether anything is labelled before the method chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Setting {
    /// Nothing.
    Cold,
    /// Half of the budget, chosen by chance and the same for all methods of a seed.
    Given,
}

/// What a choice is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) data: String,
    pub(crate) setting: Setting,
    pub(crate) seed: u64,
    pub(crate) method: String,
    /// Number of the random selection; 0 for all others.
    pub(crate) draw: u32,
    /// Budget in thousandths of the pool.
    pub(crate) permille: u32,
}

/// One choice and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(flatten)]
    pub(crate) key: Key,
    pub(crate) n_pool: usize,
    /// Pictures in the choice, with those that were labelled before.
    pub(crate) n_chosen: usize,
    pub(crate) n_boxes: usize,
    pub(crate) mean_distance: f64,
    pub(crate) max_distance: f64,
    pub(crate) within: f64,
    pub(crate) rare_recall: f64,
    pub(crate) rare_found: f64,
    pub(crate) classes_found: f64,
    pub(crate) map50: Option<f64>,
    pub(crate) rare_map50: Option<f64>,
    /// Time of choosing alone.
    pub(crate) milliseconds: f64,
}

/// All records, in memory and on disk.
pub(crate) struct Ledger {
    file: File,
    records: BTreeMap<Key, Record>,
}

impl Ledger {
    /// Opens or starts a file. A last line that was cut off is dropped; anything else that is no record is refused.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let text = if path.exists() {
            std::fs::read_to_string(path).with_context(|| path.display().to_string())?
        } else {
            String::new()
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut records = BTreeMap::new();
        for (i, line) in text[..whole].lines().enumerate() {
            let place = || format!("{}, line {}", path.display(), i + 1);
            let record: Record = serde_json::from_str(line).with_context(place)?;
            records.insert(record.key.clone(), record);
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        file.set_len(whole as u64)?;
        Ok(Self { file, records })
    }

    /// Whether a choice is known; with `learned`, whether a detector learned from it.
    pub(crate) fn holds(&self, key: &Key, learned: bool) -> bool {
        self.records.get(key).is_some_and(|r| !learned || r.map50.is_some())
    }

    /// Adds a record; a later one of the same choice takes the place of the earlier.
    pub(crate) fn add(&mut self, record: Record) -> anyhow::Result<()> {
        if !(record.mean_distance.is_finite() && record.max_distance.is_finite()) {
            bail!("{:?}: expected at least one picture in the choice", record.key);
        }
        let line = format!("{}\n", serde_json::to_string(&record)?);
        self.file.write_all(line.as_bytes())?;
        self.records.insert(record.key.clone(), record);
        Ok(())
    }

    /// All of them, by key.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record of one choice with an mAP.
    pub(crate) fn record(method: &str, seed: u64, permille: u32, map50: f64) -> Record {
        Record {
            key: Key {
                data: "d".into(),
                setting: Setting::Cold,
                seed,
                method: method.into(),
                draw: 0,
                permille,
            },
            n_pool: 100,
            n_chosen: 10,
            n_boxes: 20,
            mean_distance: 1.0,
            max_distance: 2.0,
            within: 0.5,
            rare_recall: 0.25,
            rare_found: 1.0,
            classes_found: 1.0,
            map50: Some(map50),
            rare_map50: None,
            milliseconds: 3.0,
        }
    }

    #[test]
    fn what_was_written_is_there_again_and_a_cut_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        let (a, b) = (record("a", 1, 20, 0.5), record("b", 1, 20, 0.25));
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.add(a.clone()).unwrap();
        ledger.add(b.clone()).unwrap();
        drop(ledger);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 9]).unwrap();
        let mut ledger = Ledger::open(&path).unwrap();
        assert!(ledger.holds(&a.key, true) && !ledger.holds(&b.key, false));
        ledger.add(b.clone()).unwrap();
        assert_eq!(Ledger::open(&path).unwrap().records().cloned().collect::<Vec<_>>(), [a, b]);
    }

    #[test]
    fn a_choice_without_detector_is_known_but_not_learned() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(&folder.path().join("r.jsonl")).unwrap();
        let record = Record { map50: None, ..record("a", 1, 20, 0.0) };
        ledger.add(record.clone()).unwrap();
        assert!(ledger.holds(&record.key, false) && !ledger.holds(&record.key, true));
    }

    #[test]
    fn foreign_lines_are_refused_with_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        std::fs::write(&path, "{}\n").unwrap();
        assert!(Ledger::open(&path).err().unwrap().to_string().contains("line 1"));
    }
}
