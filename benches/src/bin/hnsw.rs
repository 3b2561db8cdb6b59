//! Neighbours by the graph and by the exact scan, one thread, as a process that is told what to measure.
//!
//! `hnsw POOL.npy QUERIES.npy TRUTH.npy` builds the graph and says what that took; then each line on standard input, `hnsw
//! BEAM` or `exact 0`, is one measurement of all queries, answered by a line of JSON: CPU microseconds a query and the share
//! of the true neighbours found. `hnsw_peers.py` drives it and the other tools in turn.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Parser;
use labelloop_index::{ExactIndex, HnswParams, Metric, NeighbourIndex, Neighbours};
use ndarray::Array2;
use ndarray_npy::ReadNpyExt as _;
use serde_json::{Value, json};

/// Measures neighbours.
#[derive(Parser)]
struct Args {
    /// Rows to search, f32
    pool: PathBuf,
    /// Rows to ask with, f32
    queries: PathBuf,
    /// True neighbours of each query, int64
    truth: PathBuf,
    /// cosine, dot or l2
    #[arg(long, default_value = "l2")]
    metric: String,
    /// Threads of the build; searches have one
    #[arg(long, default_value_t = 1)]
    build_threads: usize,
    /// Links a node
    #[arg(long, default_value_t = 16)]
    links: usize,
    /// Beam of the build
    #[arg(long, default_value_t = 200)]
    beam: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let metric: Metric = serde_json::from_value(Value::String(args.metric.clone()))?;
    let (pool, queries) = (rows(&args.pool)?, rows(&args.queries)?);
    let truth: Array2<i64> = Array2::read_npy(std::fs::File::open(&args.truth)?)?;
    let params = HnswParams { n_links: args.links, build_beam: args.beam, ..HnswParams::default() };
    let threads = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build();
    let (begin, wall) = (cpu_seconds()?, std::time::Instant::now());
    let mut graph = threads(args.build_threads)?.install(|| params.build(pool.view(), metric))?;
    let audit = graph.audit();
    say(&json!({
        "build_cpu_s": cpu_seconds()? - begin, "build_wall_s": wall.elapsed().as_secs_f64(),
        "nodes": audit.n_nodes, "links": audit.n_links, "layers": audit.n_layers, "orphans": audit.n_orphans,
    }))?;
    let exact = ExactIndex::new(pool.view(), metric)?;
    let one = threads(1)?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (method, beam) = line.split_once(' ').context("a method and a beam are expected")?;
        let index: &dyn NeighbourIndex = match method {
            "hnsw" => {
                graph.set_search_beam(beam.parse()?)?;
                &graph
            }
            "exact" => &exact,
            other => bail!("method {other:?}: expected hnsw or exact"),
        };
        let begin = cpu_seconds()?;
        let found = one.install(|| index.search(queries.view(), truth.ncols(), None))?;
        let cpu_us = (cpu_seconds()? - begin) / queries.nrows() as f64 * 1e6;
        say(&json!({ "cpu_us": cpu_us, "recall": recall(&found, &truth) }))?;
    }
    Ok(())
}

fn rows(path: &Path) -> anyhow::Result<Array2<f32>> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    Ok(Array2::read_npy(file)?)
}

fn recall(found: &Neighbours, truth: &Array2<i64>) -> f64 {
    let pairs = found.ids.rows().into_iter().zip(truth.rows());
    let hits: usize = pairs
        .map(|(ids, truth)| ids.iter().filter(|id| truth.iter().any(|t| *t == i64::from(**id))).count())
        .sum();
    hits as f64 / truth.len() as f64
}

/// User time of this process so far; Linux counts it in hundredths of a second.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(") ").context("no name in /proc/self/stat")?.1;
    let ticks: f64 = after_name.split(' ').nth(11).context("no user time in /proc/self/stat")?.parse()?;
    Ok(ticks / 100.0)
}

fn say(line: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
