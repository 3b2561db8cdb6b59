//! How far perceptual hashes of copies are from those of their pictures, and how near different pictures come: what a
//! radius finds and what it takes for a copy by mistake.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Parser;
use labelloop_core::ImageSize;
use labelloop_media::{
    DecodeLimits, MediaError, RgbImage, decode, decode_reduced, encode_jpeg, load, phash64, phash64_turned,
    phash256, phash256_turned, resize,
};
use rayon::prelude::*;

/// Compares pictures with copies of them and with each other.
#[derive(Parser)]
struct Args {
    /// Folder of pictures
    folder: PathBuf,
    /// At most so many, spread evenly over the folder
    #[arg(long, default_value_t = 300)]
    most: usize,
}

/// A hash as four words, of which a short one uses the first.
type Code = [u64; 4];

/// The hashes of a picture: 64 and 256 bits, upright and laid in eight ways.
struct Hashes {
    upright: [Code; 2],
    laid: [[Code; 8]; 2],
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&args.folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    let step = paths.len().div_ceil(args.most.max(1)).max(1);
    let chosen: Vec<PathBuf> = paths.into_iter().step_by(step).collect();
    let read: Vec<_> = chosen.par_iter().map(|path| of_file(path)).collect::<anyhow::Result<_>>()?;
    for (place, bits, radii) in [(0, 64, [0u32, 2, 4, 6, 8, 10, 12]), (1, 256, [0, 8, 16, 24, 32, 40, 48])] {
        let different = between(&read, |a, b| distance(&a.upright[place], &b.upright[place]));
        let flipped = between(&read, |a, b| {
            a.laid[place].iter().map(|code| distance(code, &b.upright[place])).min().unwrap_or(0)
        });
        say(&format!("{bits} bits, {} pictures, {} pairs", read.len(), different.len()));
        say(&row("radius", &radii.map(|r| r.to_string())));
        for what in read[0].1.keys() {
            let distances: Vec<u32> = read.iter().map(|(_, copies)| copies[what][place]).collect();
            say(&row(what, &radii.map(|r| format!("{:.1}%", 100.0 * share(&distances, r)))));
        }
        say(&row("different, per million", &radii.map(|r| format!("{:.0}", 1e6 * share(&different, r)))));
        say(&row("the same with flips", &radii.map(|r| format!("{:.0}", 1e6 * share(&flipped, r)))));
    }
    Ok(())
}

type Copies = BTreeMap<&'static str, [u32; 2]>;

/// The hashes of a picture, and how far those of its copies are.
fn of_file(path: &Path) -> anyhow::Result<(Hashes, Copies)> {
    let picture = load(path)?;
    let hashes = Hashes {
        upright: codes(&picture)?,
        laid: [phash64_turned(&picture)?.map(|h| [h.0, 0, 0, 0]), phash256_turned(&picture)?.map(|h| h.0)],
    };
    let (width, height) = (picture.size().width(), picture.size().height());
    let jpeg = |quality| decode(&encode_jpeg(&picture, quality)?);
    let scaled = |num: u32, den: u32| {
        resize(&picture, ImageSize::new((width * num / den).max(1), (height * num / den).max(1))?)
    };
    let bytes = encode_jpeg(&picture, 92)?;
    let at_least = ImageSize::new(128, 128)?;
    let cases = [
        ("JPEG 75", jpeg(75)?),
        ("JPEG 30", jpeg(30)?),
        ("half size", scaled(1, 2)?),
        ("0.3 of the size", scaled(3, 10)?),
        ("brighter by 20", mapped(&picture, |v| v.saturating_add(20))?),
        ("contrast x 0.7", mapped(&picture, |v| (f64::from(v) * 0.7 + 38.0) as u8)?),
        ("decoded reduced", decode_reduced(&bytes, DecodeLimits::default(), "copy", at_least)?),
    ];
    let mut copies = Copies::new();
    for (what, copy) in cases {
        let codes = codes(&copy)?;
        copies.insert(what, [0, 1].map(|i| distance(&codes[i], &hashes.upright[i])));
    }
    let mirrored = codes(&mirrored(&picture))?;
    copies.insert("mirrored", [0, 1].map(|i| distance(&mirrored[i], &hashes.laid[i][1])));
    Ok((hashes, copies))
}

fn codes(picture: &RgbImage) -> Result<[Code; 2], MediaError> {
    Ok([[phash64(picture)?.0, 0, 0, 0], phash256(picture)?.0])
}

fn mapped(picture: &RgbImage, f: impl Fn(u8) -> u8) -> Result<RgbImage, MediaError> {
    RgbImage::new(picture.size(), picture.pixels().iter().map(|v| f(*v)).collect())
}

fn mirrored(picture: &RgbImage) -> RgbImage {
    let (width, mut out) = (picture.size().width(), picture.clone());
    for (x, y) in (0..picture.size().height()).flat_map(|y| (0..width).map(move |x| (x, y))) {
        out.set(x, y, picture.pixel(width - 1 - x, y));
    }
    out
}

fn distance(a: &Code, b: &Code) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

fn between(read: &[(Hashes, Copies)], distance: impl Fn(&Hashes, &Hashes) -> u32 + Sync) -> Vec<u32> {
    let of_row =
        |i: usize| read[..i].iter().map(|(other, _)| distance(&read[i].0, other)).collect::<Vec<_>>();
    (0..read.len()).into_par_iter().map(of_row).collect::<Vec<_>>().concat()
}

fn share(distances: &[u32], radius: u32) -> f64 {
    distances.iter().filter(|d| **d <= radius).count() as f64 / distances.len().max(1) as f64
}

fn row(what: &str, cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| format!("{cell:>9}")).collect();
    format!("{what:<24}{cells}")
}

#[allow(clippy::print_stdout, reason = "the answer of a program goes to standard output")]
fn say(line: &str) {
    println!("{line}");
}
