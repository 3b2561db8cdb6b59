use std::collections::BTreeSet;

use labelloop_core::SampleId;
use labelloop_eval::failures::{Failure, FailureKind};

use super::{Context, Outcome};
use crate::evaluation::Evaluation;
use crate::event::Event;
use crate::history::{History, IterationRecord};
use crate::stopping::first_rule;
use crate::{Result, files};

/// Asks the stopping rules, and gives advice that the numbers call for.
pub(super) fn run(context: &Context<'_>) -> Result<Outcome> {
    let project = context.project;
    let records = History::load(&project.layout.history())?.records();
    let n_unlabelled = project.dataset()?.unlabeled_pool().len();
    for text in advice(&records).into_iter().chain(recurring(context)?) {
        context.observer.event(&Event::Advice(text));
    }
    let params = project.config.active_learning.stopping();
    match first_rule(&records, n_unlabelled, &params) {
        Some(reason) => {
            context.observer.event(&Event::Stopped(reason.clone()));
            Ok(Outcome::Stop(reason))
        }
        None => {
            let last = records.last();
            let f1 = last.and_then(|r| r.f1).map_or_else(|| "none".to_owned(), |f| format!("{f:.4}"));
            let gain = last.and_then(|r| r.gain).map_or_else(String::new, |g| format!(", {g}"));
            let ceiling = last.and_then(ceiling).unwrap_or_default();
            let reason = format!(
                "F1 {f1}{gain}, target {:.4}{ceiling}, {n_unlabelled} samples unlabelled",
                params.target_f1
            );
            context.observer.event(&Event::Continue { reason });
            Ok(Outcome::Next)
        }
    }
}

/// What label noise lets anybody reach.
fn ceiling(record: &IterationRecord) -> Option<String> {
    let f1 = record.noise_ceiling?;
    let map50 = record
        .map50_ceiling
        .map_or_else(String::new, |c| format!(" and mAP50 {:.4} to {:.4}", c.unranked, c.ranked));
    Some(format!(", labels allow F1 {f1:.4}{map50}"))
}

/// How many iterations in a row an object must be missed to be called recurring.
const RECURRING: u32 = 3;

/// Advice when at least half of what is missed now was missed in each of the last iterations (requirement 154): more of
/// the same labels does not help those, so their labels and the model's reach want a look.
fn recurring(context: &Context<'_>) -> Result<Option<String>> {
    let Some(first) = (context.iteration + 1).checked_sub(RECURRING) else { return Ok(None) };
    let mut rounds = Vec::new();
    for iteration in first..=context.iteration {
        let evaluation: Evaluation = files::read_json(&context.project.layout.evaluation(iteration))?;
        rounds.push(missed(&evaluation.failures));
    }
    Ok(recurring_misses(&rounds))
}

/// Missed objects by picture and place in its label list.
type Missed = BTreeSet<(SampleId, usize)>;

fn missed(failures: &[Failure]) -> Missed {
    failures
        .iter()
        .filter_map(|f| match f.kind {
            FailureKind::Missed { gt_idx, .. } => Some((f.image.clone(), gt_idx)),
            _ => None,
        })
        .collect()
}

/// `rounds` from the oldest to the newest.
fn recurring_misses(rounds: &[Missed]) -> Option<String> {
    let (last, before) = rounds.split_last()?;
    let n = last.iter().filter(|object| before.iter().all(|r| r.contains(*object))).count();
    (0 < n && last.len() <= 2 * n).then(|| {
        format!(
            "{n} of {} missed objects were missed in each of the last {} iterations: look at their labels and crops",
            last.len(),
            rounds.len()
        )
    })
}

