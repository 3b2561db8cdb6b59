use std::collections::BTreeMap;
use std::fmt;

use labelloop_core::{GroupKey, Split};
use serde::{Deserialize, Serialize};

use super::GroupSummary;
use super::params::{SplitValidParams, index};

/// How a split came out: what was asked for, what was reached, and what could not be met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitReport {
    /// Split of every group, old and new.
    pub assignment: BTreeMap<GroupKey, Split>,
    /// Groups that were assigned by this run; the others had a split before.
    pub n_new_groups: usize,
    /// One row per split, in the order of [`Split::ALL`].
    pub shares: Vec<ShareRow>,
    /// One row per class, in the order of names. Empty when groups bring no labels.
    pub classes: Vec<ClassRow>,
    /// The class and split with the fewest groups, among the splits in use; the weakest place of any statistic.
    pub smallest_cell: Option<Cell>,
    /// What was asked for and could not be met.
    pub unmet: Vec<Unmet>,
}

/// Shares of one split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShareRow {
    /// The split.
    pub split: Split,
    /// Share asked for.
    pub asked: f64,
    /// Groups in the split.
    pub n_groups: usize,
    /// Samples in the split.
    pub n_samples: usize,
    /// Share reached, counted in groups.
    pub reached_groups: f64,
    /// Share reached, counted in samples; `None` when there is no sample.
    pub reached_samples: Option<f64>,
}

/// Where a class ended up; all arrays are in the order of [`Split::ALL`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassRow {
    /// The class.
    pub class: String,
    /// Groups that hold it, by split.
    pub n_groups: [usize; 4],
    /// Objects of it, by split.
    pub n_objects: [usize; 4],
    /// Shares of its objects, by split; to compare with the shares asked for.
    pub reached: [f64; 4],
}

/// One class in one split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The class.
    pub class: String,
    /// The split.
    pub split: Split,
    /// Groups of the split that hold the class.
    pub n_groups: usize,
    /// Objects of the class in the split.
    pub n_objects: usize,
}

/// Something that was asked for and could not be met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unmet {
    /// A class that a split does not hold.
    ClassMissing {
        /// The class.
        class: String,
        /// The split.
        split: Split,
        /// Groups of the whole data that hold the class.
        n_groups: usize,
    },
    /// A share that is off by more than one group: old groups do not move, and no split in use stays empty.
    ShareOff {
        /// The split.
        split: Split,
        /// Share asked for.
        asked: f64,
        /// Share reached, counted in groups.
        reached: f64,
    },
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClassMissing { class, split, n_groups } => {
                write!(f, "class {class:?} is missing in {split}: {n_groups} of all groups hold it")
            }
            Self::ShareOff { split, asked, reached } => {
                write!(
                    f,
                    "{split} was to get {:.1}% of groups and has {:.1}%",
                    100.0 * asked,
                    100.0 * reached
                )
            }
        }
    }
}

impl SplitReport {
    pub(super) fn new(
        groups: &[&GroupSummary],
        assignment: BTreeMap<GroupKey, Split>,
        n_new_groups: usize,
        params: &SplitValidParams,
    ) -> Self {
        let shares = share_rows(groups, &assignment, params);
        let classes = class_rows(groups, &assignment);
        let cells = || classes.iter().flat_map(|row| cells_of(row, params));
        let smallest_cell = cells().min_by_key(|c| (c.n_groups, c.n_objects));
        let mut unmet: Vec<Unmet> =
            cells().filter(|c| c.n_groups == 0).map(|c| missing(&classes, c)).collect();
        let n_groups = assignment.len() as f64;
        unmet.extend(
            shares
                .iter()
                .filter(|r| (r.reached_groups - r.asked).abs() * n_groups >= 1.0 - 1e-9)
                .map(|r| Unmet::ShareOff { split: r.split, asked: r.asked, reached: r.reached_groups }),
        );
        Self { assignment, n_new_groups, shares, classes, smallest_cell, unmet }
    }
}

fn share_rows(
    groups: &[&GroupSummary],
    assignment: &BTreeMap<GroupKey, Split>,
    params: &SplitValidParams,
) -> Vec<ShareRow> {
    let (mut n_groups, mut n_samples) = ([0usize; 4], [0usize; 4]);
    for group in groups {
        if let Some(split) = assignment.get(&group.key) {
            n_groups[index(*split)] += 1;
            n_samples[index(*split)] += group.n_samples;
        }
    }
    let all_groups: usize = n_groups.iter().sum();
    let all_samples: usize = n_samples.iter().sum();
    let row = |(i, split): (usize, Split)| ShareRow {
        split,
        asked: params.shares[i].get(),
        n_groups: n_groups[i],
        n_samples: n_samples[i],
        reached_groups: n_groups[i] as f64 / all_groups.max(1) as f64,
        reached_samples: (all_samples > 0).then(|| n_samples[i] as f64 / all_samples as f64),
    };
    Split::ALL.into_iter().enumerate().map(row).collect()
}

