//! How long something took.

use std::time::Instant;

/// Runs `work` and returns what it made with the milliseconds it took: on this thread's own clock where the system
/// shows one, so that other programs on the machine do not count, else on the wall's.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let (cpu, wall) = (thread_nanoseconds(), Instant::now());
    let made = work();
    let milliseconds = match (cpu, thread_nanoseconds()) {
        (Some(before), Some(after)) => after.saturating_sub(before) as f64 / 1e6,
        _ => 1e3 * wall.elapsed().as_secs_f64(),
    };
    (made, milliseconds)
}

/// Linux counts nanoseconds on the processor in the first field of `schedstat`; many kernels bring it up to date at
/// their ticks only, every few milliseconds, so that only means over many runs are finer.
fn thread_nanoseconds() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_time() {
        let (sum, milliseconds) = timed(|| (0..3_000_000u64).fold(0u64, |s, i| s.wrapping_mul(31) ^ i));
        assert!(sum != 1 && (0.0..60_000.0).contains(&milliseconds));
    }
}
