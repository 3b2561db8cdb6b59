//! The examples of labelloop are programs; run them with `cargo run --release --example NAME`.
