//! What vectors are good for on labelled pictures: how often the nearest ones name the class right, and whether labels
//! that were swapped on purpose are found.
//!
//! `cargo run --release -p labelloop-benches --bin descriptor_knn -- --digits DIGITS --coco bccd=LABELS.json,IMAGES`
//! with the folder that `benches/digits.py` writes and any labelled pictures. With the feature `onnx`, `--model` measures
//! a network beside the built-in descriptor. Neighbours are never of the same group of pictures (`group` in the file; the
//! picture itself where there is none): a crop that overlaps is no evidence.

mod errors;
mod sets;
mod votes;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;
use labelloop_core::ImageSize;
use labelloop_embed::{Descriptor, Embedder, PictureEmbedder, Result as EmbedResult};
use labelloop_media::{RgbImage, resize};
use sets::{Set, Source};

/// Measures vectors by the labels of their neighbours.
#[derive(Parser)]
struct Args {
    /// A folder with one folder of PNG files for each class
    #[arg(long)]
    digits: Option<PathBuf>,
    /// NAME=LABELS.json,IMAGES: crops of the objects of a COCO file
    #[arg(long)]
    coco: Vec<Source>,
    /// Margins around the boxes, as shares of their longer sides
    #[arg(long, value_delimiter = ',', default_value = "0,0.1,0.25,0.5")]
    margins: Vec<f64>,
    /// Neighbours that vote
    #[arg(long, default_value_t = 5)]
    k: usize,
    /// Share of the labels to swap; 0 leaves that part out
    #[arg(long, default_value_t = 0.05)]
    swap: f64,
    /// Times to swap
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// Margin of the crops whose labels are swapped
    #[arg(long, default_value_t = 0.1)]
    swap_margin: f64,
    /// A network to measure too (feature onnx), with its description beside it
    #[arg(long)]
    model: Option<PathBuf>,
    /// The description of the network, where it is not beside it
    #[arg(long)]
    description: Option<PathBuf>,
    /// Write vectors, labels and swapped labels for `benches/label_errors_peers.py`
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut out = std::io::stdout();
    let embedders = embedders(&args)?;
    writeln!(
        out,
        "| set | margin | vectors | n | accuracy | mean recall of classes | CPU ms each |\n|---|---|---|---|---|---|---|"
    )?;
    let mut to_swap = Vec::new();
    for (name, embedder) in &embedders {
        if let Some(folder) = &args.digits {
            let set = sets::of_folder(folder, embedder.as_ref())?;
            report(&mut out, &set, "-", name, args.k)?;
        }
        for source in &args.coco {
            for margin in &args.margins {
                let set = sets::of_coco(source, *margin, embedder.as_ref())?;
                report(&mut out, &set, &margin.to_string(), name, args.k)?;
                if *margin == args.swap_margin && !["majority", "mean colour"].contains(name) {
                    to_swap.push((*name, set));
                }
            }
        }
    }
    if 0.0 < args.swap && !to_swap.is_empty() {
        writeln!(
            out,
            "\n| set | vectors | swapped | AUC | average precision | errors in as many first |\n|---|---|---|---|---|---|"
        )?;
        for (name, set) in &to_swap {
            let found = errors::measure(set, args.swap, args.seeds)?;
            writeln!(
                out,
                "| {} | {name} | {} | {:.3} | {:.3} | {:.2} |",
                set.name, found.n_swapped, found.auc, found.average_precision, found.in_as_many
            )?;
            if let Some(folder) = &args.write {
                errors::write(folder, name, set, args.swap, args.seeds)?;
            }
        }
    }
    Ok(())
}

fn report(
    out: &mut impl std::io::Write,
    set: &Set,
    margin: &str,
    vectors: &str,
    k: usize,
) -> anyhow::Result<()> {
    let (accuracy, recall) = if vectors == "majority" { votes::majority(set) } else { votes::knn(set, k)? };
    let (name, n, ms) = (&set.name, set.classes.len(), set.cpu_ms);
    writeln!(out, "| {name} | {margin} | {vectors} | {n} | {accuracy:.3} | {recall:.3} | {ms:.2} |")?;
    out.flush().context("standard output")
}

type Named = (&'static str, Box<dyn PictureEmbedder>);

fn embedders(args: &Args) -> anyhow::Result<Vec<Named>> {
    let mut found: Vec<Named> = vec![
        ("majority", Box::new(MeanColour)),
        ("mean colour", Box::new(MeanColour)),
        ("8 x 8 pixels", Box::new(Pixels)),
        ("built-in", Box::new(Descriptor::default())),
    ];
    if let Some(model) = &args.model {
        found.push(("network", network(model, args)?));
    }
    Ok(found)
}

fn network(model: &std::path::Path, args: &Args) -> anyhow::Result<Box<dyn PictureEmbedder>> {
    let params = labelloop_embed::OnnxParams::of(model);
    Ok(Box::new(labelloop_embed::OnnxParams { description: args.description.clone(), ..params }.load()?))
}

/// CPU seconds of this process.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/schedstat");
    let Ok(stat) = stat else { return Ok(START.with(Instant::elapsed).as_secs_f64()) };
    let nanoseconds = stat.split_whitespace().next().context("no CPU time")?.parse::<f64>()?;
    Ok(nanoseconds / 1e9)
}

thread_local! {
    static START: Instant = Instant::now();
}

/// The floor: what colour alone says.
struct MeanColour;

/// The floor: what can be seen without any feature.
struct Pixels;

impl Embedder for MeanColour {
    fn n_dims(&self) -> usize {
        3
    }

    fn digest_bytes(&self) -> [u8; 32] {
        [1; 32]
    }

    fn embed_bytes(&self, bytes: &[u8], _: &std::path::Path) -> EmbedResult<Vec<f32>> {
        self.embed_picture(&labelloop_media::decode(bytes)?)
    }
}

impl PictureEmbedder for MeanColour {
    fn embed_picture(&self, picture: &RgbImage) -> EmbedResult<Vec<f32>> {
        let n_pixels = (picture.pixels().len() / 3) as f64;
        let mean = |c: usize| picture.pixels().iter().skip(c).step_by(3).map(|v| f64::from(*v)).sum::<f64>();
        Ok((0..3).map(|c| (mean(c) / n_pixels) as f32).collect())
    }
}

impl Embedder for Pixels {
    fn n_dims(&self) -> usize {
        192
    }

    fn digest_bytes(&self) -> [u8; 32] {
        [2; 32]
    }

    fn embed_bytes(&self, bytes: &[u8], _: &std::path::Path) -> EmbedResult<Vec<f32>> {
        self.embed_picture(&labelloop_media::decode(bytes)?)
    }
}

impl PictureEmbedder for Pixels {
    fn embed_picture(&self, picture: &RgbImage) -> EmbedResult<Vec<f32>> {
        let small = resize(picture, ImageSize::new(8, 8)?)?;
        Ok(small.pixels().iter().map(|v| f32::from(*v)).collect())
    }
}
