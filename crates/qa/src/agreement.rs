use labelloop_core::{ClassSchema, Seed};
use serde::{Deserialize, Serialize};

use crate::golden::{Sorted, check_same_items, require, sorted_round};
use crate::{GoldenImage, Result, match_boxes};

/// Parameters of [`agreement`] and [`noise_ceiling`](crate::noise_ceiling), before they are checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgreementParams {
    /// Boxes that overlap at least this much (IoU) are the same object.
    pub iou_threshold: f64,
    /// Resamples of the images for intervals.
    pub n_bootstrap: usize,
    /// Coverage of intervals.
    pub coverage: f64,
    /// Where the resamples come from.
    pub seed: Seed,
}

impl Default for AgreementParams {
    fn default() -> Self {
        Self { iou_threshold: 0.5, n_bootstrap: 1000, coverage: 0.95, seed: Seed::new(0) }
    }
}

/// Parameters within their ranges.
#[derive(Debug, Clone, PartialEq)]
pub struct AgreementValidParams(pub(crate) AgreementParams);

impl AgreementParams {
    /// # Errors
    /// [`QaError::InvalidParam`](crate::QaError::InvalidParam) with the parameter, its value and its range.
    pub fn check(&self) -> Result<AgreementValidParams> {
        let open_unit = "a number above 0 and below 1";
        let (iou, coverage, n) = (self.iou_threshold, self.coverage, self.n_bootstrap as f64);
        require(0.0 < iou && iou <= 1.0, "iou_threshold", iou, "a number above 0 and at most 1")?;
        require(0.0 < coverage && coverage < 1.0, "coverage", coverage, open_unit)?;
        require((20.0..=1e6).contains(&n), "n_bootstrap", n, "from 20 to 1,000,000")?;
        Ok(AgreementValidParams(self.clone()))
    }
}

/// How far two people agree on the same images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Objects that at least one of them marked.
    pub n_units: usize,
    /// Objects that both marked.
    pub n_matched: usize,
    /// Mean IoU of the objects that both marked.
    pub mean_iou: Option<f64>,
    /// Cohen's kappa of the classes of objects that both marked.
    pub class_kappa: Option<f64>,
    /// Krippendorff's alpha (nominal) over all units, "not marked" being a category of its own.
    pub alpha: Option<f64>,
    /// One row per class, in the order of the schema.
    pub classes: Vec<ClassAgreement>,
}

/// Agreement on one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassAgreement {
    /// Name of the class.
    pub name: String,
    /// Units that the first person put in this class.
    pub n_first: usize,
    /// Units that the second person put in this class.
    pub n_second: usize,
    /// Units that both put in this class.
    pub n_both: usize,
    /// Cohen's kappa of "this class or not" over all units; none where chance alone would agree fully.
    pub kappa: Option<f64>,
}

