//! Corrected p-values against those of statsmodels.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use labelloop_eval::multiplicity::{Correction, adjust};

#[derive(serde::Deserialize)]
struct Golden {
    p: Vec<f64>,
    holm: Vec<f64>,
    benjamini_hochberg: Vec<f64>,
}

#[test]
fn corrected_values_are_those_of_statsmodels() {
    let cases: Vec<Golden> = serde_json::from_str(include_str!("golden/multiplicity.json")).unwrap();
    assert!(45 <= cases.len(), "the number of golden cases only rises");
    for (i, case) in cases.iter().enumerate() {
        let both =
            [(Correction::Holm, &case.holm), (Correction::BenjaminiHochberg, &case.benjamini_hochberg)];
        for (correction, expected) in both {
            let found = adjust(&case.p, correction).unwrap();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                // Products are formed in another order.
                assert!((found - expected).abs() < 1e-14, "case {i} {correction:?}: {found} {expected}");
            }
        }
    }
}
