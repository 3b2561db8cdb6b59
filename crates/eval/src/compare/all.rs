use std::collections::BTreeMap;
use std::fmt;

use labelloop_core::{ClassIdx, GroupKey, SampleId};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Comparison;
use crate::bootstrap::{BootstrapParams, Metric, Sampler, Units};
use crate::case::checked_by_id;
use crate::coco::{CocoParams, observe_all};
use crate::multiplicity::{Correction, adjust_known};
use crate::slices::{SliceBy, SliceKey, SliceParams, SliceSampler, samplers};
use crate::{ImageCase, Result};

/// How two detectors are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompareParams {
    /// COCO's protocol. Default: its own.
    pub coco: CocoParams,
    /// The number compared overall and for each class. Default: COCO's AP.
    pub metric: Metric,
    /// Where slices begin and end; the number compared for each is average precision at their IoU.
    pub slices: SliceParams,
    /// How chance is drawn. Default: 2000 draws, because p-values are never below `2 / (draws + 1)` and correction
    /// multiplies them by up to the number of classes and slices.
    pub bootstrap: BootstrapParams,
    /// How p-values of classes and slices are corrected. Default: Holm.
    pub correction: Correction,
}

impl Default for CompareParams {
    fn default() -> Self {
        Self {
            coco: CocoParams::default(),
            metric: Metric::Map,
            slices: SliceParams::default(),
            bootstrap: BootstrapParams { n_draws: 2000, ..BootstrapParams::default() },
            correction: Correction::Holm,
        }
    }
}

/// Parameters that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct CompareValidParams(CompareParams);

impl CompareParams {
    /// # Errors
    /// Those of [`CocoParams::check`], [`SliceParams::check`] and [`BootstrapParams::check`].
    pub fn check(self) -> Result<CompareValidParams> {
        self.coco.clone().check()?;
        self.slices.clone().check()?;
        self.bootstrap.clone().check()?;
        Ok(CompareValidParams(self))
    }
}

impl CompareValidParams {
    /// The parameters.
    pub fn get(&self) -> &CompareParams {
        &self.0
    }
}

/// What a row of a [`ComparisonReport`] is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subject {
    /// One class.
    Class(ClassIdx),
    /// One value of an attribute.
    Slice {
        /// The attribute.
        by: String,
        /// Its value.
        value: String,
    },
}

/// The difference in one class or slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// The class or slice.
    pub subject: Subject,
    /// The difference and its p-value before correction.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// The p-value corrected for the number of rows that have one.
    pub p_adjusted: Option<f64>,
}

/// Two detectors, number by number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonReport {
    /// The one question asked first; its p-value needs no correction.
    pub overall: Comparison,
    /// Classes with a label in their order, then slices with a label: one family of questions.
    pub rows: Vec<ComparisonRow>,
    /// How the family was corrected.
    pub correction: Correction,
    /// The least p-value that so many draws can give, before correction.
    pub least_p_value: f64,
}

impl ComparisonReport {
    /// Rows whose corrected p-value is at most `level`.
    pub fn significant(&self, level: f64) -> impl Iterator<Item = &ComparisonRow> {
        self.rows.iter().filter(move |row| row.p_adjusted.is_some_and(|p| p <= level))
    }

    /// Whether even the clearest difference could pass `level` after Holm's correction with so many draws; more draws
    /// are needed otherwise.
    pub fn can_reach(&self, level: f64) -> bool {
        let n_asked = self.rows.iter().filter(|row| row.comparison.p_value.is_some()).count();
        self.least_p_value * n_asked.max(1) as f64 <= level
    }
}

