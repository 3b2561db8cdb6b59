//! nuScenes' protocol on a set as large as its validation set: what matching and the complete metrics cost.
//!
//! `RAYON_NUM_THREADS=1 cargo run --release -p labelloop-benches --bin nuscenes_eval` measures a generated set in memory;
//! `--write FOLDER` also writes it as `gt.json` and `found.json` and times the reading, so that the devkit can be run on
//! the same bytes (`conformance/nuscenes_speed.py`).

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;
use labelloop_core::{ClassIdx, Cuboid, CuboidFrame, SampleId, Seed};
use labelloop_eval::nuscenes::{
    DetectionBox, LabelBox, NuscenesParams, NuscenesResult, SampleCase, SampleOrder, observe_all,
};
use labelloop_formats::nuscenes::{self as files, NuscenesRow, ReadOptions};

/// Generates labels and detections, evaluates them and prints what it cost.
#[derive(Parser)]
struct Args {
    /// Samples; the validation set has 6,019
    #[arg(long, default_value_t = 6019)]
    samples: usize,
    /// Detections in a sample on average
    #[arg(long, default_value_t = 150)]
    detections: usize,
    /// Labels in a sample on average
    #[arg(long, default_value_t = 31)]
    labels: usize,
    /// Where chance comes from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often to evaluate; the fastest counts
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    /// Write gt.json and found.json here, read them back and evaluate what was read
    #[arg(long)]
    write: Option<PathBuf>,
}

/// One sample of the set.
struct Scene {
    id: SampleId,
    labels: Vec<LabelBox>,
    detections: Vec<DetectionBox>,
}

/// Share of each class among labels, about that of the validation set, and its size.
const CLASSES: [(usize, [f64; 3]); 10] = [
    (43, [4.6, 1.9, 1.7]),
    (8, [6.9, 2.5, 2.8]),
    (2, [11.0, 2.9, 3.5]),
    (2, [12.3, 2.9, 3.9]),
    (1, [6.4, 2.7, 3.2]),
    (19, [0.7, 0.7, 1.8]),
    (1, [2.1, 0.8, 1.5]),
    (1, [1.7, 0.6, 1.3]),
    (9, [0.4, 0.4, 1.1]),
    (14, [0.5, 2.5, 1.0]),
];

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut scenes: Vec<Scene> = (0..args.samples).map(|i| scene(&args, i)).collect::<anyhow::Result<_>>()?;
    if let Some(folder) = &args.write {
        write(&folder.join("gt.json"), &scenes, true)?;
        write(&folder.join("found.json"), &scenes, false)?;
        let (start, cpu) = (Instant::now(), cpu_seconds()?);
        scenes = read(folder)?;
        say(&format!("read {:.3} s, CPU {:.2} s", start.elapsed().as_secs_f64(), cpu_seconds()? - cpu))?;
    }
    let cases: Vec<SampleCase<'_>> = scenes.iter().map(Scene::case).collect();
    let n = |of: fn(&Scene) -> usize| scenes.iter().map(of).sum::<usize>();
    say(&format!(
        "{} samples, {} labels, {} detections",
        cases.len(),
        n(|s| s.labels.len()),
        n(|s| s.detections.len())
    ))?;
    measure(&cases, args.repeat)
}

fn measure(cases: &[SampleCase<'_>], repeat: usize) -> anyhow::Result<()> {
    let ranks = cases.iter().zip(0..).map(|(case, rank)| (case.id.clone(), rank)).collect();
    let params = NuscenesParams { sample_order: SampleOrder::Ranked(ranks), ..NuscenesParams::default() };
    let cpu = cpu_seconds()?;
    let (mut best, mut result) = (f64::INFINITY, None);
    for _ in 0..repeat.max(1) {
        let start = Instant::now();
        let records = observe_all(cases, &params)?;
        let matched = start.elapsed().as_secs_f64();
        result = Some(records.finish()?);
        let total = start.elapsed().as_secs_f64();
        say(&format!("match {matched:.3} s, complete {total:.3} s"))?;
        best = best.min(total);
    }
    let cpu = (cpu_seconds()? - cpu) / repeat.max(1) as f64;
    say(&format!("fastest {best:.3} s, CPU {cpu:.3} s an evaluation"))?;
    result.map_or(Ok(()), |result| numbers(&result))
}

/// What the devkit's numbers are held against.
fn numbers(result: &NuscenesResult) -> anyhow::Result<()> {
    let mut line = format!("numbers {:?} {:?}", result.mean_ap.unwrap_or(0.0), result.nds.unwrap_or(0.0));
    for error in result.tp_errors.to_array() {
        let _ = write!(line, " {:?}", error.unwrap_or(f64::NAN));
    }
    say(&line)
}

impl Scene {
    fn case(&self) -> SampleCase<'_> {
        SampleCase { id: &self.id, labels: &self.labels, detections: &self.detections, racks: &[] }
    }
}

