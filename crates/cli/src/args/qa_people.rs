use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct QaScorecardsArgs {
    /// Rounds of golden labels that name who drew each box or answered for each picture.
    #[arg(required = true, value_name = "ROUND.json")]
    pub(crate) rounds: Vec<PathBuf>,
    /// The reference labels.
    #[arg(long, value_name = "R.json")]
    pub(crate) reference: PathBuf,
    /// Each file is one person's, called like the file.
    #[arg(long)]
    pub(crate) by_file: bool,
    /// Several people named in one picture labelled all of it, each alone, as Label Studio's annotations always are;
    /// without it they share one labelling.
    #[arg(long, conflicts_with = "by_file")]
    pub(crate) independent: bool,
    /// Format of all of them: coco, cvat, label-studio, fiftyone, parquet; with --by-file also yolo, voc, kitti.
    #[arg(long, default_value = "coco", value_name = "FORMAT")]
    pub(crate) format: String,
    /// The share of flags that may be false.
    #[arg(long, default_value_t = 0.05, value_name = "SHARE")]
    pub(crate) fdr: f64,
    /// Who answered for fewer pictures is not tested.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) min_images: usize,
    /// IoU from which boxes are the same object.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) iou: f64,
    /// Random exchanges of names.
    #[arg(long, default_value_t = 9_999, value_name = "N")]
    pub(crate) permutations: usize,
    /// Seed of the exchanges.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct QaAgreementArgs {
    /// One file per person, or one file that names who drew each box.
    #[arg(required = true, value_name = "LABELS.json")]
    pub(crate) files: Vec<PathBuf>,
    /// Format of all of them: coco, cvat, label-studio, fiftyone, parquet; of one file per person also yolo, voc, kitti.
    #[arg(long, default_value = "coco", value_name = "FORMAT")]
    pub(crate) format: String,
    /// IoU from which boxes are the same object.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) iou: f64,
    /// Resamples of the pictures for intervals.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(crate) bootstrap: usize,
    /// Seed of the resamples.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}
