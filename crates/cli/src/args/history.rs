use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    #[command(subcommand)]
    pub(crate) what: Option<HistoryCommand>,
    /// Project folder.
    #[arg(long, default_value = ".", value_name = "DIR", global = true)]
    pub(crate) project: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// What changed from one generation to another. Test labels are counted, never shown.
    Diff {
        /// Number of the older generation.
        older: u64,
        /// Number of the newer generation.
        newer: u64,
    },
    /// Commit the content of an earlier generation as the next one. Nothing is lost by it.
    Restore {
        /// Number of the generation.
        number: u64,
        /// Why; kept in the history.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}
