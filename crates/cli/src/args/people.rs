use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ProjectArgs;

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Annotations, in the format that `--format` names: a file, or a folder for yolo, voc, kitti and fiftyone.
    pub(crate) file: PathBuf,
    /// Format of the file: coco, yolo, voc, kitti, cvat, label-studio, fiftyone.
    #[arg(long, default_value = "coco", value_name = "FORMAT")]
    pub(crate) format: String,
    /// The file holds people's labels of a batch; absent number: the batch that is waiting.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "current", conflicts_with = "golden")]
    pub(crate) batch: Option<String>,
    /// The file holds people's labels of the golden set in the current iteration.
    #[arg(long)]
    pub(crate) golden: bool,
    /// Who labelled, where the file does not say.
    #[arg(long, default_value = "people")]
    pub(crate) annotator: String,
    /// Take pictures that came back with exactly the model's proposals for labelled: somebody agreed with all of them.
    #[arg(long, requires = "batch")]
    pub(crate) accept_untouched: bool,
    /// What a picture without boxes means in a format that cannot say.
    #[arg(long, value_enum, default_value = "empty", value_name = "WHAT")]
    pub(crate) no_boxes: NoBoxesArg,
    /// Leave out classes that the schema does not know, and count them, instead of refusing.
    #[arg(long)]
    pub(crate) lenient: bool,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NoBoxesArg {
    /// Somebody looked, and there is no object.
    Empty,
    /// Nobody looked yet.
    Pending,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Number of the batch; absent: the newest.
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<u32>,
    /// Folder to write to; absent: the iteration's own.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// What the labelling tool reads: coco, yolo, voc, kitti, cvat, label-studio, fiftyone.
    #[arg(long, default_value = "coco", value_name = "FORMAT")]
    pub(crate) format: String,
    /// Whether the pictures go along, below `images`.
    #[arg(long, value_enum, default_value = "none", value_name = "HOW")]
    pub(crate) media: MediaArg,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MediaArg {
    /// Copies of them.
    Copy,
    /// Links to them.
    Link,
    /// They stay where they are.
    None,
}
