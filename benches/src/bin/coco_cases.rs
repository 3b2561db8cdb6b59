//! Many small problems in one process, for `conformance/coco_differential.py`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use labelloop_benches::{arrays, problem};

/// Evaluates `0-labels.json` and `0-detections.json`, `1-...` and so on in a folder, and writes the arrays of all of
/// them one after the other. Each is evaluated by long tables and by whole records, which must agree.
#[derive(Parser)]
struct Args {
    /// The folder
    cases: PathBuf,
    /// How many problems there are
    count: usize,
    /// Where the arrays go
    arrays: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let file = File::create(&args.arrays).with_context(|| format!("writing {}", args.arrays.display()))?;
    let mut out = BufWriter::new(file);
    for i in 0..args.count {
        let labels = args.cases.join(format!("{i}-labels.json"));
        let detections = args.cases.join(format!("{i}-detections.json"));
        let result = problem::evaluate_files(&labels, &detections).with_context(|| format!("problem {i}"))?;
        let records =
            problem::evaluate_records(&labels, &detections).with_context(|| format!("problem {i}"))?;
        let (by_rows, by_records) = (bytes(&result)?, bytes(&records)?);
        anyhow::ensure!(
            by_rows == by_records,
            "problem {i}: long tables and whole records give other arrays"
        );
        out.write_all(&by_rows)?;
    }
    Ok(out.flush()?)
}

fn bytes(result: &labelloop_eval::coco::CocoResult) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    arrays::write(&mut bytes, result)?;
    Ok(bytes)
}
