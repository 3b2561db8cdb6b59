use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct QaChartArgs {
    /// History of golden checks, as a project keeps it in metrics/golden_qa_history.json.
    #[arg(value_name = "HISTORY.json", required_unless_present = "project", conflicts_with = "project")]
    pub(crate) history: Option<PathBuf>,
    /// Project folder whose history is meant.
    #[arg(long, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// Version of the golden set; absent: that of the last check.
    #[arg(long = "golden-version", value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// Probability of a false alarm within --rounds rounds.
    #[arg(long, default_value_t = 0.05, value_name = "P")]
    pub(crate) false_alarm: f64,
    /// Rounds that the probability is stated for.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) rounds: usize,
    /// What CUSUMs take off every round, in standard deviations.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) k: f64,
    /// Histories simulated to find the limits.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub(crate) simulations: usize,
    /// Seed of the simulated histories.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}
