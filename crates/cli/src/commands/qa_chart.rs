//! `qa chart`: control charts over the rounds of a golden set.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_core::Seed;
use labelloop_loop::Layout;
use labelloop_qa::{ChartParams, History, golden_chart};

use crate::args::QaChartArgs;
use crate::output::{GATE, Output};

/// Draws the charts; status 3 when the last round shows a drift that matters.
pub(super) fn chart(args: &QaChartArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let path = path(args);
    let text = std::fs::read(&path)
        .with_context(|| format!("{}: expected a history of golden checks", path.display()))?;
    let history: History = serde_json::from_slice(&text)
        .with_context(|| format!("{}: no history of golden checks", path.display()))?;
    let last = history.entries().last().map(|e| e.golden_version.clone());
    let version = args.version.clone().or(last).unwrap_or_default();
    let params = ChartParams {
        k: args.k,
        false_alarm: args.false_alarm,
        n_rounds: args.rounds,
        n_simulations: args.simulations,
        seed: Seed::new(args.seed),
    };
    let chart = golden_chart(&history, &version, &params).with_context(|| format!("{}", path.display()))?;
    output.result(&chart, &chart.to_string())?;
    let drift = chart.points.last().and_then(|p| chart.drift_of(p.iteration));
    Ok(if drift.is_some() { ExitCode::from(GATE) } else { ExitCode::SUCCESS })
}

fn path(args: &QaChartArgs) -> PathBuf {
    match (&args.history, &args.project) {
        (Some(history), _) => history.clone(),
        (None, project) => Layout::new(project.clone().unwrap_or_default()).golden_history(),
    }
}
