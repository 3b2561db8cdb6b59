//! Pictures per second by the whole pipeline, beside what decoding and the network alone allow, measured in one run.
//!
//! The ceiling is `cores / (CPU seconds to prepare a picture + CPU seconds of the network)`: both parts are measured alone, on
//! one thread, with the same pictures. Rounds take turns: prepare, network, pipeline, and again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use labelloop_benches::cpu;
use labelloop_core::{SampleId, Silent};
use labelloop_embed::{OnnxModel, OnnxParams, embed_all};
use serde_json::json;

#[derive(Parser)]
#[command(about = "Measures the pipeline that makes vectors of pictures")]
struct Args {
    /// Folder of JPEG and PNG files.
    pictures: PathBuf,
    /// An ONNX model with its description beside it.
    #[arg(long)]
    model: PathBuf,
    /// Description of the model, where it is not beside it.
    #[arg(long)]
    description: Option<PathBuf>,
    /// Cores that the pipeline may use.
    #[arg(long, default_value_t = 2)]
    cores: usize,
    /// How often everything is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measures the pipeline alone, as a peer in another process would.
    #[arg(long)]
    pipeline_only: bool,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the result of the program, and how far it is")]
fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    rayon::ThreadPoolBuilder::new().num_threads(args.cores).build_global()?;
    let items = pictures(&args.pictures)?;
    let params = OnnxParams {
        description: args.description.clone(),
        n_sessions: Some(args.cores),
        ..OnnxParams::of(&args.model)
    };
    let model = params.load()?;
    // What is paid once, such as laying out the weights, is no part of a rate.
    embed_all(&items[..items.len().min(8)], &model, None, &Silent)?;
    let mut rounds = Vec::new();
    for _ in 0..args.rounds {
        let (pipeline, cpu) = whole(&items, &model)?;
        let mut round = json!({ "per_second": pipeline, "cpu_per_picture": cpu });
        if !args.pipeline_only {
            let (prepare, network) = parts(&items, &model)?;
            let ceiling = args.cores as f64 / (prepare + network);
            round["prepare_cpu"] = json!(prepare);
            round["network_cpu"] = json!(network);
            round["ceiling_per_second"] = json!(ceiling);
            round["of_ceiling"] = json!(pipeline / ceiling);
        }
        eprintln!("{round}");
        rounds.push(round);
    }
    println!("{}", json!({ "n_pictures": items.len(), "cores": args.cores, "rounds": rounds }));
    Ok(())
}

fn pictures(folder: &Path) -> anyhow::Result<Vec<(SampleId, PathBuf)>> {
    let mut items = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        if ["jpg", "jpeg", "png"].contains(&ending.as_str()) {
            let name = path.file_name().context("a picture without a name")?;
            items.push((SampleId::new(name.to_string_lossy().into_owned())?, path));
        }
    }
    items.sort();
    anyhow::ensure!(!items.is_empty(), "{}: no pictures", folder.display());
    Ok(items)
}

/// Pictures a second of wall time, and CPU seconds a picture.
fn whole(items: &[(SampleId, PathBuf)], model: &OnnxModel) -> anyhow::Result<(f64, f64)> {
    let (cpu, wall) = (cpu::of_process()?, Instant::now());
    let run = embed_all(items, model, None, &Silent)?;
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu::of_process()? - cpu);
    anyhow::ensure!(run.failures.is_empty(), "{:?}", run.failures);
    // Pictures of the same bytes are computed once; they are no work done.
    let n = run.n_computed as f64;
    Ok((n / wall, cpu / n))
}

/// CPU seconds a picture of preparing it from its file, and of the network; on this thread alone.
fn parts(items: &[(SampleId, PathBuf)], model: &OnnxModel) -> anyhow::Result<(f64, f64)> {
    let (mut prepare, mut network) = (0.0, 0.0);
    for some in items.chunks(64) {
        let start = cpu::of_threads()?;
        let mut inputs = Vec::new();
        for (_, path) in some {
            inputs.push(model.prepare(&fs::read(path)?, path)?);
        }
        let between = cpu::of_threads()?;
        for input in &inputs {
            model.embed_prepared(input)?;
        }
        (prepare, network) = (prepare + between - start, network + cpu::of_threads()? - between);
    }
    Ok((prepare / items.len() as f64, network / items.len() as f64))
}
