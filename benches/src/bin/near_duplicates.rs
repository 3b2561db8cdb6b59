//! What near-duplicates of many rows cost: wall and CPU seconds and the most memory held.
//!
//! `--write ROWS.f32` writes the rows as plain little-endian numbers for `benches/duplicates_peers.py`, `--pairs PAIRS.csv`
//! the pairs found.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use labelloop_benches::cpu;
use labelloop_core::Seed;
use labelloop_coreset::{DuplicateParams, Metric, SearchPlan};
use ndarray::Array2;

/// Finds near-duplicates among generated rows with planted copies.
#[derive(Parser)]
struct Args {
    /// Rows, one in a hundred of them a near copy of another
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// Columns
    #[arg(long, default_value_t = 128)]
    dims: usize,
    /// How the rows lie
    #[arg(long, value_enum, default_value = "embeddings")]
    kind: Kind,
    /// Largest distance of near-duplicates; a copy is up to this far from its row, typical rows are 1.4 apart
    #[arg(long, default_value_t = 0.05)]
    radius: f64,
    /// Distance
    #[arg(long, value_enum, default_value = "l2")]
    metric: Distance,
    /// How to look for them
    #[arg(long, value_enum, default_value = "auto")]
    plan: Plan,
    /// Groups without a list of pairs
    #[arg(long)]
    groups: bool,
    /// Write the rows
    #[arg(long)]
    write: Option<PathBuf>,
    /// Write the pairs
    #[arg(long)]
    pairs: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// A thousand clusters, and directions of decreasing spread as features of networks have them
    Embeddings,
    /// The same spread in every direction: the hardest case
    Even,
    /// All rows nearly equal: every pair is a near-duplicate
    Copies,
}

#[derive(Clone, Copy, ValueEnum)]
enum Distance {
    L2,
    Cosine,
}

#[derive(Clone, Copy, ValueEnum)]
enum Plan {
    Auto,
    Projected,
    Blocked,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let rows = generated(&args);
    if let Some(path) = &args.write {
        let bytes: Vec<u8> = rows.iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    let metric = match args.metric {
        Distance::L2 => Metric::L2,
        Distance::Cosine => Metric::Cosine,
    };
    let plan = match args.plan {
        Plan::Auto => SearchPlan::Auto,
        Plan::Projected => SearchPlan::Projected,
        Plan::Blocked => SearchPlan::Blocked,
    };
    let params = DuplicateParams { radius: args.radius, metric, plan, ..Default::default() };
    let (before, cpu, begin) = (peak_mb()?, cpu::of_process()?, Instant::now());
    let found = if args.groups {
        let groups = params.groups(rows.view(), None)?;
        format!("{} groups, {} rows redundant", groups.groups.len(), groups.redundant_rows().count())
    } else {
        let pairs = params.pairs(rows.view())?;
        if let Some(path) = &args.pairs {
            let mut text = String::new();
            for pair in &pairs {
                writeln!(text, "{},{}", pair.first, pair.second)?;
            }
            std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        format!("{} pairs", pairs.len())
    };
    let (wall, cpu) = (begin.elapsed().as_secs_f64(), cpu::of_process()? - cpu);
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{} x {}: {found}; {wall:.2} s wall, {cpu:.2} s CPU, peak {:.0} MB above {before:.0} MB with the rows",
        args.rows,
        args.dims,
        peak_mb()? - before
    )?;
    Ok(())
}

/// Rows about 1.4 apart, and copies up to the radius apart from their row.
fn generated(args: &Args) -> Array2<f32> {
    let (n, d) = (args.rows, args.dims);
    let chance = Seed::new(1);
    let (centers, slips, sizes) = (chance.stream("centers"), chance.stream("slips"), chance.stream("sizes"));
    let spread = |j: usize| match args.kind {
        Kind::Embeddings => ((1 + j) as f64).powf(-0.5),
        Kind::Even | Kind::Copies => 1.0,
    };
    let total = (0..d).map(|j| spread(j).powi(2)).sum::<f64>().sqrt();
    let (between, within) = match args.kind {
        Kind::Embeddings => (0.8, 0.6),
        Kind::Even => (0.0, 1.0),
        Kind::Copies => (1.0, 0.0),
    };
    let mut rows = Array2::zeros((n, d));
    for i in 0..n {
        let copies = matches!(args.kind, Kind::Copies);
        let planted = copies || i % 100 == 99;
        let of = match planted {
            true if copies => 0,
            true => i - 1 - chance.stream("of").below(i as u64, i.min(50)),
            false => i,
        };
        let cluster = if copies { 0 } else { chance.below(of as u64, 1000) };
        let most = if copies { 0.4 * args.radius } else { args.radius };
        let size = if planted { most * sizes.unit(i as u64) / (d as f64).sqrt() } else { 0.0 };
        for j in 0..d {
            let at = (of * d + j) as u64;
            let normal = between * centers.normal((cluster * d + j) as u64) + within * chance.normal(at);
            let slip = if planted { size * slips.normal((i * d + j) as u64) } else { 0.0 };
            rows[[i, j]] = (spread(j) / total * normal + slip) as f32;
        }
    }
    rows
}

/// The most memory that this process has held.
fn peak_mb() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with("VmHWM")).context("no peak memory")?;
    let kb: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kb / 1024.0)
}
