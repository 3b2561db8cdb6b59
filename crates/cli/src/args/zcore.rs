use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::InitialArg;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct ZcoreArgs {
    #[command(subcommand)]
    pub(crate) what: Option<ZcoreCommand>,
    /// Embeddings, one row per sample, f32 or f64. With --partial also `-`: lines of row number and base64 of f32 numbers.
    #[arg(required = true)]
    pub(crate) embeddings: Option<PathBuf>,
    /// Where the scores go.
    #[arg(long, value_name = "SCORES.npy", required_unless_present = "partial")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) params: ZcoreParamsArgs,
    /// Score an explicit list of draws: {"dims": [[..]], "points": [[..]]}.
    #[arg(long, value_name = "PLAN.json", conflicts_with = "partial")]
    pub(crate) plan: Option<PathBuf>,
    /// Score with N seeds, from --seed on, and say how far the scores agree; those of --seed are written.
    #[arg(long, value_name = "N", conflicts_with_all = ["plan", "partial"], value_parser = clap::value_parser!(u64).range(2..))]
    pub(crate) stability: Option<u64>,
    /// The embeddings are one shard of many: write what it says in this round, for `zcore merge`; `-` for a line of base64.
    #[arg(long, value_name = "OUT", conflicts_with = "out")]
    pub(crate) partial: Option<PathBuf>,
    /// The round, as `zcore merge --next` wrote it. Absent: the first.
    #[arg(long, value_name = "ORDER", requires = "partial")]
    pub(crate) order: Option<PathBuf>,
    /// Number of the shard's first row among all rows.
    #[arg(long, value_name = "N", requires = "partial", default_value_t = 0)]
    pub(crate) first_row: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ZcoreCommand {
    /// Merge what shards say, and go on to the next round or to the scores.
    Merge(ZcoreMergeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ZcoreMergeArgs {
    /// What shards said in one round, in any order; `-` for lines of base64 on standard input.
    #[arg(required = true)]
    pub(crate) partials: Vec<PathBuf>,
    /// Merge only, as a node of a tree of merges; `-` for a line of base64.
    #[arg(long, value_name = "OUT", conflicts_with_all = ["next", "out"])]
    pub(crate) partial: Option<PathBuf>,
    /// All shards are merged: where the next round goes, unless this is the last.
    #[arg(long, value_name = "ORDER")]
    pub(crate) next: Option<PathBuf>,
    /// Where the scores go after the last round.
    #[arg(long, value_name = "SCORES.npy")]
    pub(crate) out: Option<PathBuf>,
    /// Where the rows with the highest scores go after the last round, best first.
    #[arg(long, value_name = "IDS.npy", requires = "k", requires = "out")]
    pub(crate) ids: Option<PathBuf>,
    /// How many of them.
    #[arg(short, long, value_name = "K", requires = "ids")]
    pub(crate) k: Option<usize>,
    /// Rounds that count medians: 3 are exact, 1 and 2 within a bound.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3))]
    pub(crate) median_rounds: u32,
    /// Row numbers that are labelled already: the last N.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) n_labeled: u32,
    #[command(flatten)]
    pub(crate) params: ZcoreParamsArgs,
}

/// How draws are scored; of shards it is asked when columns are described and draws are made.
#[derive(Debug, Args)]
pub(crate) struct ZcoreParamsArgs {
    /// Random draws.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) draws: usize,
    /// Dimensions per draw.
    #[arg(long, default_value_t = 2)]
    pub(crate) dims: usize,
    /// Neighbours that a winner penalises.
    #[arg(long, default_value_t = 100)]
    pub(crate) neighbours: usize,
    /// Exponent of the distance in the penalty.
    #[arg(long, default_value_t = 4.0)]
    pub(crate) exponent: f64,
    /// Seed of the draws.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Where scores start.
    #[arg(long, value_enum, default_value = "zero")]
    pub(crate) initial: InitialArg,
}
