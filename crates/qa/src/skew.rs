use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::{LabelTotals, QaError, Result};

/// How far the mix of classes moved between two sets of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassSkew {
    /// One row per class, in the order of the schema.
    pub classes: Vec<ClassShift>,
    /// Total variation distance: half the sum of the absolute differences of shares; 0 is the same mix, 1 no overlap.
    pub total_variation: f64,
    /// Pearson's chi-squared statistic of homogeneity.
    pub chi_squared: f64,
    /// Its p-value, boxes taken as independent; boxes of one image are not quite, so it is on the small side. None when
    /// fewer than two classes occur or a set is empty.
    pub p_value: Option<f64>,
}

/// The share of one class before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassShift {
    /// Name of the class.
    pub name: String,
    /// Boxes before.
    pub before: usize,
    /// Boxes after.
    pub after: usize,
    /// Share after minus share before; an empty set has shares of 0.
    pub change: f64,
}

/// Compares the mix of classes of two sets, for example before and after a merge. For the same images labelled twice use
/// [`golden_check`](crate::golden_check), which sees far smaller changes.
///
/// ```
/// use labelloop_qa::{ClassTotal, LabelTotals, class_skew};
///
/// let totals = |counts: [usize; 2]| LabelTotals {
///     n_images: 10,
///     n_labelled_images: 10,
///     n_objects: counts.iter().sum(),
///     classes: ["car", "van"].into_iter().zip(counts).map(|(n, count)| ClassTotal { name: n.into(), count }).collect(),
/// };
/// let skew = class_skew(&totals([50, 50]), &totals([80, 20]))?;
/// assert!((skew.total_variation - 0.3).abs() < 1e-12);
/// assert!(skew.p_value.is_some_and(|p| p < 0.001));
/// # Ok::<(), labelloop_qa::QaError>(())
/// ```
///
/// # Errors
/// [`QaError::ClassCount`] when the sets have different schemas.
pub fn class_skew(before: &LabelTotals, after: &LabelTotals) -> Result<ClassSkew> {
    let same = before.classes.len() == after.classes.len()
        && before.classes.iter().zip(&after.classes).all(|(b, a)| b.name == a.name);
    if !same {
        return Err(QaError::ClassCount { before: before.classes.len(), after: after.classes.len() });
    }
    let sum = |t: &LabelTotals| t.classes.iter().map(|c| c.count).sum::<usize>() as f64;
    let (n_before, n_after) = (sum(before), sum(after));
    let share = |count: usize, n: f64| if 0.0 < n { count as f64 / n } else { 0.0 };
    let classes: Vec<ClassShift> = before
        .classes
        .iter()
        .zip(&after.classes)
        .map(|(b, a)| ClassShift {
            name: b.name.clone(),
            before: b.count,
            after: a.count,
            change: share(a.count, n_after) - share(b.count, n_before),
        })
        .collect();
    let chi_squared = chi_squared(&classes, n_before, n_after);
    let n_occurring = classes.iter().filter(|c| 0 < c.before + c.after).count();
    let is_testable = 2 <= n_occurring && 0.0 < n_before && 0.0 < n_after;
    let p_value = is_testable
        .then(|| ChiSquared::new((n_occurring - 1) as f64).ok())
        .flatten()
        .map(|d| d.sf(chi_squared).clamp(0.0, 1.0));
    let total_variation = classes.iter().map(|c| c.change.abs()).sum::<f64>() / 2.0;
    Ok(ClassSkew { classes, total_variation, chi_squared, p_value })
}

fn chi_squared(classes: &[ClassShift], n_before: f64, n_after: f64) -> f64 {
    let n = n_before + n_after;
    let mut sum = 0.0;
    for c in classes {
        let row = (c.before + c.after) as f64;
        for (count, column) in [(c.before, n_before), (c.after, n_after)] {
            let expected = row * column / n;
            if 0.0 < expected {
                sum += (count as f64 - expected).powi(2) / expected;
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClassTotal;

    fn totals(counts: &[usize]) -> LabelTotals {
        let classes = counts
            .iter()
            .enumerate()
            .map(|(i, count)| ClassTotal { name: format!("c{i}"), count: *count })
            .collect();
        LabelTotals { n_images: 1, n_labelled_images: 1, n_objects: counts.iter().sum(), classes }
    }

    #[test]
    fn the_statistic_is_that_of_a_hand_worked_table() {
        // Rows 10/20 and 30/40: expected 12/18 and 28/42, each cell off by 2.
        let skew = class_skew(&totals(&[10, 30]), &totals(&[20, 40])).unwrap();
        let by_hand = 4.0 / 12.0 + 4.0 / 18.0 + 4.0 / 28.0 + 4.0 / 42.0;
        assert!((skew.chi_squared - by_hand).abs() < 1e-12);
        // Upper tail of chi-squared with one degree of freedom at 0.79365: 0.37300.
        assert!((skew.p_value.unwrap() - 0.3730).abs() < 5e-4, "{:?}", skew.p_value);
    }

    #[test]
    fn empty_sets_and_single_classes_have_no_p_value() {
        assert_eq!(class_skew(&totals(&[0, 0]), &totals(&[1, 2])).unwrap().p_value, None);
        assert_eq!(class_skew(&totals(&[5, 0]), &totals(&[7, 0])).unwrap().p_value, None);
    }

    #[test]
    fn other_schemas_are_refused() {
        assert_eq!(
            class_skew(&totals(&[1]), &totals(&[1, 2])),
            Err(QaError::ClassCount { before: 1, after: 2 })
        );
    }
}
