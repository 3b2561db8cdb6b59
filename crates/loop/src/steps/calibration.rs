//! Earlier rounds of the golden set that are known to be good.

use labelloop_dataset::Dataset;
use labelloop_qa::{HistoryEntry, Verdict, label_digest};

use super::Context;
use super::golden::{GOLDEN_VERSION, GoldenLabels, golden_history, images};
use crate::{Result, files};

/// People's rounds of earlier iterations, with the iteration of each: those that passed against the reference as it is
/// now, and whose file still holds the labels that passed. The oldest come first and are kept to `qa.calibration_rounds`:
/// were it the newest, labels could drift by a little every round and each round would vouch for the next.
pub(super) fn peoples_rounds(
    context: &Context<'_>,
    dataset: &Dataset,
    reference: &GoldenLabels,
) -> Result<Vec<(u32, GoldenLabels)>> {
    let history = golden_history(context)?;
    let digest = label_digest(&images(dataset, reference));
    let n_most = context.project.config.qa.calibration_rounds as usize;
    let mut rounds = Vec::new();
    for (iteration, entry) in passed(history.entries(), context.iteration, &digest) {
        let path = context.project.layout.golden_round(iteration);
        if rounds.len() == n_most || !path.exists() {
            continue;
        }
        let round: GoldenLabels = files::read_json(&path)?;
        if label_digest(&images(dataset, &round)) == entry.label_digest {
            rounds.push((iteration, round));
        }
    }
    Ok(rounds)
}

/// Entries of iterations before this one that passed against this reference, the oldest first.
fn passed<'h>(
    entries: &'h [HistoryEntry],
    iteration: u32,
    reference_digest: &'h str,
) -> impl Iterator<Item = (u32, &'h HistoryEntry)> {
    entries
        .iter()
        .filter(move |e| {
            e.verdict == Verdict::Pass
                && e.golden_version == GOLDEN_VERSION
                && e.reference_digest == reference_digest
        })
        .filter_map(|e| Some((u32::try_from(e.iteration).ok()?, e)))
        .filter(move |(i, _)| *i < iteration)
}

#[cfg(test)]
mod tests {
    use labelloop_qa::LabelTotals;

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
        }
    }

    #[test]
    fn only_earlier_rounds_that_passed_against_this_reference_calibrate() {
        let entries = [
            entry(0, Verdict::Pass, GOLDEN_VERSION, "r"),
            entry(1, Verdict::Warn, GOLDEN_VERSION, "r"),
            entry(2, Verdict::Fail, GOLDEN_VERSION, "r"),
            entry(3, Verdict::Inconclusive, GOLDEN_VERSION, "r"),
            entry(4, Verdict::Pass, GOLDEN_VERSION, "another reference"),
            entry(5, Verdict::Pass, "another version", "r"),
            entry(6, Verdict::Pass, GOLDEN_VERSION, "r"),
            entry(7, Verdict::Pass, GOLDEN_VERSION, "r"),
        ];
        let found = |iteration| passed(&entries, iteration, "r").map(|(i, _)| i).collect::<Vec<_>>();
        assert_eq!(
            found(7),
            [0, 6],
            "neither this iteration nor a later one, left over from before a restart"
        );
        assert_eq!(found(0), [0; 0]);
    }
}