/// Rules of thumb of the reference, each with the numbers that set it off (requirement 154).
pub(crate) fn advice(records: &[IterationRecord]) -> Vec<String> {
    let mut advice = Vec::new();
    if let [.., before, last] = records {
        if let (Some(a), Some(b)) = (before.f1, last.f1)
            && b < a
        {
            advice.push(format!(
                "F1 fell from {a:.4} to {b:.4}: the model of iteration {} stays the best",
                before.iteration
            ));
        }
        if let Some(gain) = last.gain.filter(|g| 2 < g.n_rounds && g.interval.is_some() && !g.is_shown()) {
            advice.push(format!("newer labels show no sure gain: F1 {gain}"));
        }
        for (class, n) in &last.boxes_by_class {
            if *n == 0 {
                advice.push(format!(
                    "class {class} still has no labelled box: look for it in the pool by hand"
                ));
            }
        }
    }
    advice
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx};
    use labelloop_eval::failures::SizeBand;

    use super::*;
    use crate::gain::Gain;

    fn places(of: &[usize]) -> Missed {
        of.iter().map(|p| (SampleId::new("a").unwrap(), *p)).collect()
    }

    #[test]
    fn misses_that_stay_are_pointed_out() {
        let said = recurring_misses(&[places(&[1, 2, 3]), places(&[1, 2]), places(&[1, 2, 4])]).unwrap();
        assert!(said.starts_with("2 of 3 missed objects"), "{said}");
        let half = recurring_misses(&[places(&[1]), places(&[1]), places(&[1, 2])]).unwrap();
        assert!(half.starts_with("1 of 2"), "{half}");
    }

    #[test]
    fn misses_that_come_and_go_are_not() {
        assert_eq!(recurring_misses(&[places(&[1]), places(&[2]), places(&[1, 2])]), None);
        assert_eq!(recurring_misses(&[places(&[1]), places(&[1]), places(&[1, 2, 3])]), None);
        assert_eq!(recurring_misses(&[places(&[]), places(&[]), places(&[])]), None);
        assert_eq!(recurring_misses(&[]), None);
    }

    #[test]
    fn only_missed_objects_count_and_in_their_own_picture() {
        let failure = |image: &str, kind| Failure {
            image: SampleId::new(image).unwrap(),
            kind,
            class: ClassIdx(0),
            bbox: BBox::new(0.0, 0.0, 1.0, 1.0).unwrap(),
            score: None,
            area: 1.0,
            size_band: SizeBand::of(1.0),
            position: None,
        };
        let found = missed(&[
            failure("a", FailureKind::Missed { gt_idx: 3, explained_by: None }),
            failure("b", FailureKind::Missed { gt_idx: 3, explained_by: Some(0) }),
            failure("a", FailureKind::Background { dt_idx: 7 }),
        ]);
        assert_eq!(found.len(), 2);
        assert!(found.contains(&(SampleId::new("b").unwrap(), 3)));
    }

    #[test]
    fn a_gain_that_is_not_sure_is_pointed_out_from_three_rounds_on() {
        let record = |low, n_rounds| IterationRecord {
            gain: Some(Gain { per_100_boxes: 0.01, interval: Some([low, 0.02]), n_rounds }),
            ..IterationRecord::default()
        };
        let said = |last| advice(&[IterationRecord::default(), last]);
        assert!(said(record(-0.001, 3))[0].contains("no sure gain"));
        assert!(said(record(0.001, 3)).is_empty());
        assert!(said(record(-0.001, 2)).is_empty(), "two rounds are no trend");
    }

    #[test]
    fn a_fall_and_an_unseen_class_are_pointed_out() {
        let record =
            |iteration, f1| IterationRecord { iteration, f1: Some(f1), ..IterationRecord::default() };
        let mut records = vec![record(0, 0.6), record(1, 0.5)];
        records[1].boxes_by_class.insert("animal".to_owned(), 0);
        let said = advice(&records);
        assert_eq!(said.len(), 2);
        assert!(said[0].contains("fell from 0.6000 to 0.5000") && said[1].contains("animal"));
        assert!(advice(&records[..1]).is_empty());
    }
}
