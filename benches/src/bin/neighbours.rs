//! Exact neighbours, as a process that is told what to measure.
//!
//! `neighbours POOL.npy QUERIES.npy --threads N` makes the index; then each line on standard input, `CODES K N_QUERIES` with codes
//! `never`, `always` or `auto`, is one search, answered by a line of JSON: CPU and wall seconds and the sum of all ids. A line
//! `prepare` makes the codes and says what that took. `neighbours_peers.py` drives it and the other tools in turn.

use std::fs;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;
use labelloop_benches::cpu;
use labelloop_index::{ExactIndex, Metric, UseCodes};
use ndarray::{Array2, Axis, Slice};
use ndarray_npy::ReadNpyExt as _;
use serde_json::{Value, json};

/// Measures exact neighbours.
#[derive(Parser)]
struct Args {
    /// Rows to search, f32
    pool: PathBuf,
    /// Rows to ask with, f32
    queries: PathBuf,
    /// cosine, dot or l2
    #[arg(long, default_value = "dot")]
    metric: String,
    /// Threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    rayon::ThreadPoolBuilder::new().num_threads(args.threads).build_global()?;
    let metric: Metric = serde_json::from_value(Value::String(args.metric.clone()))?;
    let (pool, queries) = (rows(&args.pool)?, rows(&args.queries)?);
    let mut index = ExactIndex::new(pool.view(), metric)?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (cpu, wall) = (cpu::of_threads()?, Instant::now());
        let mut ids = 0u64;
        if line == "prepare" {
            index = index.with_codes(UseCodes::Auto);
            index.prepare();
        } else {
            let mut words = line.split(' ');
            let mut word = || words.next().context("codes, k and a number of queries are expected");
            index = index.with_codes(serde_json::from_value(Value::String(word()?.to_owned()))?);
            let (k, n) = (word()?.parse()?, word()?.parse::<usize>()?);
            let queries = queries.slice_axis(Axis(0), Slice::from(..n.min(queries.nrows())));
            ids = index.search(queries, k, None)?.ids.iter().map(|id| u64::from(*id)).sum();
        }
        let line = json!({
            "cpu": cpu::of_threads()? - cpu, "wall": wall.elapsed().as_secs_f64(), "ids": ids,
        });
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()?;
    }
    Ok(())
}

fn rows(path: &Path) -> anyhow::Result<Array2<f32>> {
    let file = fs::File::open(path).with_context(|| path.display().to_string())?;
    Ok(Array2::read_npy(file)?)
}
