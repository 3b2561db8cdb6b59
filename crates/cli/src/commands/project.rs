//! `init`, `status`, `report`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use labelloop_core::ClassSchema;
use labelloop_dataset::Dataset;
use labelloop_formats::coco;
use labelloop_loop::annotate::AnnotatorParams;
use labelloop_loop::config::OnFail;
use labelloop_loop::history::History;
use labelloop_loop::state::{Phase, State, Step};
use labelloop_loop::{LoopConfig, Project};
use serde_json::json;

use crate::args::{InitArgs, ProjectArgs};
use crate::output::Output;

/// Writes the configuration and an empty dataset.
pub(super) fn init(args: &InitArgs, output: &Output) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&args.dir)
        .with_context(|| format!("{}: cannot make the folder", args.dir.display()))?;
    let schema = match &args.coco {
        Some(path) => {
            let options =
                coco::ReadOptions { group_key: Some(args.group.clone()), ..coco::ReadOptions::default() };
            coco::read(path, &options)?.set.schema
        }
        None => ClassSchema::new(args.classes.iter().cloned())?,
    };
    let config = config(args)?;
    let project = Project::init(&args.dir, &config, &schema)?;
    let path = project.layout.config();
    let words = format!(
        "project {} with {} classes: {}\nnext: labelloop run --config {}{}",
        config.project.name,
        schema.n_classes(),
        path.display(),
        path.display(),
        if args.simulate { "" } else { " (it will pause for people's labels after each selection)" }
    );
    output.result(&json!({ "config": path, "classes": schema.names() }), &words)?;
    Ok(ExitCode::SUCCESS)
}

fn config(args: &InitArgs) -> anyhow::Result<LoopConfig> {
    let root = std::path::absolute(&args.dir)?;
    let folder_name =
        || root.file_name().map_or_else(|| "project".to_owned(), |n| n.to_string_lossy().into_owned());
    let beside = || args.coco.as_deref().and_then(Path::parent).map(|p| p.join("images"));
    let media = args.media.clone().or_else(beside).unwrap_or_else(|| PathBuf::from("media"));
    // Relative paths of the command line are relative to where it was typed; those of the file, to the file.
    let placed = |path: &Path| if path.exists() { std::path::absolute(path) } else { Ok(path.to_owned()) };
    let mut config = LoopConfig::new(args.name.clone().unwrap_or_else(folder_name), placed(&media)?);
    config.project.annotations = args.coco.as_deref().map(placed).transpose()?;
    config.project.group_key.clone_from(&args.group);
    config.project.seed = args.seed;
    config.splits.salt = format!("labelloop-{}", args.seed);
    if args.simulate {
        config.active_learning.require_human_review = false;
        config.annotator = Some(AnnotatorParams::default());
        config.qa.on_fail = OnFail::Relabel;
    }
    Ok(config)
}

/// Progress by split and what to do next.
pub(super) fn status(args: &ProjectArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let project = Project::open(&args.project)?;
    let dataset = project.dataset()?;
    let table = dataset.progress();
    let state = State::load(&project.layout.state())?;
    let next = advice(&project, &dataset, state.as_ref())?;
    let history = History::load(&project.layout.history())?;
    let best = history.best().map(|r| (r.iteration, r.f1));
    let mut words = table.to_string();
    if let Some((iteration, Some(f1))) = best {
        words.push_str(&format!("\nbest so far: F1 {f1:.4} on val, iteration {iteration}"));
    }
    let gain = history.records().last().and_then(|r| r.gain);
    if let Some(gain) = gain {
        words.push_str(&format!("\ngain: F1 {gain}"));
    }
    words.push_str(&format!("\nnext: {next}"));
    let document = json!({ "progress": table, "state": state, "best": best, "gain": gain, "next": next });
    output.result(&document, &words)?;
    Ok(ExitCode::SUCCESS)
}

fn advice(project: &Project, dataset: &Dataset, state: Option<&State>) -> anyhow::Result<String> {
    if dataset.samples().is_empty() && project.config.project.annotations.is_none() {
        return Ok("labelloop import COCO.json".to_owned());
    }
    let config = project.layout.config();
    let run = format!("labelloop run --config {}", config.display());
    Ok(match state {
        None => run,
        Some(State { phase: Phase::Running, iteration, step: Step::Annotate, .. })
            if project.config.active_learning.require_human_review =>
        {
            waiting(project, *iteration, &run)?
        }
        Some(State { phase: Phase::Running, iteration, step, .. }) => {
            format!("{run} --resume (iteration {iteration}, step {})", step.as_str())
        }
        Some(State { phase: Phase::AwaitingReview, iteration, .. }) => waiting(project, *iteration, &run)?,
        Some(State { phase: Phase::Halted { reason }, .. }) => {
            format!("{run} --resume, after mending: {reason}")
        }
        Some(State { phase: Phase::Finished { reason }, .. }) => {
            format!("finished ({reason}); labelloop eval --test --reason ... opens the frozen test set, once")
        }
    })
}

fn waiting(project: &Project, iteration: u32, run: &str) -> anyhow::Result<String> {
    let n_waiting = project.waiting(iteration)?.len();
    if n_waiting == 0 {
        return Ok(format!("labels of batch {iteration} are in: {run} --resume"));
    }
    let folder = project.layout.batch_export(iteration);
    let label = match folder.exists() {
        true => format!("label {}", folder.display()),
        false => "labelloop export --format FORMAT, label what it writes".to_owned(),
    };
    Ok(format!(
        "{n_waiting} samples of batch {iteration} wait for labels: {label}, then labelloop import --batch {iteration} FILE \
         --format FORMAT, then {run} --resume"
    ))
}

/// Plots and page.
pub(super) fn report(args: &ProjectArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let project = Project::open(&args.project)?;
    let input = labelloop_report::gather(&project.layout)?;
    let written = labelloop_report::write(&project.layout, &input)?;
    let words = format!(
        "{}\nreport: {}",
        labelloop_report::convergence_table(&input.records),
        written.page.display()
    );
    output.result(
        &json!({ "report": written.page, "plots": written.plots, "records": input.records }),
        &words,
    )?;
    Ok(ExitCode::SUCCESS)
}
