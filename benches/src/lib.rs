//! The benches of labelloop: what each speed claim was measured with.
