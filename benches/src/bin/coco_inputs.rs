//! Writes `instances.json` and `detections.json` into a folder: see [`labelloop_benches::inputs`].

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use labelloop_benches::inputs::{InputParams, make};

/// Makes a pair of COCO files like those of val2017; the same bytes for the same numbers.
#[derive(Parser)]
struct Args {
    /// Folder for the two files; made where it is missing
    out: PathBuf,
    /// Pictures
    #[arg(long, default_value_t = InputParams::default().n_images)]
    images: usize,
    /// Labels
    #[arg(long, default_value_t = InputParams::default().n_labels)]
    labels: usize,
    /// Detections
    #[arg(long, default_value_t = InputParams::default().n_detections)]
    detections: usize,
    /// Classes
    #[arg(long, default_value_t = InputParams::default().n_classes)]
    classes: usize,
    /// Where chance comes from
    #[arg(long, default_value_t = InputParams::default().seed)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    anyhow::ensure!(0 < args.images && 0 < args.classes, "at least one picture and one class");
    let made = make(&InputParams {
        n_images: args.images,
        n_labels: args.labels,
        n_detections: args.detections,
        n_classes: args.classes,
        seed: args.seed,
    });
    std::fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    for (name, text) in [("instances.json", made.instances), ("detections.json", made.detections)] {
        let path = args.out.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