fn scene(args: &Args, i: usize) -> anyhow::Result<Scene> {
    let seed = Seed::new(args.seed).stream(&i.to_string());
    let n_labels = args.labels / 2 + seed.stream("labels").below(0, args.labels + 1);
    let n_found = args.detections / 2 + seed.stream("found").below(0, args.detections + 1);
    let chance = seed.stream("chance");
    let labels: Vec<LabelBox> =
        (0..n_labels as u64).map(|b| label(chance, b)).collect::<anyhow::Result<_>>()?;
    let detections = (0..n_found).map(|b| detection(chance.stream("d"), b as u64, &labels));
    Ok(Scene {
        id: SampleId::new(format!("{:016x}{i:08x}", seed.bits(0)))?,
        detections: detections.collect::<anyhow::Result<_>>()?,
        labels,
    })
}

fn label(seed: Seed, b: u64) -> anyhow::Result<LabelBox> {
    let unit = |i: u64| seed.unit(b * 16 + i);
    let mut ticket = seed.below(b * 16, 100);
    let class = CLASSES.iter().position(|(share, _)| {
        let is_hit = ticket < *share;
        ticket = ticket.saturating_sub(*share);
        is_hit
    });
    let class = class.unwrap_or(0);
    // More boxes near than far, some beyond the range.
    let (radius, angle) = (unit(1).powf(0.7) * 55.0, unit(2) * std::f64::consts::TAU);
    let centre = [radius * angle.cos(), radius * angle.sin(), unit(3)].map(short);
    let size = CLASSES[class].1.map(|side| short(side * (0.8 + 0.4 * unit(4))));
    Ok(LabelBox {
        velocity: (0.1 < unit(5)).then(|| [short(unit(6) * 10.0 - 5.0), short(unit(7))]),
        attribute: (0.1 < unit(8)).then(|| seed.below(b * 16 + 9, 8) as u16),
        ego: Some(centre),
        n_points: Some(seed.below(b * 16 + 10, 30) as u32),
        ..LabelBox::new(ClassIdx(class as u32), cuboid(centre, size, unit(11) * 6.0)?)
    })
}

/// Most detections belong to a label, the better ones nearer to it; the others lie anywhere.
fn detection(seed: Seed, b: u64, labels: &[LabelBox]) -> anyhow::Result<DetectionBox> {
    let unit = |i: u64| seed.unit(b * 16 + i);
    let score = unit(0) * unit(0);
    if labels.is_empty() || unit(1) < 0.4 {
        let stray = label(seed.stream("stray"), b)?;
        return Ok(DetectionBox {
            velocity: stray.velocity,
            attribute: stray.attribute,
            ego: stray.ego,
            ..DetectionBox::new(stray.class, stray.cuboid, score * 0.6)
        });
    }
    let like = &labels[seed.below(b * 16 + 2, labels.len())];
    let off = |i: u64| seed.normal(b * 16 + i) * (1.2 - score);
    let [x, y, z] = like.cuboid.centre();
    let centre = [x + off(3), y + off(4), z].map(short);
    let size = like.cuboid.size().map(|side| short(side * (1.0 + 0.1 * off(5)).max(0.1)));
    Ok(DetectionBox {
        velocity: like.velocity.map(|[x, y]| [short(x + off(6)), y]),
        attribute: like.attribute.filter(|_| unit(7) < 0.8),
        ego: Some(centre),
        ..DetectionBox::new(like.class, cuboid(centre, size, like.cuboid.yaw() + 0.3 * off(8))?, score)
    })
}

