//! Pictures a second and core: decoding alone, decoding and resizing, and the same from a part of the size.

use std::path::PathBuf;

use clap::Parser;
use labelloop_core::ImageSize;
use labelloop_media::{DecodeLimits, decode_named, decode_reduced, resize};

/// Decodes pictures of a folder on one core; `benches/decode_peers.py` does the same by other programs.
#[derive(Parser)]
struct Args {
    /// Folder of pictures
    folder: PathBuf,
    /// Side of the square they are resized to
    #[arg(long, default_value_t = 224)]
    side: u32,
    /// At most so many files
    #[arg(long, default_value_t = 64)]
    most: usize,
    /// How often all of them are decoded
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&args.folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    paths.truncate(args.most);
    let files = paths.iter().map(std::fs::read).collect::<Result<Vec<_>, _>>()?;
    let (limits, side) = (DecodeLimits::default(), ImageSize::new(args.side, args.side)?);
    let mut n_bytes = 0;
    for _ in 0..args.rounds {
        timed("decode", files.len(), || {
            files
                .iter()
                .try_for_each(|f| decode_named(f, limits, "file").map(|p| n_bytes += p.pixels().len()))
        })?;
        timed("decode, resize", files.len(), || {
            let small = |f: &Vec<u8>| resize(&decode_named(f, limits, "file")?, side);
            files.iter().try_for_each(|f| small(f).map(|p| n_bytes += p.pixels().len()))
        })?;
        timed("decode reduced, resize", files.len(), || {
            let small = |f: &Vec<u8>| resize(&decode_reduced(f, limits, "file", side)?, side);
            files.iter().try_for_each(|f| small(f).map(|p| n_bytes += p.pixels().len()))
        })?;
    }
    anyhow::ensure!(n_bytes != 0, "no pictures");
    Ok(())
}

fn timed<E>(what: &str, n: usize, work: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    let before = cpu_seconds();
    work()?;
    say(&format!("{what}: {:.0} a CPU second", n as f64 / (cpu_seconds() - before).max(0.005)));
    Ok(())
}

/// User and system time of this process; 0 where the system does not tell.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let fields = after_name.split(' ').skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

#[allow(clippy::print_stdout, reason = "the answer of a program goes to standard output")]
fn say(line: &str) {
    println!("{line}");
}
