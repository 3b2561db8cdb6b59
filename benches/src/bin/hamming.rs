//! What searching a million perceptual hashes costs: wall and CPU seconds and the most memory held.
//!
//! `--write CODES.bin` writes the hashes as they lie in memory for `benches/hamming_peers.py`, `--pairs PAIRS.csv` the pairs
//! found.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;
use labelloop_core::Seed;
use labelloop_index::{HammingCode, HammingIndex};

/// Finds near-duplicates among generated hashes with planted copies.
#[derive(Parser)]
struct Args {
    /// Hashes, one in a hundred of them a copy of another with a few bits turned
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Bits of a hash: 64 or 256
    #[arg(long, default_value_t = 64)]
    bits: usize,
    /// Bits in which near-duplicates may differ
    #[arg(long, default_value_t = 4)]
    radius: u32,
    /// Queries, hashes of the pool with a few bits turned
    #[arg(long, default_value_t = 1000)]
    queries: usize,
    /// All hashes equal
    #[arg(long)]
    equal: bool,
    /// Write the hashes
    #[arg(long)]
    write: Option<PathBuf>,
    /// Write the pairs
    #[arg(long)]
    pairs: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.bits {
        64 => run::<1>(&args),
        256 => run::<4>(&args),
        found => anyhow::bail!("--bits {found}: expected 64 or 256"),
    }
}

fn run<const W: usize>(args: &Args) -> anyhow::Result<()> {
    let codes = generated::<W>(args);
    if let Some(path) = &args.write {
        let bytes: Vec<u8> = codes.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    let queries: Vec<_> =
        (0..args.queries).map(|i| turned(&codes[i * 7 % codes.len()], 3, i as u64)).collect();
    let index = timed("index", || HammingIndex::new(codes))?;
    if args.equal {
        let n = std::sync::atomic::AtomicUsize::new(0);
        timed("links", || {
            index.for_each_link(args.radius, |_| _ = n.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        });
        say(&format!("{} links", n.into_inner()));
        return Ok(());
    }
    let pairs = timed("all pairs", || index.pairs(args.radius, usize::MAX))?;
    say(&format!("{} pairs", pairs.len()));
    let hits = timed("queries within", || index.within(&queries, args.radius, usize::MAX))?;
    say(&format!("{} hits", hits.iter().map(Vec::len).sum::<usize>()));
    timed("queries, 10 nearest", || index.nearest(&queries, 10));
    if let Some(path) = &args.pairs {
        let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
        for pair in pairs {
            writeln!(out, "{},{},{}", pair.first, pair.second, pair.distance)?;
        }
    }
    Ok(())
}

fn generated<const W: usize>(args: &Args) -> Vec<HammingCode<W>> {
    let seed = Seed::new(1);
    let mut codes: Vec<HammingCode<W>> = Vec::with_capacity(args.rows);
    for i in 0..args.rows {
        let code = if args.equal {
            [0x1234_5678_9ABC_DEF0; W]
        } else if i % 100 == 99 {
            turned(&codes[seed.stream("of").below(i as u64, i)], 2 * W, i as u64)
        } else {
            std::array::from_fn(|word| seed.stream("word").bits((i * W + word) as u64))
        };
        codes.push(code);
    }
    codes
}

/// The code with so many bits turned, some perhaps back.
fn turned<const W: usize>(code: &HammingCode<W>, n: usize, i: u64) -> HammingCode<W> {
    let seed = Seed::new(2).stream("bit");
    let mut code = *code;
    for k in 0..n as u64 {
        let bit = seed.below(64 * i + k, 64 * W);
        code[bit / 64] ^= 1 << (bit % 64);
    }
    code
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (start, before) = (Instant::now(), cpu_seconds());
    let out = work();
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - before);
    say(&format!("{what}: {wall:.2} s, {cpu:.2} CPU s, peak {:.0} MB", peak_mb()));
    out
}

/// User and system time of this process, in hundredths of a second; 0 where the system does not tell.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let fields = after_name.split(' ').skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kb| kb.parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1024.0
}

#[allow(clippy::print_stdout, reason = "the answer of a program goes to standard output")]
fn say(line: &str) {
    println!("{line}");
}
