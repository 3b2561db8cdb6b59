use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ProjectArgs;

#[derive(Debug, Args)]
pub(crate) struct LayoutArgs {
    /// Embeddings: a .parquet table, or a .npy matrix with the ids beside it in .json where there are any. Absent: the
    /// vectors of the project's pool and val, fitted on the pool.
    pub(crate) rows: Option<PathBuf>,
    /// Where the picture or the coordinates go; repeat it for several.
    #[arg(long, value_name = "MAP.svg|.png|.csv", required = true)]
    pub(crate) out: Vec<PathBuf>,
    /// Principal components, or t-SNE, which keeps neighbours together.
    #[arg(long, value_enum, default_value = "pca")]
    pub(crate) method: LayoutMethod,
    /// What is known of the rows: .json or .csv by id, .json or .npy in the order of rows.
    #[arg(long, value_name = "FILE", requires = "rows")]
    pub(crate) color_by: Option<PathBuf>,
    /// What the colours are. Absent: scores where all are numbers, else names; the split, for a project.
    #[arg(long, value_enum)]
    pub(crate) kind: Option<ColourKind>,
    /// Score of the project's samples to colour by, with --kind score.
    #[arg(long, value_name = "NAME", conflicts_with = "rows")]
    pub(crate) score: Option<String>,
    /// Ids to be placed without being fitted on, one on each line: give the test samples.
    #[arg(long, value_name = "IDS.txt", requires = "rows")]
    pub(crate) exclude_from_fit: Option<PathBuf>,
    /// About how many neighbours count, for t-SNE.
    #[arg(long, default_value_t = 30.0)]
    pub(crate) perplexity: f64,
    /// Rows that t-SNE is fitted on at most; the others are placed by their neighbours.
    #[arg(long, default_value_t = 3000, value_name = "N")]
    pub(crate) max_rows: usize,
    /// Heading.
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// Seed of the draw of rows.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayoutMethod {
    Pca,
    Tsne,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColourKind {
    Split,
    Class,
    Score,
    Batch,
}
