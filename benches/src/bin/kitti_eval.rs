//! KITTI evaluation of as many frames as its usual validation set has, from boxes in memory to all numbers: the program
//! behind the claim in `docs/KITTI.md`. Run with `RAYON_NUM_THREADS=1` for one core.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use labelloop_core::{BBox, Cuboid, SampleId, Seed};
use labelloop_eval::kitti::{
    Detection, Difficulty, Frame, KittiParams, KittiResult, Label, Metric, Recall, evaluate,
};

/// Generates frames like KITTI's from a seed and measures their evaluation.
#[derive(Parser)]
struct Args {
    /// Frames; the usual validation set has 3,769
    #[arg(long, default_value_t = 3769)]
    frames: usize,
    /// How often to measure
    #[arg(long, default_value_t = 9)]
    repeat: usize,
    /// Seed of the frames
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write the frames as KITTI files, `label_2` and `pred`, for other evaluators, and stop
    #[arg(long)]
    write: Option<PathBuf>,
}

struct Owned {
    id: SampleId,
    labels: Vec<Label>,
    detections: Vec<Detection>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let owned: Vec<Owned> =
        (0..args.frames).map(|i| frame(Seed::new(args.seed), i)).collect::<anyhow::Result<_>>()?;
    if let Some(dir) = &args.write {
        return write(dir, &owned);
    }
    let frames: Vec<Frame<'_>> =
        owned.iter().map(|f| Frame { id: &f.id, labels: &f.labels, detections: &f.detections }).collect();
    let params = KittiParams::default();
    let mut runs = Vec::new();
    let mut result = evaluate(&frames, &params)?;
    for _ in 0..args.repeat {
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        result = evaluate(&frames, &params)?;
        let wall = wall.elapsed().as_secs_f64();
        runs.push((cpu_seconds().zip(cpu).map_or(wall, |(after, before)| after - before), wall));
    }
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n_labels: usize = owned.iter().map(|f| f.labels.len()).sum();
    let n_detections: usize = owned.iter().map(|f| f.detections.len()).sum();
    let (cpu, wall) = runs.get(runs.len() / 2).copied().unwrap_or_default();
    say(&summary(&result));
    say(&format!(
        "{} frames, {n_labels} labels, {n_detections} detections: {cpu:.3} s of CPU, {wall:.3} s by the clock (median of {})",
        owned.len(),
        runs.len()
    ));
    Ok(())
}

fn summary(result: &KittiResult) -> String {
    let of = |class: &str, metric| {
        let ap = |d| {
            result.ap(class, metric, Recall::R40, d).map_or_else(|| "-".to_owned(), |ap| format!("{ap:.2}"))
        };
        format!("{class} {} {}", metric.name(), Difficulty::ALL.map(ap).join(" "))
    };
    [of("Car", Metric::Cuboid), of("Pedestrian", Metric::Bev), of("Cyclist", Metric::Aos)].join("; ")
}

/// One file for each frame in each of two folders.
fn write(dir: &Path, owned: &[Owned]) -> anyhow::Result<()> {
    for folder in ["label_2", "pred"] {
        std::fs::create_dir_all(dir.join(folder))?;
    }
    for frame in owned {
        let (mut labels, mut found) = (String::new(), String::new());
        for l in &frame.labels {
            let head = format!("{} {:.2} {}", l.class, l.truncation, l.occlusion);
            writeln!(labels, "{head} {}", columns(l.alpha, l.bbox, l.cuboid))?;
        }
        for d in &frame.detections {
            writeln!(found, "{} -1 -1 {} {:.4}", d.class, columns(d.alpha, d.bbox, d.cuboid), d.score)?;
        }
        std::fs::write(dir.join(format!("label_2/{}.txt", frame.id)), labels)?;
        std::fs::write(dir.join(format!("pred/{}.txt", frame.id)), found)?;
    }
    Ok(())
}

/// From the angle on, with KITTI's two decimals.
fn columns(alpha: Option<f64>, bbox: Option<BBox>, cuboid: Option<Cuboid>) -> String {
    let unknown = ([-1.0; 3], [-1000.0; 3], -10.0);
    let (size, place, yaw) = cuboid.and_then(|c| c.to_kitti()).unwrap_or(unknown);
    let corners = bbox.map_or([-1.0; 4], BBox::to_corners);
    let numbers = [alpha.unwrap_or(-10.0)].into_iter().chain(corners).chain(size).chain(place).chain([yaw]);
    numbers.map(|n| format!("{n:.2}")).collect::<Vec<_>>().join(" ")
}

/// Time of all threads of this process on a processor, where the system says.
fn cpu_seconds() -> Option<f64> {
    let mut total = 0.0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        total += text.split_whitespace().next()?.parse::<f64>().ok()?;
    }
    Some(total / 1e9)
}

