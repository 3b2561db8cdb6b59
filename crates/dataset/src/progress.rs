use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use labelloop_core::{CaptureId, Split};
use serde::{Deserialize, Serialize};

use crate::{Dataset, Sample, Status};

/// Samples by status. They add up to the total, since every sample has exactly one status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All samples.
    pub total: usize,
    /// Nobody was asked to look.
    pub unlabeled: usize,
    /// In a batch that is out.
    pub selected: usize,
    /// In a batch that came back without them.
    pub pending: usize,
    /// With at least one object.
    pub annotated: usize,
    /// Looked at and empty.
    pub verified_empty: usize,
    /// Test, val and golden.
    pub frozen: usize,
}

impl Counts {
    /// Samples that people finished.
    pub fn done(&self) -> usize {
        self.annotated + self.verified_empty
    }

    /// `part` in percent of all samples, nothing when there is none.
    pub fn percent(&self, part: usize) -> Option<f64> {
        (self.total > 0).then(|| 100.0 * part as f64 / self.total as f64)
    }

    fn add(&mut self, status: Status) {
        self.total += 1;
        *match status {
            Status::Unlabeled => &mut self.unlabeled,
            Status::Selected => &mut self.selected,
            Status::Pending => &mut self.pending,
            Status::Annotated => &mut self.annotated,
            Status::VerifiedEmpty => &mut self.verified_empty,
            Status::Frozen => &mut self.frozen,
        } += 1;
    }
}

/// One split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressRow {
    /// The split; `None` for samples that no split run has seen yet.
    pub split: Option<Split>,
    /// Its samples by status.
    pub samples: Counts,
    /// Captures in it.
    pub n_captures: usize,
    /// Groups in it.
    pub n_groups: usize,
}

/// One batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRow {
    /// Its number.
    pub number: u32,
    /// Its samples by status.
    pub samples: Counts,
}

/// Where the project is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressTable {
    /// One row per split in the order of [`Split::ALL`], and one for samples without a split where there are any.
    pub splits: Vec<ProgressRow>,
    /// One row per batch in the order of numbers.
    pub batches: Vec<BatchRow>,
    /// Pool samples that [`Dataset::quarantine`] keeps out of selection and training, whatever their status.
    #[serde(default)]
    pub n_kept_out: usize,
}

impl ProgressTable {
    /// Samples of the pool by status.
    pub fn pool(&self) -> Counts {
        self.splits.iter().find(|r| r.split == Some(Split::Pool)).map(|r| r.samples).unwrap_or_default()
    }
}

impl Dataset {
    /// Counts of all samples by split and status, and by batch and status.
    ///
    /// ```
    /// use labelloop_core::ClassSchema;
    /// use labelloop_dataset::Dataset;
    ///
    /// let empty = Dataset::new("cells", ClassSchema::new(["red"])?);
    /// assert!(empty.progress().to_string().contains("Pool total:      0"));
    /// assert_eq!(empty.progress().pool().percent(0), None);
    /// # Ok::<(), labelloop_core::CoreError>(())
    /// ```
    pub fn progress(&self) -> ProgressTable {
        let unsplit = self.samples.values().any(|s| s.split.is_none()).then_some(None);
        let splits = Split::ALL.into_iter().map(Some).chain(unsplit).map(|split| self.progress_row(split));
        let mut batches: BTreeMap<u32, Counts> = BTreeMap::new();
        for sample in self.samples.values() {
            if let Some(number) = sample.batch {
                batches.entry(number).or_default().add(sample.status);
            }
        }
        let batches = batches.into_iter().map(|(number, samples)| BatchRow { number, samples }).collect();
        let n_kept_out = self.quarantine().map_or(0, |kept_out| kept_out.len());
        ProgressTable { splits: splits.collect(), batches, n_kept_out }
    }

    fn progress_row(&self, split: Option<Split>) -> ProgressRow {
        let mut samples = Counts::default();
        let mut captures: BTreeSet<&CaptureId> = BTreeSet::new();
        let mut groups = BTreeSet::new();
        let of_split = |s: &&Sample| s.split == split;
        for sample in self.samples.values().filter(of_split) {
            samples.add(sample.status);
            captures.insert(&sample.capture);
            groups.insert(&sample.group);
        }
        ProgressRow { split, samples, n_captures: captures.len(), n_groups: groups.len() }
    }
}

const RULE: &str = "========================================";

