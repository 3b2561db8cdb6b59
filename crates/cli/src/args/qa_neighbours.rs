use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct QaNeighboursArgs {
    /// Vectors of the labelled objects, as `embed --crops` writes them.
    #[arg(long, value_name = "CROPS.parquet|CROPS.npy")]
    pub(crate) crops: PathBuf,
    /// COCO file with the labels as they are now.
    #[arg(long, value_name = "LABELS.json")]
    pub(crate) labels: PathBuf,
    /// Neighbours in other pictures that are asked.
    #[arg(long, default_value_t = 10, value_name = "K")]
    pub(crate) k: usize,
    /// The most suspects to list.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) top: usize,
    /// List the objects that look most like this one instead.
    #[arg(long, value_name = "PICTURE#OBJECT")]
    pub(crate) of: Option<String>,
    /// Field of the pictures whose objects say nothing about each other; without it each picture is its own.
    #[arg(long, default_value = "group", value_name = "FIELD")]
    pub(crate) group: String,
}
