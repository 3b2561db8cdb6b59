//! Control charts over the rounds of the golden set, the one at hand included.

use labelloop_qa::{ChartParams, GoldenChart, History, HistoryEntry, golden_chart};

use super::Context;
use super::golden::golden_history;
use crate::Result;
use crate::event::Event;

/// The charts of this round's golden version: of the rounds that were accepted before it, and of this one, accepted or
/// not.
pub(super) fn with_round(context: &Context<'_>, round: &HistoryEntry) -> Result<GoldenChart> {
    let known = golden_history(context.project)?;
    // Later rounds, and another one of this iteration, are left over from before a restart.
    let before = known.entries().iter().filter(|e| e.iteration < round.iteration).cloned();
    let history = History::from(before.chain([round.clone()]).collect::<Vec<_>>());
    // The same in every iteration, so that limits do not move.
    let seed = context.project.seed().stream("golden chart");
    Ok(golden_chart(&history, &round.golden_version, &ChartParams { seed, ..ChartParams::default() })?)
}

/// Says what the charts see in this round.
pub(super) fn tell(context: &Context<'_>, chart: &GoldenChart) {
    let iteration = u64::from(context.iteration);
    let drift = chart.drift_of(iteration);
    for signal in chart.signals_of(iteration) {
        let is_drift = drift == Some(signal);
        context.observer.event(&Event::GoldenChart { is_drift, summary: signal.to_string() });
    }
}
