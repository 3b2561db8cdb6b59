//! The benches of labelloop.
