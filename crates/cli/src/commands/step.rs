//! The loop's steps one at a time: `select`, `qa`, `train`, `eval`, `next`.

use std::process::ExitCode;

use labelloop_loop::state::{Phase, State, Step};
use labelloop_loop::{Begin, Project, Run, final_test};
use serde_json::json;

use crate::args::{EvalArgs, ProjectArgs};
use crate::output::{Output, UsageError};
use crate::progress::Teller;

pub(super) fn select(args: &ProjectArgs, output: &Output) -> anyhow::Result<ExitCode> {
    until(args, output, &[Step::Select])
}

pub(super) fn qa(args: &ProjectArgs, output: &Output) -> anyhow::Result<ExitCode> {
    // Taking labels in is no command of its own: with people it is `import --batch`, and without it is nothing to see.
    until(args, output, &[Step::Annotate, Step::Qa])
}

pub(super) fn train(args: &ProjectArgs, output: &Output) -> anyhow::Result<ExitCode> {
    until(args, output, &[Step::Train])
}

/// The evaluation step with everything that follows from it, or the one look at the frozen test set.
pub(super) fn eval(args: &EvalArgs, output: &Output) -> anyhow::Result<ExitCode> {
    if !args.test {
        return until(&args.project, output, &[Step::Evaluate, Step::Analyse, Step::Track, Step::Decide]);
    }
    let project = Project::open(&args.project.project)?;
    let report = final_test(&project, args.reason.as_deref().unwrap_or_default())?;
    let stat = |i: usize| {
        report.stats.get(i).copied().filter(|s| 0.0 <= *s).map_or("none".to_owned(), |s| format!("{s:.4}"))
    };
    let words = format!(
        "frozen test set, {} pictures, model of iteration {}: mAP {} mAP50 {} F1 {}",
        report.n_images,
        report.iteration,
        stat(0),
        stat(1),
        report.f1.map_or("none".to_owned(), |f| format!("{f:.4}"))
    );
    output.result(&report, &words)?;
    Ok(ExitCode::SUCCESS)
}

/// Whatever is next.
pub(super) fn next(args: &ProjectArgs, output: &Output) -> anyhow::Result<ExitCode> {
    until(args, output, &Step::ALL[..0])
}

/// Does the given steps, of which the first must be due; with none given, the one that is due.
fn until(args: &ProjectArgs, output: &Output, steps: &[Step]) -> anyhow::Result<ExitCode> {
    let project = Project::open(&args.project)?;
    let teller = Teller::new(output);
    for done in project.prepare(&teller)? {
        output.say(&done);
    }
    let mut run = Run::begin(&project, Begin::Resume, &teller)?;
    let due = run.state().step;
    if let Phase::Finished { reason } = &run.state().phase {
        return Err(UsageError(format!("the loop has finished: {reason}")).into());
    }
    if !steps.is_empty() && !steps.contains(&due) {
        let asked = steps.first().map_or("", |s| s.as_str());
        let sentence =
            format!("step {asked} is not due: iteration {} expects {}", run.state().iteration, due.as_str());
        return Err(UsageError(sentence).into());
    }
    loop {
        let before = run.state().step;
        let phase = run.step()?;
        let goes_on =
            phase == Phase::Running && before < run.state().step && steps.contains(&run.state().step);
        if !goes_on {
            return tell(output, run.state());
        }
    }
}

fn tell(output: &Output, state: &State) -> anyhow::Result<ExitCode> {
    let words = match &state.phase {
        Phase::Running => format!("next: iteration {}, step {}", state.iteration, state.step.as_str()),
        Phase::AwaitingReview => "waiting for people's labels".to_owned(),
        Phase::Halted { reason } => format!("halted: {reason}"),
        Phase::Finished { reason } => format!("finished: {reason}"),
    };
    output.result(&json!({ "state": state }), &words)?;
    Ok(ExitCode::SUCCESS)
}
