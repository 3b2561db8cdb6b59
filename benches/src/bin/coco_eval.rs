//! Two COCO files to the full arrays and the twelve statistics: the program that `peers.py` measures.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use labelloop_benches::{arrays, problem};
use labelloop_eval::coco::CocoResult;

/// Evaluates detections against labels and prints the twelve statistics as one JSON list.
#[derive(Parser)]
struct Args {
    /// COCO's instances.json
    labels: PathBuf,
    /// Detections in COCO's results format
    detections: PathBuf,
    /// How often, for profiles
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// Stop before the first file is opened: what the process costs by itself
    #[arg(long)]
    nothing: bool,
    /// Write the arrays as raw numbers
    #[arg(long)]
    arrays: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.nothing {
        return Ok(());
    }
    let mut result = evaluate(&args.labels, &args.detections)?;
    for _ in 1..args.repeat {
        result = evaluate(&args.labels, &args.detections)?;
    }
    if let Some(path) = &args.arrays {
        let file = File::create(path).with_context(|| format!("writing {}", path.display()))?;
        arrays::write(&mut BufWriter::new(file), &result)?;
    }
    say(&format!("{:?}", result.stats))
}

fn evaluate(labels: &Path, detections: &Path) -> anyhow::Result<CocoResult> {
    problem::evaluate_files(labels, detections)
}

#[allow(clippy::print_stdout, reason = "the answer of a program goes to standard output")]
fn say(line: &str) -> anyhow::Result<()> {
    println!("{line}");
    Ok(())
}