/// Compares two detectors overall, class by class and slice by slice, by one paired bootstrap: every number is computed on
/// the same draws of groups of pictures, so the rows can be read together.
///
/// O(draws x detections x thresholds).
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_eval::ImageCase;
/// use labelloop_eval::compare::{CompareParams, compare_all};
///
/// let id = SampleId::new("a")?;
/// let bbox = BBox::new(0.0, 0.0, 40.0, 40.0)?;
/// let labels = [0, 1].map(|class| LabelledBox::new(ClassIdx(class), bbox));
/// let found = [0, 1].map(|class| ScoredBox::new(ClassIdx(class), bbox, 0.5).unwrap());
/// let with = |detections| [ImageCase { id: &id, size: None, labels: &labels, detections }];
///
/// // The second detector also sees the second class.
/// let report = compare_all(&with(&found[..1]), &with(&found), 2, &[], None, &CompareParams::default())?;
/// let differences: Vec<_> = report.rows.iter().map(|r| r.comparison.difference.unwrap() > 0.5).collect();
/// assert_eq!(differences, [false, true]);
/// assert_eq!(report.significant(0.05).count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`CompareParams::check`]; [`crate::EvalError::DifferentImages`] unless pictures and labels are the same;
/// [`crate::EvalError::UnknownThreshold`] for an IoU of the metric that is not evaluated; and as
/// [`crate::slices::evaluate`].
pub fn compare_all(
    a: &[ImageCase<'_>],
    b: &[ImageCase<'_>],
    n_classes: usize,
    by: &[SliceBy],
    groups: Option<&BTreeMap<SampleId, GroupKey>>,
    params: &CompareParams,
) -> Result<ComparisonReport> {
    let CompareValidParams(params) = params.clone().check()?;
    let records = (observe_all(a, n_classes, &params.coco)?, observe_all(b, n_classes, &params.coco)?);
    records.0.check_same_labels(&records.1)?;
    let units = Units::new(&records.0, groups)?;
    let (first, second) =
        (Side::new(a, &records.0, by, &units, &params)?, Side::new(b, &records.1, by, &units, &params)?);
    // A slice may hold wrong detections of one detector alone; without a label there is nothing to compare.
    let keys: Vec<SliceKey> =
        first.slices.keys().filter(|key| second.slices.contains_key(*key)).cloned().collect();

    let everything = vec![1; units.n_groups];
    let values = [first.values(&everything, &keys), second.values(&everything, &keys)];
    let draws: Vec<Vec<Option<f64>>> = (0..params.bootstrap.n_draws)
        .into_par_iter()
        .map(|draw| {
            let times = units.draw(params.bootstrap.seed, draw);
            let pairs = first.values(&times, &keys).into_iter().zip(second.values(&times, &keys));
            pairs.map(|(a, b)| Some(b? - a?)).collect()
        })
        .collect();
    let comparison = |i: usize| {
        let drawn = draws.iter().filter_map(|draw| draw[i]).collect();
        Comparison::new([values[0][i], values[1][i]], drawn, params.bootstrap.confidence, units.n_groups)
    };
    let classes = (0u32..).take(n_classes).map(|class| Subject::Class(ClassIdx(class)));
    let slices = keys.iter().map(|(number, (_, value))| Subject::Slice {
        by: by[*number].name().to_owned(),
        value: value.clone(),
    });
    let rows: Vec<(Subject, Comparison)> =
        classes.chain(slices).enumerate().map(|(i, subject)| (subject, comparison(i + 1))).collect();
    Ok(ComparisonReport {
        overall: comparison(0),
        rows: corrected(rows, params.correction)?,
        correction: params.correction,
        least_p_value: (2.0 / (params.bootstrap.n_draws + 1) as f64).min(1.0),
    })
}

/// Rows that exist, with corrected p-values.
fn corrected(mut rows: Vec<(Subject, Comparison)>, correction: Correction) -> Result<Vec<ComparisonRow>> {
    rows.retain(|(_, comparison)| comparison.difference.is_some());
    let p_values: Vec<Option<f64>> = rows.iter().map(|(_, comparison)| comparison.p_value).collect();
    let adjusted = adjust_known(&p_values, correction)?;
    let row = |((subject, comparison), p_adjusted)| ComparisonRow { subject, comparison, p_adjusted };
    Ok(rows.into_iter().zip(adjusted).map(row).collect())
}

/// One of the two detectors.
struct Side {
    all: Sampler,
    slices: BTreeMap<SliceKey, SliceSampler>,
}

impl Side {
    fn new(
        cases: &[ImageCase<'_>],
        records: &crate::coco::Partial,
        by: &[SliceBy],
        units: &Units,
        params: &CompareParams,
    ) -> Result<Self> {
        let sorted = checked_by_id(cases, records.n_classes())?;
        let slices = samplers(&sorted, records.n_classes(), by, units, &params.slices.clone().check()?)?;
        Ok(Self { all: Sampler::new(records, units, params.metric)?, slices: slices.into_iter().collect() })
    }

    /// Overall, class by class, slice by slice.
    fn values(&self, times: &[u32], keys: &[SliceKey]) -> Vec<Option<f64>> {
        let (overall, mut values) = self.all.values_by_class(times);
        values.insert(0, overall);
        values.extend(keys.iter().map(|key| self.slices.get(key).and_then(|slice| slice.ap(times))));
        values
    }
}

impl fmt::Display for ComparisonReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table(|subject| match subject {
            Subject::Class(class) => format!("class {}", class.0),
            Subject::Slice { by, value } => format!("{by} {value}"),
        }))
    }
}

impl ComparisonReport {
    /// The table with names of the caller's choice, for instance those of a class schema.
    pub fn table(&self, name: impl Fn(&Subject) -> String) -> String {
        let widths = self.rows.iter().map(|row| name(&row.subject).chars().count());
        let width = widths.max().unwrap_or(0).max(7);
        let mut text = String::new();
        // Writing into a string never fails.
        let _ = self.write_table(&mut text, width, &name);
        text
    }

    fn write_table(
        &self,
        out: &mut impl fmt::Write,
        width: usize,
        name: &impl Fn(&Subject) -> String,
    ) -> fmt::Result {
        let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
        let signed = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:+.3}"));
        let small = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
        writeln!(
            out,
            "{:<width$}  {:>6}  {:>6}  {:>10}  {:<18}  {:>6}  {:>9}",
            "", "A", "B", "difference", "interval", "p", "corrected"
        )?;
        let mut line = |name: &str, c: &Comparison, p_adjusted: Option<f64>| {
            let interval = format!("[{}, {}]", signed(c.low), signed(c.high));
            let (a, b, difference, p) = (number(c.a), number(c.b), signed(c.difference), small(c.p_value));
            let text = format!(
                "{name:<width$}  {a:>6}  {b:>6}  {difference:>10}  {interval:<18}  {p:>6}  {:>9}",
                small(p_adjusted)
            );
            writeln!(out, "{}", text.trim_end())
        };
        line("overall", &self.overall, None)?;
        self.rows.iter().try_for_each(|row| line(&name(&row.subject), &row.comparison, row.p_adjusted))
    }
}
