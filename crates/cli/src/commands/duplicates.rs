//! `duplicates`: pictures that look alike, by perceptual hashes.

mod hashing;
mod report;

use std::process::ExitCode;

use anyhow::bail;
use labelloop_coreset::hash_duplicates;

use self::hashing::{Failure, Hashed, Hasher};
use self::report::Report;
use super::embed::pictures::{Pictures, named};
use crate::args::{BitsArg, DuplicatesArgs};
use crate::output::{Output, UsageError};
use crate::progress::Teller;

/// Bits in which copies differ that were compressed or made smaller; `docs/benchmarks.md` has the figures.
const RADIUS_OF_64: u32 = 4;
const RADIUS_OF_256: u32 = 16;

pub(super) fn duplicates(args: &DuplicatesArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let pictures = Pictures::find(&args.images)?;
    if pictures.items.is_empty() {
        bail!("{}: no pictures: expected files that end in .jpg, .jpeg or .png", named(&args.images));
    }
    let report = match args.bits {
        BitsArg::Bits64 => run(&hashing::OF_64, &pictures, args, radius(args, 64, RADIUS_OF_64)?, output)?,
        BitsArg::Bits256 => {
            run(&hashing::OF_256, &pictures, args, radius(args, 256, RADIUS_OF_256)?, output)?
        }
    };
    output.result(&report.document(), &report.words())?;
    Ok(ExitCode::SUCCESS)
}

fn radius(args: &DuplicatesArgs, n_bits: u32, usual: u32) -> Result<u32, UsageError> {
    match args.radius {
        Some(found) if n_bits <= found => {
            Err(UsageError(format!("--radius {found}: expected less than the {n_bits} bits of a hash")))
        }
        radius => Ok(radius.unwrap_or(usual)),
    }
}

fn run<const W: usize>(
    hasher: &Hasher<W>,
    pictures: &Pictures,
    args: &DuplicatesArgs,
    radius: u32,
    output: &Output,
) -> anyhow::Result<Report> {
    let (mut hashed, failures): (Vec<Hashed<W>>, Vec<Failure>) =
        hasher.all(&pictures.items, args.flips, &Teller::new(output))?;
    // The picture that is worth most comes first and is kept: most pixels, then most bytes, then the first name.
    hashed.sort_by(|a, b| b.worth().cmp(&a.worth()).then_with(|| a.id.cmp(&b.id)));
    let codes = hashed.iter().map(|picture| picture.codes[0]).collect::<Vec<_>>();
    let turned = hashed.iter().map(|picture| picture.codes[1..].to_vec()).collect::<Vec<_>>();
    let groups = hash_duplicates(&codes, Some(&turned), radius)?;
    Ok(Report::new(&hashed, &groups, failures, radius))
}
