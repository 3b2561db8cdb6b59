use std::path::PathBuf;

use clap::Args;

use super::ProjectArgs;

#[derive(Debug, Args)]
pub(crate) struct QaVersionArgs {
    /// Make a version of the golden set as its reference labels are now, and say why; absent: list the versions.
    #[arg(long, value_name = "WHY")]
    pub(crate) reason: Option<String>,
    /// Corrected reference labels of golden pictures, which take the place of theirs first.
    #[arg(long, value_name = "FILE", requires = "reason")]
    pub(crate) reference: Option<PathBuf>,
    /// Format of that file: coco, yolo, voc, kitti, cvat, label-studio, fiftyone.
    #[arg(long, default_value = "coco", value_name = "FORMAT")]
    pub(crate) format: String,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}
