//! A dataset of a million samples with ten labels each: how long a commit, an opening, questions and a small change take,
//! and how much memory.
//!
//! Each phase is a process of its own, so that the memory of one does not hide in that of another:
//! `cargo run --release -p labelloop-dataset --example scale -- DIR` runs all of them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use labelloop_core::{
    AnnotationSet, BBox, ClassIdx, ClassSchema, Extra, GroupKey, ImageSize, LabelledBox, SampleRecord, Seed,
    Split,
};
use labelloop_dataset::{
    BoxPolicy, Dataset, DatasetDir, GROUND_TRUTH, HUMAN_LABELS, Query, SplitParams, Status, Tag,
};

const N_CLASSES: u32 = 20;
const PER_GROUP: u32 = 50;

/// Measures a large dataset.
#[derive(Parser)]
struct Args {
    /// Folder for the dataset; it must not be there yet.
    folder: PathBuf,
    #[arg(long, default_value_t = 1_000_000)]
    samples: u32,
    /// Boxes of each sample
    #[arg(long, default_value_t = 10)]
    boxes: u32,
    /// One phase only.
    #[arg(long, value_enum)]
    phase: Option<Phase>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Phase {
    /// Import in shards, split, commit.
    Make,
    /// Open and ask.
    Ask,
    /// Open, read all labels.
    Read,
    /// Open, label a batch, commit.
    Change,
}

const PHASES: [(Phase, &str); 4] =
    [(Phase::Make, "make"), (Phase::Ask, "ask"), (Phase::Read, "read"), (Phase::Change, "change")];

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.phase {
        Some(phase) => run(&args, phase),
        None => PHASES.iter().try_for_each(|(_, name)| {
            let mut child = Command::new(std::env::current_exe()?);
            child.arg(&args.folder).args(["--phase", name]);
            child.args(["--samples", &args.samples.to_string(), "--boxes", &args.boxes.to_string()]);
            anyhow::ensure!(child.status()?.success(), "phase {name} failed");
            Ok(())
        }),
    }
}

fn run(args: &Args, phase: Phase) -> anyhow::Result<()> {
    match phase {
        Phase::Make => make(args)?,
        Phase::Ask => ask(&args.folder)?,
        Phase::Read => read(&args.folder)?,
        Phase::Change => change(&args.folder)?,
    }
    say(&format!("  peak memory {:.2} GB", peak_memory()?));
    Ok(())
}

fn make(args: &Args) -> anyhow::Result<()> {
    say(&format!("make: {} samples, {} boxes each", args.samples, args.boxes));
    let schema = ClassSchema::new((0..N_CLASSES).map(|c| format!("class-{c:02}")))?;
    let dir = DatasetDir::init(&args.folder, "scale", &schema)?;
    let mut dataset = dir.read()?;
    let shard = 100_000;
    timed("import, with making the labels", || {
        for first in (0..args.samples).step_by(shard as usize) {
            let numbers = first..(first + shard).min(args.samples);
            let samples = numbers.map(|i| sample(i, args.boxes)).collect::<anyhow::Result<Vec<_>>>()?;
            let set = AnnotationSet { schema: schema.clone(), samples, extra: Extra::new() };
            dataset.import(&set, GROUND_TRUTH, BoxPolicy::default())?;
        }
        Ok(())
    })?;
    timed("split", || Ok(dataset.split(&SplitParams::default())?))?;
    let tagged: Vec<_> = dataset.samples().keys().step_by(7).cloned().collect();
    dataset.add_tag(&tagged, &Tag::new("scene:night")?)?;
    timed("commit", || Ok(dir.writer()?.commit(&dataset, "all")?))?;
    let folder = args.folder.join("generations/000001");
    let n_bytes: u64 =
        std::fs::read_dir(folder)?.map(|e| e.and_then(|e| e.metadata()).map_or(0, |m| m.len())).sum();
    say(&format!("  on disk {:.2} GB", n_bytes as f64 * 1e-9));
    Ok(())
}

