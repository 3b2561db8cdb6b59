//! `run`: the whole loop.

use std::path::Path;
use std::process::ExitCode;

use labelloop_loop::history::History;
use labelloop_loop::state::{Phase, State, Step};
use labelloop_loop::{Begin, LoopConfig, Project, QaOverride, Run, selection_map};
use serde_json::json;

use crate::args::RunArgs;
use crate::output::{Output, UsageError};
use crate::progress::Teller;

pub(super) fn run(args: &RunArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let root = args.config.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let config = LoopConfig::load(&args.config)?;
    if args.auto && config.active_learning.require_human_review {
        let sentence = "--auto with active_learning.require_human_review = true: expected one of them only";
        return Err(UsageError(sentence.to_owned()).into());
    }
    let project = Project::open(root)?;
    if args.dry_run {
        return plan(&project, args, output);
    }
    banner(&project, args, output)?;
    let teller = Teller::new(output);
    for done in project.prepare(&teller)? {
        output.say(&done);
    }
    if let Some(reason) = &args.override_qa {
        record_override(&project, reason)?;
    }
    let mut run = Run::begin(&project, begin(args), &teller)?;
    let outcome = run.go();
    // Whatever happened, what was measured so far is worth a look.
    let page = write_report(&project, &teller);
    let phase = outcome.inspect_err(|_| interrupted(&project, args, output))?;
    let page = page?;
    let records = History::load(&project.layout.history())?.records();
    let words = format!("{}\nreport: {}", labelloop_report::convergence_table(&records), page.display());
    output.result(&json!({ "phase": phase, "records": records, "report": page }), &words)?;
    Ok(ExitCode::SUCCESS)
}

fn begin(args: &RunArgs) -> Begin {
    match (args.resume, args.start_iteration) {
        (true, _) => Begin::Resume,
        (false, Some(n)) => Begin::Iteration(n),
        (false, None) => Begin::Fresh,
    }
}

fn write_report(project: &Project, teller: &Teller<'_>) -> anyhow::Result<std::path::PathBuf> {
    selection_map(project, teller)?;
    let input = labelloop_report::gather(&project.layout)?;
    Ok(labelloop_report::write(&project.layout, &input)?.page)
}

fn record_override(project: &Project, reason: &str) -> anyhow::Result<()> {
    if reason.trim().is_empty() {
        return Err(UsageError(
            "--override-qa with an empty reason: expected why labels that drifted are used".into(),
        )
        .into());
    }
    let iteration = State::load(&project.layout.state())?.map_or(0, |s| s.iteration);
    let record = serde_json::to_vec_pretty(&QaOverride { reason: reason.to_owned() })?;
    labelloop_loop::write_atomically(&project.layout.qa_override(iteration), &record)?;
    Ok(())
}

fn banner(project: &Project, args: &RunArgs, output: &Output) -> anyhow::Result<()> {
    let state = State::load(&project.layout.state())?;
    let at = state.map_or_else(
        || "iteration 0".to_owned(),
        |s| format!("iteration {}, step {}", s.iteration, s.step.as_str()),
    );
    output.say(&format!("project   {} in {}", project.config.project.name, project.layout.root().display()));
    output.say(&format!("begins    at {at}{}", if args.auto { ", never waiting for people" } else { "" }));
    let rules = &project.config.active_learning;
    output.say(&format!(
        "target    F1 {} on val, at most {} iterations",
        rules.target_f1, rules.max_iterations
    ));
    Ok(())
}

fn interrupted(project: &Project, args: &RunArgs, output: &Output) {
    if let Ok(Some(state)) = State::load(&project.layout.state()) {
        let at = format!("iteration {}, step {}", state.iteration, state.step.as_str());
        output.say(&format!(
            "stopped at {at}; go on with: labelloop run --config {} --resume",
            args.config.display()
        ));
    }
}

/// What a run would do, written nowhere.
fn plan(project: &Project, args: &RunArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let state = State::load(&project.layout.state())?;
    let reached = state.as_ref().map_or(0, |s| s.iteration);
    if let Some(n) = args.start_iteration.filter(|n| reached < *n) {
        return Err(UsageError(format!(
            "start iteration {n}: expected 0 to {reached}, the iterations reached so far"
        ))
        .into());
    }
    let first = match (args.start_iteration, &state) {
        (Some(n), _) => (n, Step::Select),
        (None, Some(s)) => (s.iteration, s.step),
        (None, None) => (0, Step::Select),
    };
    let steps: Vec<&str> = Step::ALL.into_iter().filter(|s| first.1 <= *s).map(Step::as_str).collect();
    let dataset = project.dataset()?;
    let finished = matches!(state.as_ref().map(|s| &s.phase), Some(Phase::Finished { .. }))
        && args.start_iteration.is_none();
    let words = if finished {
        "plan: nothing, the loop has finished".to_owned()
    } else {
        format!(
            "plan: iteration {} from {} samples ({} unlabelled in the pool): {}; then again until a rule stops it. Nothing was \
             written.",
            first.0,
            dataset.samples().len(),
            dataset.unlabeled_pool().len(),
            steps.join(", ")
        )
    };
    output.result(
        &json!({ "dry_run": true, "iteration": first.0, "steps": steps, "finished": finished }),
        &words,
    )?;
    Ok(ExitCode::SUCCESS)
}