/// Draws in a row.
struct Chance {
    seed: Seed,
    next: u64,
}

impl Chance {
    fn unit(&mut self) -> f64 {
        self.next += 1;
        self.seed.unit(self.next)
    }

    fn between(&mut self, from: f64, to: f64) -> f64 {
        from + self.unit() * (to - from)
    }

    fn normal(&mut self, sigma: f64) -> f64 {
        self.next += 2;
        self.seed.normal(self.next) * sigma
    }
}

/// Class, share of objects, height, width, length in metres.
const CLASSES: [(&str, f64, [f64; 3]); 6] = [
    ("Car", 0.70, [1.5, 1.6, 3.9]),
    ("Pedestrian", 0.12, [1.75, 0.65, 0.85]),
    ("Van", 0.07, [2.2, 1.9, 5.0]),
    ("Cyclist", 0.05, [1.75, 0.6, 1.75]),
    ("Truck", 0.04, [3.2, 2.6, 10.0]),
    ("Person_sitting", 0.02, [1.3, 0.6, 0.8]),
];

fn frame(seed: Seed, number: usize) -> anyhow::Result<Owned> {
    let mut chance = Chance { seed: seed.stream("kitti").stream(&number.to_string()), next: 0 };
    let (mut labels, mut detections) = (Vec::new(), Vec::new());
    for _ in 0..chance.between(1.0, 12.0) as usize {
        let (class, size) = class(chance.unit());
        let place = [chance.between(-12.0, 12.0), 1.7, chance.between(5.0, 65.0)];
        let yaw = chance.between(-3.1, 3.1);
        let label = Label {
            truncation: if chance.unit() < 0.1 { chance.unit() } else { 0.0 },
            occlusion: (chance.unit() * 3.4) as i32,
            alpha: Some(yaw - place[0].atan2(place[2])),
            ..Label::new(class, Some(project(size, place)?), Some(Cuboid::from_kitti(size, place, yaw)?))
        };
        if chance.unit() < 0.9 && class != "Person_sitting" {
            let found = if class == "Van" { "Car" } else { class };
            let sure = 2.0 + chance.normal(2.0);
            detections.push(detection(&mut chance, found, size, place, yaw, sure)?);
        }
        labels.push(label);
    }
    for _ in 0..chance.between(0.0, 9.0) as usize {
        let (class, size) = class(chance.unit());
        let place = [chance.between(-15.0, 15.0), 1.7, chance.between(5.0, 70.0)];
        let (yaw, sure) = (chance.between(-3.1, 3.1), chance.normal(1.5) - 2.0);
        detections.push(detection(&mut chance, class, size, place, yaw, sure)?);
    }
    for _ in 0..chance.between(0.0, 4.0) as usize {
        let x = chance.between(0.0, 1100.0);
        let bbox = BBox::new(x, 170.0, chance.between(20.0, 120.0), chance.between(15.0, 40.0))?;
        labels.push(Label { occlusion: -1, truncation: -1.0, ..Label::new("DontCare", Some(bbox), None) });
    }
    Ok(Owned { id: SampleId::new(format!("{number:06}"))?, labels, detections })
}

fn class(draw: f64) -> (&'static str, [f64; 3]) {
    let mut left = draw;
    for (name, share, size) in CLASSES {
        left -= share;
        if left < 0.0 {
            return (name, size);
        }
    }
    (CLASSES[0].0, CLASSES[0].2)
}

/// An object as a good detector sees it.
fn detection(
    chance: &mut Chance,
    class: &str,
    size: [f64; 3],
    place: [f64; 3],
    yaw: f64,
    score: f64,
) -> anyhow::Result<Detection> {
    let place =
        [place[0] + chance.normal(0.08), place[1] + chance.normal(0.04), place[2] + chance.normal(0.15)];
    let size = size.map(|side| side * (1.0 + chance.normal(0.03)).max(0.5));
    let yaw = yaw + chance.normal(0.05);
    let cuboid = Cuboid::from_kitti(size, place, yaw)?;
    let alpha = Some(yaw - place[0].atan2(place[2]));
    Ok(Detection { alpha, ..Detection::new(class, Some(project(size, place)?), Some(cuboid), score) })
}

/// A box about where the left colour camera would see the object.
fn project([height, width, length]: [f64; 3], [x, y, z]: [f64; 3]) -> anyhow::Result<BBox> {
    let scale = 721.5 / z.max(1.0);
    let wide = (width + length) / 2.0 * scale;
    let (centre, bottom) = (609.6 + x * scale, 172.9 + y * scale);
    Ok(BBox::new(centre - wide / 2.0, bottom - height * scale, wide, height * scale)?)
}

#[allow(clippy::print_stdout, reason = "the answer of a program goes to standard output")]
fn say(line: &str) {
    println!("{line}");
}
