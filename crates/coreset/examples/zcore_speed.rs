//! How long ZCore takes on made-up embeddings: `cargo run --release --example zcore_speed -- 50000 64 5000`.
#![allow(clippy::print_stdout, reason = "an example speaks to a person")]

use std::time::Instant;

use labelloop_core::Seed;
use labelloop_coreset::ZCoreParams;
use ndarray::Array2;

fn main() -> Result<(), labelloop_coreset::CoresetError> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let [n_rows, n_dims, n_draws] = *numbers.as_slice() else {
        println!("three numbers are needed: rows, dimensions and draws");
        return Ok(());
    };
    let seed = Seed::new(1);
    let rows = Array2::from_shape_fn((n_rows, n_dims), |(i, j)| seed.normal((i * n_dims + j) as u64) as f32);
    let start = Instant::now();
    let scores = ZCoreParams { n_draws, ..Default::default() }.score(rows.view())?;
    println!("{n_rows} x {n_dims}, {n_draws} draws: {:.2} s", start.elapsed().as_secs_f64());
    println!("first: {:?}", scores.top(3)?);
    Ok(())
}
