use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct DuplicatesArgs {
    /// Folders, pictures, and .txt files with a path a line.
    #[arg(required = true)]
    pub(crate) images: Vec<PathBuf>,
    /// Bits in which hashes of near-duplicates may differ. Default: 4 of 64, 16 of 256.
    #[arg(long, value_name = "R")]
    pub(crate) radius: Option<u32>,
    /// Length of the hashes: 256 tell apart pictures of one kind that differ in details.
    #[arg(long, value_enum, default_value = "64")]
    pub(crate) bits: BitsArg,
    /// Mirrored and turned copies are near-duplicates too.
    #[arg(long)]
    pub(crate) flips: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BitsArg {
    /// Quick, for copies.
    #[value(name = "64")]
    Bits64,
    /// For copies among pictures that look much alike.
    #[value(name = "256")]
    Bits256,
}
