//! What an overlap of cuboids costs: nanoseconds a pair on one core, medians over repeats.
//!
//! `--pairs OUT.jsonl` writes the measured pairs with our IoUs.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;
use labelloop_core::{Cuboid, CuboidFrame, CuboidOrigin, Rotation, Seed};
use labelloop_eval::overlap3::{BatchF32, BatchF64, Upright, bev_matrix, iou_3d};

/// Measures overlaps of generated cuboids.
#[derive(Parser)]
struct Args {
    /// Pairs of boxes that lie on one another; other measurements scale with it
    #[arg(long, default_value_t = 4000)]
    n: usize,
    /// Repeats, of which the median counts
    #[arg(long, default_value_t = 201)]
    repeats: usize,
    /// Measure only what has this in its name, for a profiler
    #[arg(long, default_value = "")]
    only: String,
    /// Write the pairs and our IoUs as lines of JSON
    #[arg(long)]
    pairs: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (a, b) = near_pairs(args.n)?;
    let (rows, columns): (Vec<Upright>, Vec<Upright>) =
        (a.iter().map(Upright::new).collect(), b.iter().map(Upright::new).collect());
    let (rows32, columns32) = (BatchF32::new(&rows, [0.0; 2]), BatchF32::new(&columns, [0.0; 2]));
    let (rows64, columns64) = (BatchF64::new(&rows, [0.0; 2]), BatchF64::new(&columns, [0.0; 2]));
    let n_shared = rows.iter().zip(&columns).filter(|(a, b)| 0.0 < a.iou_bev(b)).count();
    say(&format!("{} pairs, {n_shared} of them overlap", args.n));

    let mut out = vec![0.0f64; args.n];
    let mut out32 = vec![0.0f32; args.n];
    let n = args.n as f64;
    let each = |iou: fn(&Upright, &Upright) -> f64, out: &mut [f64]| {
        for ((out, a), b) in out.iter_mut().zip(&rows).zip(&columns) {
            *out = iou(a, b);
        }
    };
    report(&args.only, "BEV, f64, prepared boxes", n, args.repeats, || {
        each(Upright::iou_bev, black_box(&mut out));
    });
    report(&args.only, "3D, f64, prepared boxes", n, args.repeats, || {
        each(Upright::iou_3d, black_box(&mut out));
    });
    report(&args.only, "BEV, f64 batch", n, args.repeats, || {
        rows64.iou_bev(&columns64, black_box(&mut out));
    });
    report(&args.only, "BEV, f32 batch", n, args.repeats, || {
        rows32.iou_bev(&columns32, black_box(&mut out32));
    });

    let (frame, found) = (scattered(300)?, scattered(600)?);
    let n_matrix = (frame.len() * found.len()) as f64;
    report(&args.only, "BEV matrix, 300 x 600 boxes in 200 m x 200 m", n_matrix, args.repeats * 10, || {
        black_box(bev_matrix(black_box(&frame), black_box(&found)));
    });

    let (a, b) = tilted_pairs(args.n / 20)?;
    report(&args.only, "3D, turned about all axes", a.len() as f64, args.repeats, || {
        for (a, b) in a.iter().zip(&b) {
            black_box(iou_3d(black_box(a), black_box(b)).unwrap_or(f64::NAN));
        }
    });
    if let Some(path) = &args.pairs {
        write_pairs(path, &rows, &columns, &near_pairs(args.n)?)?;
    }
    Ok(())
}

/// Median nanoseconds of one of `n` operations.
fn report(only: &str, name: &str, n: f64, repeats: usize, mut work: impl FnMut()) {
    if !name.contains(only) {
        return;
    }
    work();
    let mut times: Vec<f64> = (0..repeats)
        .map(|_| {
            let begin = Instant::now();
            work();
            begin.elapsed().as_secs_f64() * 1e9 / n
        })
        .collect();
    times.sort_by(f64::total_cmp);
    say(&format!("{name:<48} {:>8.2} ns (least {:.2})", times[repeats / 2], times[0]));
}

/// Cars, and the same cars as a detector finds them: half a metre and a few degrees off.
fn near_pairs(n: usize) -> anyhow::Result<(Vec<Cuboid>, Vec<Cuboid>)> {
    let chance = Seed::new(4).stream("near");
    let (mut labels, mut found) = (Vec::new(), Vec::new());
    for i in 0..n as u64 {
        let draw = |k: u64| chance.normal(16 * i + k);
        let centre = [30.0 * draw(0), 20.0 * draw(1), 0.2 * draw(2)];
        let size = [4.2 + 0.3 * draw(3), 1.8 + 0.1 * draw(4), 1.6 + 0.1 * draw(5)].map(|s: f64| s.max(0.5));
        let yaw = 1.5 * draw(6);
        labels.push(Cuboid::new(centre, size, yaw, CuboidFrame::Lidar)?);
        let moved = [centre[0] + 0.4 * draw(7), centre[1] + 0.4 * draw(8), centre[2] + 0.1 * draw(9)];
        let grown = [0, 1, 2].map(|k| size[k] * (1.0 + 0.05 * draw(10 + k as u64)));
        found.push(Cuboid::new(moved, grown, yaw + 0.1 * draw(13), CuboidFrame::Lidar)?);
    }
    Ok((labels, found))
}

fn scattered(n: u64) -> anyhow::Result<Vec<Upright>> {
    let chance = Seed::new(n).stream("scattered");
    let of = |i: u64| {
        let draw = |k: u64| chance.unit(16 * i + k);
        let place = |k| 200.0 * (draw(k) - 0.5);
        let row = [place(0), place(1), 0.0, 4.0 + draw(2), 1.6 + draw(3), 1.5, 6.3 * draw(4)];
        Upright::from_row(row).context("a generated box")
    };
    (0..n).map(of).collect()
}

fn tilted_pairs(n: usize) -> anyhow::Result<(Vec<Cuboid>, Vec<Cuboid>)> {
    let (a, b) = near_pairs(n)?;
    let chance = Seed::new(5).stream("tilt");
    let tilt = |list: Vec<Cuboid>, stream: u64| -> anyhow::Result<Vec<Cuboid>> {
        let turn = |(i, c): (usize, Cuboid)| {
            let draw = |k: u64| chance.normal(64 * i as u64 + 16 * stream + k);
            let angles = Rotation::Euler([0.3 * draw(0), 0.3 * draw(1), c.yaw()]);
            Ok(Cuboid::posed(c.centre(), CuboidOrigin::Centre, c.size(), angles, c.frame())?)
        };
        list.into_iter().enumerate().map(turn).collect()
    };
    Ok((tilt(a, 0)?, tilt(b, 1)?))
}

fn write_pairs(
    path: &PathBuf,
    rows: &[Upright],
    columns: &[Upright],
    cuboids: &(Vec<Cuboid>, Vec<Cuboid>),
) -> anyhow::Result<()> {
    let numbers = |c: &Cuboid| {
        let ([x, y, z], [l, w, h]) = (c.centre(), c.size());
        [x, y, z, l, w, h, c.yaw()]
    };
    let mut text = String::new();
    for (i, (a, b)) in rows.iter().zip(columns).enumerate() {
        let overlap = a.overlap(b);
        let line = serde_json::json!({
            "a": numbers(&cuboids.0[i]), "b": numbers(&cuboids.1[i]),
            "iou_bev": overlap.iou_bev, "iou_3d": overlap.iou_3d,
        });
        writeln!(text, "{line}")?;
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[allow(clippy::print_stdout, reason = "the answer of a program goes to standard output")]
fn say(line: &str) {
    println!("{line}");
}
