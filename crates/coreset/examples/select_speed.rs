//! Seconds that each method of `select` takes.
//!
//! ```text
//! cargo run --release -p labelloop-coreset --example select_speed -- ROWS DIMENSIONS K [METHOD...]
//! ```

#![allow(clippy::print_stdout, reason = "the answer of a program goes to standard output")]

use std::time::Instant;

use labelloop_core::Seed;
use labelloop_coreset::select::{Candidates, FacilityLocationParams, MaxHerdingParams, Method, SelectParams};
use ndarray::Array2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| args.get(i).map_or(Ok(default), |text| text.parse::<usize>());
    let (n, d, k) = (number(0, 20_000)?, number(1, 256)?, number(2, 1000)?);
    let rows = crowds(n, d);
    let candidates = Candidates::new(rows.view())?;
    for (name, method) in methods()? {
        if args.len() > 3 && !args[3..].contains(&name) {
            continue;
        }
        let start = Instant::now();
        let found = SelectParams::by(method).select(&candidates, k)?;
        let seconds = start.elapsed().as_secs_f64();
        let last = found.picks.last().map_or(0.0, |pick| pick.gain);
        println!("{name:28} {n} x {d}, k = {k}: {seconds:8.2} s, last gain {last:.4}");
    }
    Ok(())
}

fn methods() -> Result<Vec<(String, Method)>, Box<dyn std::error::Error>> {
    let mut all = Vec::new();
    for name in Method::names() {
        all.push((name.to_owned(), Method::from_name(name)?));
    }
    let nearest = Some(64);
    let facility = FacilityLocationParams { neighbours: nearest, ..Default::default() };
    all.push(("facility-location-nearest".to_owned(), Method::FacilityLocation(facility)));
    let facility = FacilityLocationParams { memory: 0, ..Default::default() };
    all.push(("facility-location-computed".to_owned(), Method::FacilityLocation(facility)));
    let herding = MaxHerdingParams { neighbours: nearest, ..Default::default() };
    all.push(("max-herding-nearest".to_owned(), Method::MaxHerding(herding)));
    Ok(all)
}

/// Rows in 200 crowds of unequal size, as embeddings of pictures are.
fn crowds(n: usize, d: usize) -> Array2<f32> {
    let (centre, noise, which) = (Seed::new(1), Seed::new(2), Seed::new(3));
    Array2::from_shape_fn((n, d), |(i, j)| {
        let crowd = (which.unit(i as u64).powi(2) * 200.0) as usize;
        (centre.normal((crowd * d + j) as u64) + noise.normal((i * d + j) as u64)) as f32
    })
}
