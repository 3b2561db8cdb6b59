use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ProjectArgs;

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// A folder of pictures, pictures one by one, or a .txt file with one path on each line. Absent: the project's pictures.
    pub(crate) images: Vec<PathBuf>,
    /// Where the vectors go: a .parquet table, or a .npy matrix with the ids beside it in .json.
    #[arg(long, value_name = "EMB.parquet|EMB.npy", requires = "images")]
    pub(crate) out: Option<PathBuf>,
    /// An image model in ONNX. Absent: the built-in descriptor of colour, edges and texture.
    #[arg(long, value_name = "MODEL.onnx", requires = "out")]
    pub(crate) model: Option<PathBuf>,
    /// How pictures are prepared for the model and what is taken from it. Absent: MODEL.toml beside the model.
    #[arg(long, value_name = "MODEL.toml", requires = "model")]
    pub(crate) description: Option<PathBuf>,
    /// What computes the model.
    #[arg(long, value_enum, default_value = "auto", requires = "model")]
    pub(crate) backend: BackendArg,
    /// Folder where vectors are kept by content from run to run. Absent: EMB.vectors beside the output.
    #[arg(long, value_name = "DIR", requires = "out")]
    pub(crate) store: Option<PathBuf>,
    /// Fail, and write no output, when a file has no vector; what could be computed is kept all the same.
    #[arg(long)]
    pub(crate) strict: bool,
    /// A COCO file: embed each of its labelled objects instead of whole pictures. Rows are named picture#label, and
    /// where each comes from is beside the output in .crops.json.
    #[arg(long, value_name = "LABELS.json", requires = "out")]
    pub(crate) crops: Option<PathBuf>,
    /// What is cut out around an object, as a share of its longer side.
    #[arg(long, default_value_t = 0.0, requires = "crops")]
    pub(crate) margin: f64,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendArg {
    /// The ONNX runtime library where one is found, else the runtime in Rust where it is compiled in.
    Auto,
    /// The ONNX runtime library.
    Runtime,
    /// The runtime in Rust, tract.
    Tract,
}
