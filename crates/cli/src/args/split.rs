use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ProjectArgs;

/// What to do with near-duplicates in different groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NearArg {
    /// Make one group of them, so that both sides land in one split.
    Merge,
    /// End with status 3, naming the pair, as long as one would be on two sides.
    Refuse,
    /// Split as if they were none, and list what is on two sides.
    Report,
}

/// How close is too close.
#[derive(Debug, Args)]
pub(crate) struct LookArgs {
    /// Pictures whose perceptual hashes differ in at most N of 64 bits look alike. Default 4; in a project, its own.
    #[arg(long, value_name = "N")]
    pub(crate) hash_bits: Option<u32>,
    /// Pictures whose vectors by the built-in descriptor are at most so far apart look alike. Default 0.05; in a project,
    /// its own.
    #[arg(long, value_name = "D")]
    pub(crate) radius: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct SplitArgs {
    /// COCO file. Absent: the project's dataset.
    #[arg(requires = "out")]
    pub(crate) coco: Option<PathBuf>,
    /// Where the splits and their proof go.
    #[arg(long, value_name = "SPLITS.json", requires = "coco")]
    pub(crate) out: Option<PathBuf>,
    /// Image field that names the leak-free group.
    #[arg(long, default_value = "group", value_name = "KEY")]
    pub(crate) group: String,
    /// Key of the hash that deals groups out.
    #[arg(long, default_value = "labelloop")]
    pub(crate) salt: String,
    /// Folder of the COCO file's pictures: near-duplicates in different groups are looked for.
    #[arg(long, value_name = "DIR", requires = "coco")]
    pub(crate) images: Option<PathBuf>,
    /// What to do with near-duplicates. Absent: merge, or what the project's configuration says.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) near_duplicates: Option<NearArg>,
    #[command(flatten)]
    pub(crate) look: LookArgs,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LeaksArgs {
    /// COCO files whose images name their split; several files are a split each, by their names. Absent: the project.
    pub(crate) coco: Vec<PathBuf>,
    /// Image field that names the split.
    #[arg(long, default_value = "split", value_name = "KEY")]
    pub(crate) split_key: String,
    /// Image field that names what should not be on two sides.
    #[arg(long, default_value = "group", value_name = "KEY")]
    pub(crate) group: String,
    /// Folder of the pictures: the same bytes and near-duplicates are looked for as well.
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) look: LookArgs,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}
