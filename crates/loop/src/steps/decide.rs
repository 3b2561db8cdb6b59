use super::{Context, Outcome};
use crate::Result;
use crate::event::Event;
use crate::history::{History, IterationRecord};
use crate::stopping::first_rule;

/// Asks the stopping rules, and gives advice that the numbers call for.
pub(super) fn run(context: &Context<'_>) -> Result<Outcome> {
    let project = context.project;
    let records = History::load(&project.layout.history())?.records();
    let n_unlabelled = project.dataset()?.unlabeled_pool().len();
    for text in advice(&records) {
        context.observer.event(&Event::Advice(text));
    }
    let params = project.config.active_learning.stopping();
    match first_rule(&records, n_unlabelled, &params) {
        Some(reason) => {
            context.observer.event(&Event::Stopped(reason.clone()));
            Ok(Outcome::Stop(reason))
        }
        None => {
            let f1 =
                records.last().and_then(|r| r.f1).map_or_else(|| "none".to_owned(), |f| format!("{f:.4}"));
            let reason =
                format!("F1 {f1}, target {:.4}, {n_unlabelled} samples unlabelled", params.target_f1);
            context.observer.event(&Event::Continue { reason });
            Ok(Outcome::Next)
        }
    }
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
    use super::*;

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
