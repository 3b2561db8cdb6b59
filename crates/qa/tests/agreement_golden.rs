//! Statistics of people against values of other tools; see golden/SOURCE.md.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use labelloop_qa::{benjamini_hochberg, cohens_kappa, fleiss_kappa, krippendorffs_alpha};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    benjamini_hochberg: Vec<Adjusted>,
    alpha: Vec<Alpha>,
    cohen: Vec<Table>,
    fleiss: Vec<Table>,
}

#[derive(Deserialize)]
struct Adjusted {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

#[derive(Deserialize)]
struct Alpha {
    units: Vec<Vec<Option<usize>>>,
    alpha: f64,
}

#[derive(Deserialize)]
struct Table {
    table: Vec<Vec<usize>>,
    kappa: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/agreement.json")).unwrap()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-12, "{found} instead of {expected}");
}

#[test]
fn adjusted_p_values_are_those_of_scipy() {
    let cases = golden().benjamini_hochberg;
    assert!(5 <= cases.len(), "the number of cases only rises");
    for case in cases {
        for (found, expected) in benjamini_hochberg(&case.p).into_iter().zip(case.adjusted) {
            close(found.unwrap(), expected);
        }
    }
}

#[test]
fn alpha_is_that_of_krippendorff() {
    let cases = golden().alpha;
    assert!(6 <= cases.len(), "the number of cases only rises");
    for case in cases {
        close(krippendorffs_alpha(&case.units).unwrap(), case.alpha);
    }
}

#[test]
fn cohens_kappa_is_that_of_scikit_learn_and_statsmodels() {
    let cases = golden().cohen;
    assert!(3 <= cases.len(), "the number of cases only rises");
    for case in cases {
        close(cohens_kappa(&case.table).unwrap(), case.kappa);
    }
}

#[test]
fn fleiss_kappa_is_that_of_statsmodels() {
    let cases = golden().fleiss;
    assert!(3 <= cases.len(), "the number of cases only rises");
    for case in cases {
        close(fleiss_kappa(&case.table).unwrap(), case.kappa);
    }
}
