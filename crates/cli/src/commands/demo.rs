//! `demo`: the loop on generated scenes.

use std::process::ExitCode;

use labelloop_dataset::BoxPolicy;
use labelloop_loop::annotate::AnnotatorParams;
use labelloop_loop::backtest::beside_random;
use labelloop_loop::config::OnFail;
use labelloop_loop::history::History;
use labelloop_loop::{Begin, LoopConfig, Project, Run, selection_map};
use labelloop_testkit::scenes::{self, SceneParams};
use serde_json::json;

use crate::args::DemoArgs;
use crate::output::Output;
use crate::progress::Teller;

pub(super) fn demo(args: &DemoArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let teller = Teller::new(output);
    let params = SceneParams { n_groups: args.groups, seed: args.seed, ..SceneParams::default() };
    let set = scenes::generate(&params.check()?, &args.dir, &teller)?;
    output.say(&format!("generated {} samples in {}", set.samples.len(), args.dir.display()));
    let mut config = LoopConfig::new("demo", ".");
    config.project.seed = args.seed;
    config.active_learning.require_human_review = false;
    config.annotator = Some(AnnotatorParams::default());
    config.qa.on_fail = OnFail::Relabel;
    config.selection.batch.share = 0.1;
    config.training.detector.stride = Some(4);
    config.training.detector.n_random_features = 300;
    let project = Project::init(&args.dir, &config, &set.schema)?;
    project.import(&set, BoxPolicy::default())?;
    project.split_guarded(None, &teller)?;
    Run::begin(&project, Begin::Resume, &teller)?.go()?;
    beside_random(&project, &[1, 2, 3], &teller)?;
    selection_map(&project, &teller)?;
    let input = labelloop_report::gather(&project.layout)?;
    let written = labelloop_report::write(&project.layout, &input)?;
    let records = History::load(&project.layout.history())?.records();
    let words = format!(
        "{}\n{}\nreport: {}",
        labelloop_report::convergence_table(&records),
        labelloop_report::curves_table(&records, &input.baselines),
        written.page.display()
    );
    output.result(
        &json!({ "records": records, "baselines": input.baselines, "report": written.page }),
        &words,
    )?;
    Ok(ExitCode::SUCCESS)
}
