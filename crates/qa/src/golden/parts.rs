//! What a report says of a round that shows a part of the golden set.

use labelloop_core::SampleId;

use super::{GoldenReport, Note, Verdict};

/// PASS takes answers for at least this share of the samples that were shown: who passes over the hard ones would look
/// good on the rest.
pub const LEAST_ANSWERED: f64 = 0.8;

impl GoldenReport {
    /// Notes which samples of the round could not be compared, because they were not labelled often enough before
    /// ([`EarlierRounds::left_out`](crate::EarlierRounds)). Nothing is noted where there are none.
    pub fn note_left_out(&mut self, left_out: &[SampleId]) {
        if !left_out.is_empty() {
            self.notes.push(Note::LeftOut { samples: left_out.to_vec() });
        }
    }

    /// Notes which of the samples that people were shown came back without an answer. A PASS becomes INCONCLUSIVE where
    /// fewer than [`LEAST_ANSWERED`] of them were answered for; what was found in the others stays found.
    pub fn note_unanswered(&mut self, n_shown: usize, unanswered: &[SampleId]) {
        if unanswered.is_empty() {
            return;
        }
        let note = Note::Unanswered { n_shown, samples: unanswered.to_vec() };
        if self.verdict == Verdict::Pass && note.refuses_pass() {
            self.verdict = Verdict::Inconclusive;
        }
        self.notes.push(note);
    }
}

impl GoldenReport {
    /// Whether the round may calibrate later ones: it passed, or nothing was found and a PASS was refused for no other
    /// reason than that one calibration round does not show how much rounds differ. The round at hand is the second one
    /// that shows it; were it not taken, no project would ever have two.
    pub fn can_calibrate(&self) -> bool {
        let is_quiet = matches!(self.verdict, Verdict::Pass | Verdict::Inconclusive);
        let is_alone = |n: &Note| *n == Note::OneCalibrationRound;
        is_quiet
            && !self.statistics.is_empty()
            && self.notes.iter().filter(|n| n.refuses_pass()).all(is_alone)
    }
}

/// The first few names of a list.
pub(super) fn names(samples: &[SampleId]) -> String {
    const N_NAMED: usize = 5;
    let mut text = samples.iter().take(N_NAMED).map(SampleId::as_str).collect::<Vec<_>>().join(", ");
    if N_NAMED < samples.len() {
        text.push_str(&format!(" and {} more", samples.len() - N_NAMED));
    }
    text
}

/// Whether so few samples were answered for that nothing follows from the rest.
pub(super) fn is_mostly_unanswered(n_shown: usize, n_unanswered: usize) -> bool {
    (n_shown.saturating_sub(n_unanswered) as f64) < LEAST_ANSWERED * n_shown as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_that_are_missing_are_named_and_many_take_the_pass_away() {
        assert!(!is_mostly_unanswered(10, 2) && is_mostly_unanswered(10, 3) && is_mostly_unanswered(4, 4));
        let ids: Vec<SampleId> = (0..7).map(|i| SampleId::new(format!("s{i}")).unwrap()).collect();
        assert_eq!(names(&ids), "s0, s1, s2, s3, s4 and 2 more");
        assert_eq!(names(&ids[..2]), "s0, s1");
    }
}
