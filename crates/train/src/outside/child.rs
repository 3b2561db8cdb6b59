//! The child process: start, wait with a limit, end with all it started, and judge what it left.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::{OutsideJob, OutsideTrainerParams};
use crate::{Result, TrainError};

/// Bytes from the end of the log that an error may quote, and lines of those.
const TAIL_BYTES: u64 = 8192;
const TAIL_LINES: usize = 20;

pub(super) fn run(params: &OutsideTrainerParams, job: &OutsideJob, command: &[String]) -> Result<()> {
    let before = stamp(&job.output);
    let child = start(params, job, command)?;
    let status = wait(child, params.timeout_seconds, &job.log)?;
    if !status.success() {
        let tail = tail(&job.log);
        return Err(TrainError::TrainerFailed { code: status.code(), log: job.log.clone(), tail });
    }
    let refuse = |reason| {
        let (path, log) = (job.output.clone(), job.log.clone());
        Err(TrainError::MissingOutput { path, reason, tail: tail(&log), log })
    };
    match fs::metadata(&job.output) {
        Err(_) => refuse("there is no such file"),
        Ok(meta) if !meta.is_file() => refuse("it is not a file"),
        Ok(meta) if meta.len() == 0 => refuse("it is empty"),
        // What an earlier run left must not pass for the work of this one.
        Ok(_) if before.is_some() && stamp(&job.output) == before => {
            refuse("it was there before and did not change")
        }
        Ok(_) => Ok(()),
    }
}

/// Time of the last change and length, where the file exists.
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

fn start(params: &OutsideTrainerParams, job: &OutsideJob, command: &[String]) -> Result<Child> {
    let io = |source| TrainError::Io { path: job.log.clone(), source };
    // Output goes to a file rather than a pipe, so that no amount of it can block the child.
    let log = File::create(&job.log).map_err(io)?;
    let program = command.first().cloned().unwrap_or_default();
    let mut start = Command::new(&program);
    start.args(command.iter().skip(1)).envs(&params.env).stdin(Stdio::null());
    start.stdout(log.try_clone().map_err(io)?).stderr(log);
    if let Some(folder) = &params.working_dir {
        start.current_dir(folder);
    }
    own_group(&mut start);
    start.spawn().map_err(|source| TrainError::Spawn { program, source })
}

fn wait(mut child: Child, seconds: f64, log: &Path) -> Result<ExitStatus> {
    let io = |source| TrainError::Io { path: log.to_owned(), source };
    let limit = Duration::from_secs_f64(seconds);
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait().map_err(io)? {
            return Ok(status);
        }
        let spent = start.elapsed();
        if limit <= spent {
            end_all(&mut child);
            return Err(TrainError::TrainerTimeout { seconds, log: log.to_owned(), tail: tail(log) });
        }
        thread::sleep(pause.min(limit - spent));
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// Puts the child at the head of its own process group, so that it can be ended together with its workers.
#[cfg(unix)]
fn own_group(start: &mut Command) {
    use std::os::unix::process::CommandExt;
    start.process_group(0);
}

#[cfg(not(unix))]
fn own_group(_start: &mut Command) {}

/// Ends the child and what it started; failures mean that it is gone already.
fn end_all(child: &mut Child) {
    // The standard library ends single processes only; the system's own tool ends a group.
    #[cfg(unix)]
    let (mut group, target) =
        (Command::new("kill"), ["-KILL".into(), "--".into(), format!("-{}", child.id())]);
    #[cfg(not(unix))]
    let (mut group, target) =
        (Command::new("taskkill"), ["/T".into(), "/F".into(), "/PID".into(), child.id().to_string()]);
    let target: &[String] = &target;
    let quiet = group.args(target).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    drop(quiet.status());
    drop(child.kill());
    drop(child.wait());
}

/// The last lines of the log, as text whatever its bytes are.
fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
