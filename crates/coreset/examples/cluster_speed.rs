//! What clustering costs: `cluster_speed ROWS.f32 COLUMNS K`, rows as plain little-endian numbers of four bytes.
#![allow(clippy::print_stdout, reason = "the answer of a program goes to standard output")]

use std::time::Instant;

use labelloop_coreset::{KMeansParams, KMedoidsParams, OutlierParams};
use ndarray::Array2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, path, columns, k] = args.as_slice() else {
        return Err("expected ROWS.f32 COLUMNS K".into());
    };
    let (columns, k): (usize, usize) = (columns.parse()?, k.parse()?);
    let bytes = std::fs::read(path)?;
    let values = bytes.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
    let rows = Array2::from_shape_vec((bytes.len() / 4 / columns, columns), values)?;
    let begin = Instant::now();
    let means = KMeansParams { k, ..Default::default() }.fit(rows.view())?;
    let (wall, n) = (begin.elapsed().as_secs_f64(), means.n_iterations);
    println!(
        "k-means: inertia {:.6}, {n} iterations, {wall:.2} s wall, {:.2} s CPU so far",
        means.inertia,
        cpu()?
    );
    let begin = Instant::now();
    let medoids = KMedoidsParams { k, n_samples: 1, ..Default::default() }.fit(rows.view())?;
    let wall = begin.elapsed().as_secs_f64();
    println!(
        "k-medoids of one sample: loss {:.3}, {wall:.2} s wall, {:.2} s CPU so far",
        medoids.loss,
        cpu()?
    );
    let begin = Instant::now();
    let (few, _) = rows.view().split_at(ndarray::Axis(0), rows.nrows().min(20_000));
    let scores = OutlierParams::default().score(few)?;
    let most = scores.iter().copied().fold(0.0, f64::max);
    let wall = begin.elapsed().as_secs_f64();
    println!("outliers of 20,000: most {most:.3}, {wall:.2} s wall, {:.2} s CPU so far", cpu()?);
    Ok(())
}

/// Seconds that this process has computed: fields 14 and 15 of proc(5), in hundredths of a second.
fn cpu() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default().to_owned();
    let ticks: Result<Vec<f64>, _> = after_name.split_whitespace().skip(11).take(2).map(str::parse).collect();
    Ok(ticks?.iter().sum::<f64>() / 100.0)
}