fn cuboid(centre: [f64; 3], [length, width, height]: [f64; 3], yaw: f64) -> anyhow::Result<Cuboid> {
    let (sin, cos) = (yaw / 2.0).sin_cos();
    Ok(Cuboid::from_nuscenes(centre, [width, length, height], [cos, 0.0, 0.0, sin], CuboidFrame::Global)?)
}

/// Millimetres, as files have them.
fn short(v: f64) -> f64 {
    (v * 1000.0).round() / 1000.0
}

fn write(path: &Path, scenes: &[Scene], is_labels: bool) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path).with_context(|| format!("writing {}", path.display()))?);
    write!(file, "{{\"meta\": {{\"use_lidar\": true}}, \"results\": {{")?;
    for (i, scene) in scenes.iter().enumerate() {
        write!(file, "{}\"{}\": [", if i == 0 { "" } else { ",\n" }, scene.id)?;
        let labels = scene.labels.iter().map(|l| text(l, -1.0, l.n_points.map_or(-1, i64::from), scene));
        let found = scene.detections.iter().map(|d| {
            let like = LabelBox {
                velocity: d.velocity,
                attribute: d.attribute,
                ego: d.ego,
                ..LabelBox::new(d.class, d.cuboid)
            };
            text(&like, d.score, -1, scene)
        });
        let boxes: Vec<String> = if is_labels { labels.collect() } else { found.collect() };
        write!(file, "{}]", boxes.join(", "))?;
    }
    writeln!(file, "}}}}")?;
    Ok(file.flush()?)
}

fn text(b: &LabelBox, score: f64, n_points: i64, scene: &Scene) -> String {
    let (translation, size, rotation) = b.cuboid.to_nuscenes();
    let velocity = b.velocity.map_or_else(|| "[NaN, NaN]".to_owned(), |v| format!("{v:?}"));
    let attribute = b.attribute.map_or("", |a| files::ATTRIBUTES[usize::from(a)]);
    format!(
        "{{\"sample_token\": \"{}\", \"translation\": {translation:?}, \"size\": {size:?}, \"rotation\": {rotation:?}, \
         \"velocity\": {velocity}, \"ego_translation\": {:?}, \"num_pts\": {n_points}, \"detection_name\": \"{}\", \
         \"detection_score\": {score:?}, \"attribute_name\": \"{attribute}\"}}",
        scene.id,
        b.ego.unwrap_or(translation),
        files::CLASSES[b.class.as_usize()],
    )
}

/// A sample with its rows.
type Boxes<'a> = (&'a SampleId, &'a [NuscenesRow]);

fn read(folder: &Path) -> anyhow::Result<Vec<Scene>> {
    let options = ReadOptions::default();
    let labels = files::read_labels(&folder.join("gt.json"), &options)?;
    let found = files::read_detections(&folder.join("found.json"), &labels, &options)?;
    anyhow::ensure!(labels.samples == found.samples, "both files list the samples in one order");
    let scene = |((id, labels), (_, found)): (Boxes<'_>, Boxes<'_>)| Scene {
        id: id.clone(),
        labels: labels.iter().map(label_of).collect(),
        detections: found.iter().map(detection_of).collect(),
    };
    Ok(labels.by_sample().zip(found.by_sample()).map(scene).collect())
}

fn label_of(row: &NuscenesRow) -> LabelBox {
    let NuscenesRow { class, cuboid, velocity, attribute, ego, n_points, .. } = *row;
    LabelBox { class, cuboid, velocity, attribute, ego, n_points }
}

fn detection_of(row: &NuscenesRow) -> DetectionBox {
    let NuscenesRow { class, cuboid, velocity, attribute, ego, score, .. } = *row;
    DetectionBox { class, cuboid, velocity, attribute, ego, score: score.unwrap_or(0.0) }
}

/// Time on a processor of all threads, in hundredths (`man 5 proc`).
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("times of the process")?;
    Ok((user + system) / 100.0)
}

#[allow(clippy::print_stdout, reason = "the answer of a program goes to standard output")]
fn say(line: &str) -> anyhow::Result<()> {
    println!("{line}");
    Ok(())
}