fn sample(i: u32, n_boxes: u32) -> anyhow::Result<SampleRecord> {
    let group = i / PER_GROUP;
    let id = format!("drive-{group:05}/frame-{i:07}");
    let mut record = SampleRecord::image(&id, format!("{id}.jpg"), ImageSize::new(1920, 1080)?)?;
    record.group = GroupKey::new(format!("drive-{group:05}"))?;
    let chance = Seed::new(1).stream("boxes");
    let labels = (0..n_boxes).map(|k| {
        let part = |j: u64| chance.unit((u64::from(i) << 16) + u64::from(8 * k) + j);
        // Hundredths of pixels, as tools write them.
        let pixels = |from: f64, to: f64, u: f64| ((from + u * (to - from)) * 100.0).round() / 100.0;
        let bbox = BBox::new(
            pixels(0.0, 1700.0, part(0)),
            pixels(0.0, 900.0, part(1)),
            pixels(4.0, 200.0, part(2)),
            pixels(4.0, 150.0, part(3)),
        )?;
        // Few classes are common and most are rare.
        let class = (f64::from(N_CLASSES) * part(4).powi(3)) as u32;
        Ok(LabelledBox::new(ClassIdx(class), bbox))
    });
    record.boxes = Some(labels.collect::<anyhow::Result<_>>()?);
    Ok(record)
}

fn ask(folder: &Path) -> anyhow::Result<()> {
    say("ask");
    let dataset = timed("open", || Ok(DatasetDir::open(folder)?.read()?))?;
    let of_class = |class: &str| Query::class(GROUND_TRUTH, class);
    let questions = [
        ("split", Query::split(Split::Val)),
        ("status", Query::status(Status::Unlabeled)),
        ("tag", Query::tag(Tag::new("scene:night")?)),
        ("class, the first such question", of_class("class-10")),
        ("another class", of_class("class-00")),
        (
            "all of these at once",
            Query::split(Split::Pool)
                .and(Query::status(Status::Unlabeled))
                .and(!Query::tag(Tag::new("scene:night")?))
                .and(of_class("class-03")),
        ),
    ];
    for (what, question) in &questions {
        for _ in 0..2 {
            let n = timed(what, || Ok(dataset.select(question)?.len()))?;
            say(&format!("    {n} samples"));
        }
    }
    Ok(())
}

fn read(folder: &Path) -> anyhow::Result<()> {
    say("read");
    let dataset = timed("open", || Ok(DatasetDir::open(folder)?.read()?))?;
    let first = dataset.members::<labelloop_core::Pool>().ids().first().context("no pool")?.clone();
    timed("labels of one sample, the first of its field", || {
        Ok(dataset.boxes(GROUND_TRUTH, &first)?.map(<[LabelledBox]>::len))
    })?;
    let n_boxes = timed("labels of all samples but those of the test set", || count(&dataset))?;
    say(&format!("    {n_boxes} boxes"));
    Ok(())
}

fn count(dataset: &Dataset) -> anyhow::Result<usize> {
    let open = dataset.samples().values().filter(|s| s.split != Some(Split::Test));
    open.map(|s| Ok(dataset.boxes(GROUND_TRUTH, &s.id)?.map_or(0, <[LabelledBox]>::len))).sum()
}

fn change(folder: &Path) -> anyhow::Result<()> {
    say("change");
    let dir = DatasetDir::open(folder)?;
    let mut dataset = timed("open", || Ok(dir.read()?))?;
    let picks = dataset.unlabeled_pool().ids().iter().step_by(500).cloned().collect::<Vec<_>>();
    dataset.begin_batch(0, &picks)?;
    let car = LabelledBox::new(ClassIdx(0), BBox::new(1.0, 2.0, 30.0, 40.0)?);
    let labels: BTreeMap<_, _> = picks.into_iter().map(|id| (id, Some(vec![car.clone()]))).collect();
    say(&format!("  {} samples labelled", labels.len()));
    dataset.finish_batch(0, labels, HUMAN_LABELS, "ann")?;
    timed("commit", || Ok(dir.writer()?.commit(&dataset, "batch-0")?))?;
    Ok(())
}

fn timed<T>(what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let start = Instant::now();
    let done = work()?;
    say(&format!("  {what}: {:.3} s", start.elapsed().as_secs_f64()));
    Ok(done)
}

fn say(text: &str) {
    // A pipe that is closed early is no reason to stop measuring.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The most that the process had in memory, in GB: `VmHWM` of proc(5).
fn peak_memory() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024e-9)
}
