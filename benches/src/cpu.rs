//! CPU time, which other work on the machine does not lengthen as it does the time on the clock. Linux tells it.

use std::fs;

use anyhow::Context;

/// CPU seconds of all threads that are alive, in nanoseconds; a running thread's are as old as the last tick.
pub fn of_threads() -> anyhow::Result<f64> {
    let mut all = 0.0;
    for task in fs::read_dir("/proc/self/task").context("CPU time is read from /proc/self/task")? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        all += text.split(' ').next().context("schedstat is empty")?.parse::<f64>()? * 1e-9;
    }
    Ok(all)
}

/// CPU seconds of the process, with threads that have ended, in hundredths: fields 14 and 15 of proc(5).
pub fn of_process() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
    let (user, system) = (ticks(11).context("no user time")?, ticks(12).context("no system time")?);
    Ok((user + system) / 100.0)
}
