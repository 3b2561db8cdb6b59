//! What a run tells its caller as it goes.

use crate::evaluation::Evaluation;
use crate::state::Step;
use crate::stopping::StopReason;

/// News of a run. `Display` is one line for a person.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// An iteration begins or is taken up again.
    Iteration {
        /// From 0.
        iteration: u32,
        /// Its first step to be done.
        step: Step,
    },
    /// Pictures of different splits look alike.
    Leaks(Box<crate::leaks::LeakReport>),
    /// Pool samples are left out of selection and training, because they look like val, golden or test samples.
    KeptOut {
        /// How many.
        n_samples: usize,
        /// One of them, what it looks like and how much.
        example: String,
    },
    /// A batch was chosen.
    Selected {
        /// Captures picked.
        n_picks: usize,
        /// Captures the pool still had.
        n_remaining: usize,
        /// Picks by bucket.
        buckets: Vec<(String, usize)>,
        /// What the policy had to decide otherwise.
        notices: Vec<String>,
    },
    /// A batch was labelled.
    Annotated {
        /// Samples labelled, all slices counted.
        n_samples: usize,
        /// Boxes drawn.
        n_boxes: usize,
    },
    /// Plain checks found something in the labels that came back; nothing is refused for it.
    LabelIssues {
        /// How many of each kind, in the order of their names.
        counts: Vec<(String, usize)>,
        /// The first of them in words.
        example: String,
    },
    /// Golden QA was done.
    Golden {
        /// PASS, WARN, FAIL or INCONCLUSIVE.
        verdict: String,
        /// Its p-value.
        p: Option<f64>,
        /// What it found.
        summary: String,
    },
    /// A control chart over the rounds of the golden set signals.
    GoldenChart {
        /// Whether it stops the loop as FAIL does.
        is_drift: bool,
        /// What it saw.
        summary: String,
    },
    /// The batch was labelled again after FAIL.
    Relabelled {
        /// Why.
        reason: String,
    },
    /// A model was trained.
    Trained {
        /// Pictures.
        n_images: usize,
        /// Boxes.
        n_boxes: usize,
    },
    /// A model was scored.
    Evaluated(Box<Evaluation>),
    /// A model of point clouds was scored.
    CloudsEvaluated(Box<crate::clouds::CloudEvaluation>),
    /// Failures were looked at.
    Analysed {
        /// Missed objects.
        n_missed: usize,
        /// Their make-up in words.
        summary: String,
        /// Crops written.
        n_crops: usize,
    },
    /// The loop goes on.
    Continue {
        /// Why no rule fired.
        reason: String,
    },
    /// A stopping rule fired.
    Stopped(StopReason),
    /// People must label the batch now.
    AwaitingReview {
        /// Folder with the batch.
        folder: std::path::PathBuf,
        /// Samples in it.
        n_samples: usize,
    },
    /// Advice drawn from a rule.
    Advice(String),
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Iteration { iteration, step } => {
                write!(f, "iteration {iteration}, from step {}", step.as_str())
            }
            Self::Leaks(report) => write!(f, "  warning   {report}"),
            Self::KeptOut { n_samples, example } => {
                write!(
                    f,
                    "  kept out  {n_samples} pool samples that look like frozen ones, such as {example}"
                )
            }
            Self::Selected { n_picks, n_remaining, buckets, notices } => {
                let parts: Vec<String> = buckets.iter().map(|(b, n)| format!("{b} {n}")).collect();
                write!(f, "  select    {n_picks} of {n_remaining} captures: {}", parts.join(", "))?;
                notices.iter().try_for_each(|n| write!(f, "\n            note: {n}"))
            }
            Self::Annotated { n_samples, n_boxes } => {
                write!(f, "  annotate  {n_samples} samples labelled, {n_boxes} boxes")
            }
            Self::LabelIssues { counts, example } => {
                let parts: Vec<String> = counts.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
                write!(f, "  checks    {}: such as {example}", parts.join(", "))
            }
            Self::Golden { verdict, p, summary } => {
                let p = p.map_or_else(String::new, |p| format!(" (p = {p:.3})"));
                write!(f, "  golden QA {verdict}{p} {summary}")
            }
            Self::GoldenChart { is_drift, summary } => {
                write!(f, "  chart     {} {summary}", if *is_drift { "FAIL" } else { "WARN" })
            }
            Self::Relabelled { reason } => write!(f, "  relabel   batch labelled again: {reason}"),
            Self::Trained { n_images, n_boxes } => {
                write!(f, "  train     on {n_images} pictures, {n_boxes} boxes")
            }
            Self::Evaluated(e) => write_evaluation(f, e),
            Self::CloudsEvaluated(e) => write!(f, "            {e}"),
            Self::Analysed { n_missed, summary, n_crops } => {
                write!(f, "  analyse   {n_missed} missed objects{summary}; {n_crops} crops")
            }
            Self::Continue { reason } => write!(f, "  decide    go on: {reason}"),
            Self::Stopped(reason) => write!(f, "  decide    stop: {reason}"),
            Self::AwaitingReview { folder, n_samples } => write!(
                f,
                "  waiting   {n_samples} samples to be labelled by people: {}\n            then: labelloop import \
                 --batch LABELS.json, and labelloop run --resume",
                folder.display()
            ),
            Self::Advice(text) => write!(f, "  advice    {text}"),
        }
    }
}

fn write_evaluation(f: &mut std::fmt::Formatter<'_>, e: &Evaluation) -> std::fmt::Result {
    let number = |v: Option<f64>| v.map_or_else(|| "none".to_owned(), |v| format!("{v:.3}"));
    let interval = e.f1_interval.map_or_else(String::new, |[l, u]| format!(" [{l:.3}, {u:.3}]"));
    let map50 = e.stats.get(1).copied().filter(|s| 0.0 <= *s);
    let map = e.stats.first().copied().filter(|s| 0.0 <= *s);
    write!(
        f,
        "  evaluate  F1 {}{interval}  P {}  R {}  mAP {}  mAP50 {}  TP {} FP {} FN {}",
        number(e.f1),
        number(e.precision),
        number(e.recall),
        number(map),
        number(map50),
        e.tp,
        e.fp,
        e.fn_
    )
}

/// Whoever wants to hear of a run's events.
pub trait Observer: labelloop_core::Progress {
    /// Something happened.
    fn event(&self, event: &Event);

    /// A step was finished and the state saved; the iteration and the step are given.
    fn step_done(&self, _iteration: u32, _step: Step) {}
}

impl Observer for labelloop_core::Silent {
    fn event(&self, _event: &Event) {}
}