impl fmt::Display for ProgressTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{RULE}\nANNOTATION PROGRESS\n{RULE}")?;
        let pool = self.pool();
        writeln!(f, "Pool total:      {}", pool.total)?;
        let line = |f: &mut fmt::Formatter<'_>, name: &str, n: usize| match pool.percent(n) {
            Some(p) => writeln!(f, "{:<16} {n} ({p:.0}%)", format!("{name}:")),
            None => writeln!(f, "{:<16} {n}", format!("{name}:")),
        };
        for b in &self.batches {
            line(f, &format!("Annotated (v{})", b.number), b.samples.done())?;
        }
        line(f, "Verified empty", pool.verified_empty)?;
        for b in self.batches.iter().filter(|b| b.samples.selected > 0) {
            line(f, &format!("Selected (v{})", b.number), b.samples.selected)?;
        }
        line(f, "Pending", pool.pending)?;
        line(f, "Still unlabeled", pool.unlabeled)?;
        if self.n_kept_out > 0 {
            line(f, "Kept out", self.n_kept_out)?;
        }
        writeln!(f, "{RULE}")?;
        self.fmt_splits(f)?;
        write!(f, "{RULE}")
    }
}

impl ProgressTable {
    /// A row for each split: its share of all samples, and its samples by status in percent of the split.
    fn fmt_splits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: usize = self.splits.iter().map(|r| r.samples.total).sum();
        writeln!(
            f,
            "split     samples        captures  groups  annotated     selected      pending       unlabeled"
        )?;
        for row in &self.splits {
            let name = row.split.map_or("unsplit", Split::as_str);
            let share = 100.0 * row.samples.total as f64 / all.max(1) as f64;
            write!(
                f,
                "{name:<8} {:>8} {share:>5.1}%  {:>8}  {:>6}",
                row.samples.total, row.n_captures, row.n_groups
            )?;
            let s = row.samples;
            if row.split.is_none_or(|split| split == Split::Pool) {
                for n in [s.done(), s.selected, s.pending, s.unlabeled] {
                    let percent = s.percent(n).map_or("-".to_owned(), |p| format!("{p:.0}%"));
                    write!(f, "  {n:>6} {percent:>5}")?;
                }
            } else {
                write!(f, "  frozen")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use labelloop_core::Split;

    use crate::HUMAN_LABELS;
    use crate::testing::{a_box, ids, pool_of, scene, split_scene};

    #[test]
    fn counts_add_up_through_a_batch() {
        let mut d = pool_of(10);
        d.begin_batch(0, &ids(&["s0", "s1", "s2"])).unwrap();
        let back = BTreeMap::from([
            (ids(&["s0"]).remove(0), Some(vec![a_box(0)])),
            (ids(&["s1"]).remove(0), Some(vec![])),
        ]);
        d.finish_batch(0, back, HUMAN_LABELS, "a").unwrap();
        d.begin_batch(1, &ids(&["s3"])).unwrap();
        let table = d.progress();
        let pool = table.pool();
        assert_eq!((pool.annotated, pool.verified_empty, pool.pending), (1, 1, 1));
        assert_eq!((pool.selected, pool.unlabeled, pool.frozen), (1, 6, 0));
        assert_eq!(pool.done() + pool.pending + pool.selected + pool.unlabeled, pool.total);
        assert_eq!(table.batches.len(), 2);
        let text = table.to_string();
        for line in ["Pool total:      10", "Annotated (v0):  2 (20%)", "Selected (v1):   1 (10%)"] {
            assert!(text.contains(line), "{text}");
        }
        assert!(text.contains("Still unlabeled: 6 (60%)"), "{text}");
        let pool_row = "pool           10 100.0%        10      10       2   20%       1   10%       1   10%       6   60%";
        assert!(text.contains(pool_row), "{text}");
        assert!(!text.contains("Kept out"), "{text}");
    }

    #[test]
    fn what_is_kept_out_is_counted() {
        let mut d = split_scene(20);
        let of = |split| d.samples().values().find(|s| s.split == Some(split)).unwrap().id.clone();
        let pair = crate::NearDuplicate::new(of(Split::Pool), of(Split::Val), crate::Likeness::Content);
        d.keep_near_duplicates([pair]).unwrap();
        let table = d.progress();
        assert_eq!(table.n_kept_out, 3, "all slices of the capture");
        assert!(table.to_string().contains("Kept out:        3 (8%)"), "{table}");
    }

    #[test]
    fn splits_have_rows_and_unsplit_samples_too() {
        let table = split_scene(20).progress();
        let total: usize = table.splits.iter().map(|r| r.samples.total).sum();
        assert_eq!((table.splits.len(), total), (4, 60));
        assert_eq!(table.splits[0].samples.frozen, table.splits[0].samples.total);
        assert_eq!(table.splits[0].n_groups, 3);
        let before = scene(2).progress();
        assert_eq!(before.splits[4].samples.unlabeled, 6);
        assert!(before.to_string().contains("unsplit"));
    }
}
