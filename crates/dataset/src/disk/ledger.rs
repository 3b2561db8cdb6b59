use std::path::Path;

use labelloop_core::{FrozenTest, LabelledBox, LabelledCuboid, Members, SampleId};
use serde::{Deserialize, Serialize};

use super::{DatasetDir, fs};
use crate::dataset::field;
use crate::{Dataset, DatasetError, Result};

pub(super) const LEDGER: &str = "test_ledger.jsonl";

/// One look at the frozen test set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Number of the look, from 1.
    pub look: u32,
    /// Why.
    pub reason: String,
    /// For what: the digest of the model that is measured.
    pub key: String,
    /// The generation that was looked at.
    pub generation: u64,
    /// Samples in the test set then.
    pub n_samples: usize,
}

/// A recorded look at the frozen test set: the one way to its labels.
#[derive(Debug)]
pub struct TestAccess {
    dataset: Dataset,
    entry: LedgerEntry,
}

impl TestAccess {
    /// What the ledger says about this look.
    pub fn entry(&self) -> &LedgerEntry {
        &self.entry
    }

    /// Samples of the test set.
    pub fn members(&self) -> Members<FrozenTest> {
        self.dataset.members()
    }

    /// Labels of a test picture: `None` when it has none.
    ///
    /// # Errors
    /// [`DatasetError::UnknownField`], [`DatasetError::UnknownSample`]; [`DatasetError::Core`] for a sample of
    /// another split.
    pub fn boxes(&self, name: &str, id: &SampleId) -> Result<Option<&[LabelledBox]>> {
        self.check_member(id)?;
        field(&self.dataset.boxes, "box", name)?.get(id)
    }

    /// Labels of a test point cloud: `None` when it has none.
    ///
    /// # Errors
    /// As [`TestAccess::boxes`].
    pub fn cuboids(&self, name: &str, id: &SampleId) -> Result<Option<&[LabelledCuboid]>> {
        self.check_member(id)?;
        field(&self.dataset.cuboids, "cuboid", name)?.get(id)
    }

    fn check_member(&self, id: &SampleId) -> Result<()> {
        let sample = self.dataset.sample(id)?;
        if !self.dataset.is_test(id) {
            let found = sample.split.map_or("none", labelloop_core::Split::as_str);
            let core = labelloop_core::CoreError::WrongSplit { id: id.to_string(), found, expected: "test" };
            return Err(core.into());
        }
        Ok(())
    }
}

impl DatasetDir {
    /// Opens the frozen test set for one measurement. The look is on disk in `test_ledger.jsonl` before anything is
    /// handed out. The same reason and key again are the same look, so a run that was interrupted can be resumed
    /// without spending another one.
    ///
    /// `key` names what is measured (the digest of the model), `budget` is how many looks the project allows itself;
    /// one is what a final number needs.
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
    /// # let folder = tempfile::tempdir()?;
    /// # let dir = DatasetDir::init(folder.path(), dataset.name(), dataset.schema())?;
    /// dir.writer()?.commit(&dataset, "split")?;
    /// let access = dir.open_test("final number", "model-1f3a", 1)?;
    /// assert_eq!(access.members().len(), 1);
    /// assert!(dir.open_test("final number", "model-1f3a", 1).is_ok(), "a resumed run is the same look");
    /// assert!(matches!(dir.open_test("once more", "model-1f3a", 1), Err(DatasetError::TestBudgetSpent { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::NoReason`] for an empty reason or key, [`DatasetError::TestBudgetSpent`],
    /// [`DatasetError::Corrupt`] for a damaged ledger, and as [`DatasetDir::read`].
    pub fn open_test(&self, reason: &str, key: &str, budget: u32) -> Result<TestAccess> {
        for (what, text) in [("reason", reason), ("key", key)] {
            if text.trim().is_empty() {
                return Err(DatasetError::NoReason { what });
            }
        }
        let dataset = self.read()?;
        let path = self.path().join(LEDGER);
        let mut file = self.disk.open(&path)?;
        self.disk.lock(&file, &path)?;
        let entries = read_ledger(&path)?;
        if let Some(entry) = entries.iter().find(|e| e.reason == reason && e.key == key) {
            return Ok(TestAccess { dataset, entry: entry.clone() });
        }
        let used = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        if used >= budget {
            let last = entries.last().map(|e| e.reason.clone()).unwrap_or_default();
            return Err(DatasetError::TestBudgetSpent { used, budget, last });
        }
        let entry = LedgerEntry {
            look: used + 1,
            reason: reason.to_owned(),
            key: key.to_owned(),
            generation: dataset.generation().unwrap_or_default(),
            n_samples: dataset.members::<FrozenTest>().len(),
        };
        let mut line = serde_json::to_vec(&entry).map_err(|e| super::manifest::bad_json(&path, &e))?;
        line.push(b'\n');
        self.disk.append(&mut file, &path, complete(&fs::read(&path)?) as u64, &line)?;
        self.disk.sync_dir(self.path())?;
        Ok(TestAccess { dataset, entry })
    }

    /// All looks at the test set, oldest first.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] with the line at fault, [`DatasetError::Io`].
    pub fn test_ledger(&self) -> Result<Vec<LedgerEntry>> {
        read_ledger(&self.path().join(LEDGER))
    }
}

/// Complete lines only: what is behind them was cut off before anything was handed out, so it is no look.
fn read_ledger(path: &Path) -> Result<Vec<LedgerEntry>> {
    if !path.exists() {
        return Ok(vec![]);
    }
    let bytes = fs::read(path)?;
    let parse = |(i, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|e| {
            DatasetError::corrupt(path, format!("line {}: {e}", i + 1), "one look as JSON per line")
        })
    };
    bytes[..complete(&bytes)].split_inclusive(|b| *b == b'\n').enumerate().map(parse).collect()
}

/// How many bytes of a ledger are whole lines. A crash may cut the last line off before its line feed, and a loss of
/// power may leave zeros in it, where its bytes did not reach the disk in time; JSON has none.
pub(super) fn complete(bytes: &[u8]) -> usize {
    let written = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes[..written].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_never_reached_the_disk_are_not_counted() {
        for (bytes, n) in [("", 0), ("{}", 0), ("{}\n", 3), ("{}\n{", 3), ("{}\n{\0\0\n", 3), ("\0\0\0\n", 0)]
        {
            assert_eq!(complete(bytes.as_bytes()), n, "{bytes:?}");
        }
    }
}
