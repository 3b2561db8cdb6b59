use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct QaCheckArgs {
    /// The labels to look at.
    #[arg(value_name = "FILE.json")]
    pub(crate) file: PathBuf,
    /// Labels from before, say of the set that these are to be merged into: tells which class names are new and how far
    /// the mix of classes moves.
    #[arg(long, value_name = "OTHER.json")]
    pub(crate) against: Option<PathBuf>,
    /// Format of both: coco, cvat, label-studio, fiftyone, yolo, voc, kitti, parquet.
    #[arg(long, default_value = "coco", value_name = "FORMAT")]
    pub(crate) format: String,
    /// The most issues to list.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) top: usize,
    /// A box with a shorter side below this many pixels is a sliver.
    #[arg(long, default_value_t = 2.0, value_name = "PIXELS")]
    pub(crate) min_side: f64,
    /// Boxes of one class that overlap more than this are duplicates.
    #[arg(long, default_value_t = 0.95, value_name = "IOU")]
    pub(crate) duplicate_iou: f64,
    /// Name of the class for what is ambiguous.
    #[arg(long, default_value = "other", value_name = "NAME")]
    pub(crate) other_class: String,
}
