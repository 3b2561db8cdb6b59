//! Earlier labellings of the golden set that are known to be good.

use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::SampleId;
use labelloop_dataset::Dataset;
use labelloop_qa::{GoldenVersions, HistoryEntry, label_digest};

use super::Context;
use super::golden::{GoldenLabels, golden_history, images};
use crate::{Result, files};

/// People's rounds of earlier iterations, with the iteration of each, the oldest first: those that passed (or that one
/// calibration round alone kept from it), and whose file still holds those labels. A round may show a part of the golden set.
///
/// A round is labels, and the reference only the yardstick, so a round that passed under an earlier golden version is kept
/// under a new one. Pictures whose reference was edited in between are taken out of it: that they passed was against a
/// yardstick that somebody found wrong, and people who draw them as the correction asks would look as if they had drifted.
pub(super) fn peoples_rounds(
    context: &Context<'_>,
    dataset: &Dataset,
    versions: &GoldenVersions,
) -> Result<Vec<(u32, GoldenLabels)>> {
    let history = golden_history(context.project)?;
    let mut rounds = Vec::new();
    for (iteration, entry) in passed(history.entries(), context.iteration, versions) {
        let path = context.project.layout.golden_round(iteration);
        if !path.exists() {
            continue;
        }
        let mut round: GoldenLabels = files::read_json(&path)?;
        if label_digest(&images(dataset, &round)) == entry.label_digest {
            let unchanged: BTreeSet<&SampleId> =
                versions.unchanged_since(&entry.golden_version).into_iter().collect();
            round.retain(|id, _| unchanged.contains(id));
            rounds.push((iteration, round));
        }
    }
    Ok(rounds)
}

/// Entries of iterations before this one that passed against the reference of their version, the oldest first.
fn passed<'h>(
    entries: &'h [HistoryEntry],
    iteration: u32,
    versions: &'h GoldenVersions,
) -> impl Iterator<Item = (u32, &'h HistoryEntry)> {
    let is_of_its_version = |e: &HistoryEntry| {
        let version = versions.find(&e.golden_version);
        version.is_some_and(|v| v.reference.reference_digest == e.reference_digest)
    };
    entries
        .iter()
        .filter(move |e| e.is_good() && is_of_its_version(e))
        .filter_map(|e| Some((u32::try_from(e.iteration).ok()?, e)))
        .filter(move |(i, _)| *i < iteration)
}

/// Iterations that the first `n` labellings of any of these pictures are from.
pub(super) fn used(rounds: &[(u32, GoldenLabels)], n: usize, pictures: &BTreeSet<&SampleId>) -> Vec<u32> {
    let mut n_taken: BTreeMap<&SampleId, usize> = BTreeMap::new();
    let mut used = Vec::new();
    for (iteration, round) in rounds {
        let mut is_used = false;
        for id in round.keys().filter(|id| pictures.contains(id)) {
            let taken = n_taken.entry(id).or_default();
            is_used |= *taken < n;
            *taken += 1;
        }
        if is_used {
            used.push(*iteration);
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use labelloop_qa::{GoldenReference, LabelTotals, Verdict};

    use super::*;

    fn entry(iteration: u64, verdict: Verdict, version: &str, reference: &str) -> HistoryEntry {
        HistoryEntry {
            iteration,
            golden_version: version.to_owned(),
            label_digest: format!("labels {iteration}"),
            reference_digest: reference.to_owned(),
            verdict,
            p_value: None,
            totals: LabelTotals { n_images: 1, n_labelled_images: 0, n_objects: 0, classes: vec![] },
            statistics: vec![],
            calibration_digests: vec![],
            n_golden: None,
            can_calibrate: None,
        }
    }

    fn versions(digests: &[&str]) -> GoldenVersions {
        let mut versions = GoldenVersions::default();
        for digest in digests {
            let reference =
                GoldenReference { reference_digest: (*digest).to_owned(), ..GoldenReference::default() };
            versions.add(reference, 0, "a test").unwrap();
        }
        versions
    }

    #[test]
    fn only_earlier_rounds_that_passed_against_the_reference_of_their_version_calibrate() {
        let entries = [
            entry(0, Verdict::Pass, "1", "r"),
            entry(1, Verdict::Warn, "1", "r"),
            entry(2, Verdict::Fail, "1", "r"),
            entry(3, Verdict::Inconclusive, "1", "r"),
            entry(4, Verdict::Pass, "1", "another reference"),
            entry(5, Verdict::Pass, "another version", "r"),
            entry(6, Verdict::Pass, "2", "corrected"),
            entry(7, Verdict::Pass, "2", "corrected"),
        ];
        let versions = versions(&["r", "corrected"]);
        let found = |iteration| passed(&entries, iteration, &versions).map(|(i, _)| i).collect::<Vec<_>>();
        assert_eq!(
            found(7),
            [0, 6],
            "neither this iteration nor a later one, left over from before a restart"
        );
        assert_eq!(found(0), [0; 0]);
    }

    #[test]
    fn the_iterations_that_labellings_are_from_are_named() {
        let ids = ["a", "b", "c"].map(|id| SampleId::new(id).unwrap());
        let round = |of: &[usize]| of.iter().map(|i| (ids[*i].clone(), vec![])).collect::<GoldenLabels>();
        let rounds = [(0, round(&[0, 1])), (1, round(&[2])), (2, round(&[0])), (4, round(&[0, 1]))];
        let pictures: BTreeSet<&SampleId> = ids[..2].iter().collect();
        assert_eq!(used(&rounds, 1, &pictures), [0]);
        assert_eq!(used(&rounds, 2, &pictures), [0, 2, 4], "b for the second time in 4");
        assert_eq!(used(&rounds, 0, &pictures), [0; 0]);
    }
}