/// Compares two people (or two rounds) on the same images.
///
/// Boxes are paired by place first ([`match_boxes`]); a pair is one unit, and so is every box without a partner, which
/// the other person is taken to have judged "nothing here". Nobody ever marks where both see nothing, so agreement on
/// empty space is not in these numbers.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId};
/// use labelloop_qa::{AgreementParams, GoldenImage, agreement};
///
/// let (id, size) = (SampleId::new("a")?, ImageSize::new(64, 64)?);
/// let boxes: Vec<LabelledBox> = (0..4u32)
///     .map(|i| LabelledBox::new(ClassIdx(i % 2), BBox::new(f64::from(i) * 15.0, 0.0, 10.0, 10.0).unwrap()))
///     .collect();
/// let round = [GoldenImage { id: &id, size, boxes: &boxes }];
/// let a = agreement(&round, &round, &ClassSchema::new(["car", "van"])?, &AgreementParams::default())?;
/// assert_eq!((a.n_matched, a.class_kappa, a.alpha), (4, Some(1.0), Some(1.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`QaError`](crate::QaError) for parameters out of range and for rounds of different images.
pub fn agreement(
    first: &[GoldenImage<'_>],
    second: &[GoldenImage<'_>],
    schema: &ClassSchema,
    params: &AgreementParams,
) -> Result<Agreement> {
    params.check()?.agreement(first, second, schema)
}

impl AgreementValidParams {
    /// [`agreement`] with checked parameters.
    ///
    /// # Errors
    /// As [`agreement`], but for the parameters.
    pub fn agreement(
        &self,
        first: &[GoldenImage<'_>],
        second: &[GoldenImage<'_>],
        schema: &ClassSchema,
    ) -> Result<Agreement> {
        let (first, second) = same_images(first, second, schema)?;
        let mut units: Vec<[Option<usize>; 2]> = Vec::new();
        let mut overlaps: Vec<f64> = Vec::new();
        for (a, b) in first.values().zip(second.values()) {
            let m = match_boxes(a.boxes, b.boxes, self.0.iou_threshold);
            let class_a = |i: usize| Some(a.boxes[i].class.as_usize());
            let class_b = |i: usize| Some(b.boxes[i].class.as_usize());
            units.extend(m.pairs.iter().map(|&(i, j, _)| [class_a(i), class_b(j)]));
            units.extend(m.unmatched_reference.iter().map(|&i| [class_a(i), None]));
            units.extend(m.unmatched_other.iter().map(|&j| [None, class_b(j)]));
            overlaps.extend(m.pairs.iter().map(|p| p.2));
        }
        let n_matched = overlaps.len();
        Ok(Agreement {
            n_units: units.len(),
            n_matched,
            mean_iou: (0 < n_matched).then(|| overlaps.iter().sum::<f64>() / n_matched as f64),
            class_kappa: class_kappa(&units, schema.n_classes()),
            alpha: alpha_with_absent(&units, schema.n_classes()),
            classes: schema.iter().map(|(c, name)| class_agreement(&units, c.as_usize(), name)).collect(),
        })
    }
}

type Pair<'r, 'a> = (Sorted<'r, 'a, GoldenImage<'a>>, Sorted<'r, 'a, GoldenImage<'a>>);

pub(crate) fn same_images<'r, 'a>(
    first: &'r [GoldenImage<'a>],
    second: &'r [GoldenImage<'a>],
    schema: &ClassSchema,
) -> Result<Pair<'r, 'a>> {
    let a = sorted_round("the first round", first, schema)?;
    let b = sorted_round("the second round", second, schema)?;
    check_same_items("the second round", &b, &a)?;
    Ok((a, b))
}

fn class_kappa(units: &[[Option<usize>; 2]], n_classes: usize) -> Option<f64> {
    let mut table = vec![vec![0usize; n_classes]; n_classes];
    for unit in units {
        if let [Some(a), Some(b)] = *unit {
            table[a][b] += 1;
        }
    }
    cohens_kappa(&table)
}

fn alpha_with_absent(units: &[[Option<usize>; 2]], n_classes: usize) -> Option<f64> {
    let judged: Vec<Vec<Option<usize>>> =
        units.iter().map(|u| u.iter().map(|c| Some(c.unwrap_or(n_classes))).collect()).collect();
    krippendorffs_alpha(&judged)
}

fn class_agreement(units: &[[Option<usize>; 2]], class: usize, name: &str) -> ClassAgreement {
    let mut table = vec![vec![0usize; 2]; 2];
    for [a, b] in units {
        table[usize::from(*a == Some(class))][usize::from(*b == Some(class))] += 1;
    }
    ClassAgreement {
        name: name.to_owned(),
        n_first: table[1][0] + table[1][1],
        n_second: table[0][1] + table[1][1],
        n_both: table[1][1],
        kappa: cohens_kappa(&table),
    }
}

/// Cohen's kappa (1960) of a square table: row = category of the first judge, column = of the second.
///
/// `(p_o - p_e) / (1 - p_e)` with the observed agreement and that expected from the margins. None for an empty table, a
/// table that is not square, and where chance alone would agree fully.
///
/// ```
/// use labelloop_qa::cohens_kappa;
///
/// assert!((cohens_kappa(&[vec![20, 5], vec![10, 15]]).unwrap() - 0.4).abs() < 1e-12);
/// ```
pub fn cohens_kappa(table: &[Vec<usize>]) -> Option<f64> {
    if table.iter().any(|row| row.len() != table.len()) {
        return None;
    }
    let n = table.iter().flatten().sum::<usize>() as f64;
    if n == 0.0 {
        return None;
    }
    let observed = (0..table.len()).map(|i| table[i][i]).sum::<usize>() as f64 / n;
    let expected: f64 = (0..table.len())
        .map(|i| {
            let row = table[i].iter().sum::<usize>() as f64;
            let column = table.iter().map(|r| r[i]).sum::<usize>() as f64;
            row / n * (column / n)
        })
        .sum();
    (expected < 1.0 - 1e-12).then(|| (observed - expected) / (1.0 - expected))
}

/// Krippendorff's alpha for nominal categories: one row per unit, one entry per judge, `None` where a judge did not see
/// the unit.
///
/// From the coincidence matrix (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section B):
/// `1 - (n - 1) * sum of o_ck (c != k) / sum of n_c n_k (c != k)`. Units judged once are left out. None where fewer than
/// two categories occur.
///
/// ```
/// use labelloop_qa::krippendorffs_alpha;
///
/// // The two observers and ten articles of Krippendorff 2011, section A.
/// let a = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0];
/// let b = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0];
/// let units: Vec<Vec<Option<usize>>> = a.into_iter().zip(b).map(|(x, y)| vec![Some(x), Some(y)]).collect();
/// assert!((krippendorffs_alpha(&units).unwrap() - 0.095).abs() < 5e-4);
/// ```
pub fn krippendorffs_alpha(units: &[Vec<Option<usize>>]) -> Option<f64> {
    let mut sums = AlphaSums::default();
    for unit in units {
        let mut counts = std::collections::BTreeMap::<usize, usize>::new();
        unit.iter().flatten().for_each(|c| *counts.entry(*c).or_default() += 1);
        sums.add_counts(counts.iter().map(|(c, n)| (*c, *n)));
    }
    sums.alpha()
}

/// What alpha needs of some units; parts add up.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AlphaSums {
    observed: f64,
    totals: std::collections::BTreeMap<usize, f64>,
}

impl AlphaSums {
    /// Adds a unit, given how many judges chose each category.
    pub(crate) fn add_unit(&mut self, counts: &[usize]) {
        self.add_counts(counts.iter().copied().enumerate());
    }

    fn add_counts(&mut self, counts: impl Iterator<Item = (usize, usize)> + Clone) {
        let m = counts.clone().map(|c| c.1).sum::<usize>() as f64;
        if m < 2.0 {
            return;
        }
        for (category, n) in counts.filter(|c| 0 < c.1) {
            let n = n as f64;
            self.observed += n * (m - n) / (m - 1.0);
            *self.totals.entry(category).or_default() += n;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.observed += other.observed;
        for (category, n) in &other.totals {
            *self.totals.entry(*category).or_default() += n;
        }
    }

    /// None where fewer than two categories occur.
    pub(crate) fn alpha(&self) -> Option<f64> {
        let n: f64 = self.totals.values().sum();
        let expected: f64 = self.totals.values().map(|c| c * (n - c)).sum();
        (0.0 < expected).then(|| 1.0 - (n - 1.0) * self.observed / expected)
    }

    /// As [`Self::alpha`], but 1 where there is something and all agree on it.
    pub(crate) fn alpha_of_image(&self) -> Option<f64> {
        self.alpha().or((!self.totals.is_empty()).then_some(1.0))
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx, ImageSize, LabelledBox, SampleId};
    use proptest::prelude::*;

    use super::*;
    use crate::QaError;

    fn refused(change: impl Fn(&mut AgreementParams)) -> &'static str {
        let mut params = AgreementParams::default();
        change(&mut params);
        match params.check() {
            Err(QaError::InvalidParam { name, .. }) => name,
            other => panic!("expected a parameter error, found {other:?}"),
        }
    }

    #[test]
    fn defaults_are_the_documented_ones_and_each_is_checked() {
        let p = AgreementParams::default();
        assert_eq!((p.iou_threshold, p.n_bootstrap, p.coverage, p.seed), (0.5, 1000, 0.95, Seed::new(0)));
        assert_eq!(refused(|p| p.iou_threshold = f64::NAN), "iou_threshold");
        assert_eq!(refused(|p| p.n_bootstrap = 1), "n_bootstrap");
        assert_eq!(refused(|p| p.coverage = 1.0), "coverage");
    }

    #[test]
    fn krippendorffs_four_observers_with_gaps_give_the_published_alpha() {
        // Krippendorff 2011, section C: nominal alpha is 0.743.
        let rows: [[usize; 12]; 4] = [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
            [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
        ];
        let units: Vec<Vec<Option<usize>>> =
            (0..12).map(|u| rows.iter().map(|r| (r[u] != 0).then_some(r[u])).collect()).collect();
        assert!((krippendorffs_alpha(&units).unwrap() - 0.743).abs() < 5e-4);
    }

    #[test]
    fn degenerate_tables_have_no_kappa() {
        assert_eq!(cohens_kappa(&[]), None);
        assert_eq!(cohens_kappa(&[vec![5, 0], vec![0, 0]]), None);
        assert_eq!(cohens_kappa(&[vec![1, 2]]), None);
        assert_eq!(krippendorffs_alpha(&[vec![Some(1), Some(1)]]), None);
    }

    #[test]
    fn unmatched_boxes_count_against_their_class_only() {
        let (id, size) = (SampleId::new("a").unwrap(), ImageSize::new(100, 100).unwrap());
        let b = |class, x: f64| LabelledBox::new(ClassIdx(class), BBox::new(x, 0.0, 10.0, 10.0).unwrap());
        let first = [b(0, 0.0), b(0, 20.0), b(1, 40.0), b(1, 60.0)];
        let second = [b(0, 0.0), b(0, 20.0), b(1, 40.0)];
        let schema = ClassSchema::new(["car", "van"]).unwrap();
        let image = |boxes| [GoldenImage { id: &id, size, boxes }];
        let a = agreement(&image(&first), &image(&second), &schema, &AgreementParams::default()).unwrap();
        assert_eq!((a.n_units, a.n_matched, a.class_kappa), (4, 3, Some(1.0)));
        assert_eq!(a.classes[0].kappa, Some(1.0));
        assert_eq!(a.classes[1].kappa, Some(0.5));
    }

    proptest! {
        #[test]
        fn kappa_is_symmetric_and_at_most_one(cells in prop::collection::vec(0usize..20, 9)) {
            let table: Vec<Vec<usize>> = cells.chunks(3).map(<[usize]>::to_vec).collect();
            let turned: Vec<Vec<usize>> = (0..3).map(|j| table.iter().map(|r| r[j]).collect()).collect();
            let (k, t) = (cohens_kappa(&table), cohens_kappa(&turned));
            prop_assert_eq!(k.is_some(), t.is_some());
            if let (Some(k), Some(t)) = (k, t) {
                prop_assert!((k - t).abs() < 1e-12 && k <= 1.0 + 1e-12);
            }
        }
    }
}
