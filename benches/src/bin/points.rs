//! What reading and counting points costs, on one thread: medians of many runs.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use labelloop_core::{Cuboid, CuboidFrame, Seed};
use labelloop_media::{
    BevFeatureParams, PcdEncoding, PointCloud, bev_features_image, count_points, points_in_cuboid,
    read_points, write_kitti_bin, write_pcd,
};

/// Times the work on a cloud: one that is given, or one made of a seed.
#[derive(Parser)]
struct Args {
    /// A point file; without one, points are made
    cloud: Option<PathBuf>,
    /// Points that are made
    #[arg(long, default_value_t = 120_000)]
    points: u64,
    /// Cuboids, on points of the cloud
    #[arg(long, default_value_t = 30)]
    cuboids: u64,
    /// Runs of each
    #[arg(long, default_value_t = 101)]
    runs: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let cloud = match &args.cloud {
        Some(path) => read_points(path)?,
        None => made(args.points),
    };
    let cuboids = on_points(&cloud, args.cuboids)?;
    let counts = count_points(&cloud, &cuboids);
    let one_by_one = cuboids.iter().map(|c| points_in_cuboid(&cloud, c) as u32).collect::<Vec<_>>();
    anyhow::ensure!(counts == one_by_one, "two ways of counting disagree");
    say(&format!(
        "{} points, {} cuboids with {} points in them",
        cloud.n_points(),
        cuboids.len(),
        counts.iter().sum::<u32>()
    ));
    time("count_points", args.runs, || count_points(&cloud, &cuboids).len());
    time("points_in_cuboid for each", args.runs.div_ceil(4), || {
        cuboids.iter().map(|c| points_in_cuboid(&cloud, c)).sum()
    });
    time("crop_to for each", args.runs.div_ceil(4), || {
        cuboids.iter().map(|c| cloud.crop_to(c).n_points()).sum()
    });
    let params = BevFeatureParams::default();
    time("bev_features_image", args.runs, || {
        bev_features_image(&cloud, params).map_or(0, |p| p.pixels().len())
    });
    let folder = tempfile::tempdir()?;
    let [bin, binary, ascii] = ["a.bin", "binary.pcd", "ascii.pcd"].map(|name| folder.path().join(name));
    write_kitti_bin(&cloud, &bin)?;
    write_pcd(&cloud, &binary, PcdEncoding::Binary)?;
    write_pcd(&cloud, &ascii, PcdEncoding::Ascii)?;
    for path in [&bin, &binary, &ascii].into_iter().chain(&args.cloud) {
        time(&format!("read {}", path.display()), args.runs.div_ceil(4), || {
            read_points(path).map_or(0, |c| c.n_points())
        });
    }
    Ok(())
}

/// Rings of a lidar on flat ground, with objects now and then: density falls with distance as it does in real frames.
fn made(n_points: u64) -> PointCloud {
    let draws = Seed::new(1);
    let point = |i: u64| {
        let (angle, ring) = (draws.unit(4 * i) * std::f64::consts::TAU, draws.unit(4 * i + 1));
        let range = 3.0 + 70.0 * ring * ring;
        let height = draws.unit(4 * i + 2) * 2.0 - 1.8;
        [range * angle.cos(), range * angle.sin(), height, draws.unit(4 * i + 3)].map(|v| v as f32)
    };
    PointCloud::new((0..n_points).map(point).collect())
}

fn on_points(cloud: &PointCloud, n_cuboids: u64) -> anyhow::Result<Vec<Cuboid>> {
    let draws = Seed::new(2);
    let mut cuboids = Vec::new();
    for i in 0..n_cuboids {
        let centre = cloud.place(draws.below(2 * i, cloud.n_points())).unwrap_or_default();
        let yaw = draws.unit(2 * i + 1) * std::f64::consts::TAU;
        cuboids.push(Cuboid::new(centre, [4.2, 1.8, 1.6], yaw, CuboidFrame::Lidar)?);
    }
    Ok(cuboids)
}

fn time(what: &str, n_runs: usize, mut work: impl FnMut() -> usize) {
    let mut taken = Vec::with_capacity(n_runs.max(1));
    for _ in 0..n_runs.max(1) {
        let start = Instant::now();
        black_box(work());
        taken.push(start.elapsed().as_secs_f64() * 1e3);
    }
    taken.sort_by(f64::total_cmp);
    say(&format!("{:9.3} ms  {what}", taken[taken.len() / 2]));
}

#[allow(clippy::print_stdout, reason = "the answer of a program goes to standard output")]
fn say(line: &str) {
    println!("{line}");
}