fn class_rows(groups: &[&GroupSummary], assignment: &BTreeMap<GroupKey, Split>) -> Vec<ClassRow> {
    let mut rows: BTreeMap<&str, ([usize; 4], [usize; 4])> = BTreeMap::new();
    for group in groups {
        let Some(split) = assignment.get(&group.key) else { continue };
        for (class, n) in group.class_counts.iter().filter(|(_, n)| **n > 0) {
            let (n_groups, n_objects) = rows.entry(class).or_default();
            n_groups[index(*split)] += 1;
            n_objects[index(*split)] += n;
        }
    }
    let row = |(class, (n_groups, n_objects)): (&str, ([usize; 4], [usize; 4]))| {
        let total: usize = n_objects.iter().sum();
        let reached = n_objects.map(|n| n as f64 / total.max(1) as f64);
        ClassRow { class: class.to_owned(), n_groups, n_objects, reached }
    };
    rows.into_iter().map(row).collect()
}

fn cells_of(row: &ClassRow, params: &SplitValidParams) -> Vec<Cell> {
    let used = Split::ALL.into_iter().enumerate().filter(|(i, _)| params.is_used(*i));
    used.map(|(i, split)| Cell {
        class: row.class.clone(),
        split,
        n_groups: row.n_groups[i],
        n_objects: row.n_objects[i],
    })
    .collect()
}

fn missing(classes: &[ClassRow], cell: Cell) -> Unmet {
    let n_groups = classes.iter().find(|r| r.class == cell.class).map_or(0, |r| r.n_groups.iter().sum());
    Unmet::ClassMissing { class: cell.class, split: cell.split, n_groups }
}

impl fmt::Display for SplitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "split    asked  groups         samples")?;
        for r in &self.shares {
            let samples = r.reached_samples.map_or("-".to_owned(), |s| format!("{:.1}%", 100.0 * s));
            let (name, asked, reached) = (r.split.as_str(), 100.0 * r.asked, 100.0 * r.reached_groups);
            writeln!(
                f,
                "{name:<7} {asked:>5.1}%  {:>6} {reached:>5.1}% {:>8} {samples:>6}",
                r.n_groups, r.n_samples
            )?;
        }
        fmt_classes(&self.classes, f)?;
        if let Some(c) = &self.smallest_cell {
            let (class, split) = (&c.class, c.split);
            writeln!(f, "smallest cell: {class} in {split}, {} groups, {} objects", c.n_groups, c.n_objects)?;
        }
        for unmet in &self.unmet {
            writeln!(f, "not met: {unmet}")?;
        }
        Ok(())
    }
}

/// Objects of each class by split, with their shares, and how many groups hold them.
fn fmt_classes(classes: &[ClassRow], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(width) = classes.iter().map(|r| r.class.chars().count()).max() else { return Ok(()) };
    let width = width.max("objects".len());
    let heads = Split::ALL.map(|s| format!("{:>22}", s.as_str()));
    writeln!(f, "{:<width$}{}", "objects", heads.join(""))?;
    for row in classes {
        write!(f, "{:<width$}", row.class)?;
        for i in 0..4 {
            let of_groups = format!("in {}", row.n_groups[i]);
            write!(f, "{:>8} {:>5.1}% {of_groups:>7}", row.n_objects[i], 100.0 * row.reached[i])?;
        }
        writeln!(f)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use labelloop_core::GroupKey;

    use crate::{SplitParams, assign_splits};

    use super::*;

    #[test]
    fn the_proof_lists_shares_classes_and_the_smallest_cell() {
        let groups: Vec<GroupSummary> = (0..20)
            .map(|i| GroupSummary {
                key: GroupKey::new(format!("g{i}")).unwrap(),
                n_samples: 2,
                class_counts: [("car".to_owned(), 10), ("tram".to_owned(), usize::from(i < 5))].into(),
            })
            .collect();
        let report = assign_splits(&groups, &BTreeMap::new(), &SplitParams::default()).unwrap();
        let car = &report.classes[0];
        assert_eq!((car.n_objects, car.n_groups), ([30, 30, 10, 130], [3, 3, 1, 13]));
        assert_eq!(car.reached, [0.15, 0.15, 0.05, 0.65]);
        let words = report.to_string();
        for line in [
            "test     15.0%       3  15.0%        6  15.0%",
            "smallest cell: tram in ",
            "      30  15.0%    in 3",
        ] {
            assert!(words.contains(line), "{line:?} in {words}");
        }
        assert!(words.lines().any(|l| l.starts_with("tram")), "{words}");
    }
}
