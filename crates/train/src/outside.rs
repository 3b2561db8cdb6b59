//! Runs somebody else's trainer as a child process.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{ParamError, Result};

mod child;

/// Words that a command's template may hold between braces.
pub const PLACEHOLDERS: [&str; 9] =
    ["data_yaml", "train_dir", "val_dir", "output", "iteration", "epochs", "lr", "batch", "imgsz"];

/// How an outside trainer is started. [`OutsideTrainerParams::check`] turns it into [`OutsideValidParams`].
///
/// Each text of `command` is one argument; no shell is involved unless the command names one. `{word}` is replaced by
/// the job's value, `{{` and `}}` stand for one brace.
///
/// ```
/// use labelloop_train::OutsideTrainerParams;
///
/// let words = ["yolo", "train", "data={data_yaml}", "epochs={epochs}", "project={output}"];
/// let params = OutsideTrainerParams { command: words.map(str::to_owned).to_vec(), ..Default::default() };
/// assert!(params.check().is_ok());
///
/// let typo = OutsideTrainerParams { command: vec!["yolo".into(), "{epoch}".into()], ..params };
/// assert!(typo.check().unwrap_err().to_string().starts_with("argument 1 of the trainer's command holds {epoch}"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutsideTrainerParams {
    /// Program and arguments, with placeholders. Default: empty, which the check refuses.
    pub command: Vec<String>,
    /// The child and all it started are ended after this time, in seconds. Default 86 400 (a day).
    pub timeout_seconds: f64,
    /// Folder that the child starts in; `None`: ours.
    pub working_dir: Option<PathBuf>,
    /// Environment variables beside ours.
    pub env: BTreeMap<String, String>,
}

impl Default for OutsideTrainerParams {
    fn default() -> Self {
        Self { command: Vec::new(), timeout_seconds: 86_400.0, working_dir: None, env: BTreeMap::new() }
    }
}

impl OutsideTrainerParams {
    /// Checks the template, the time and the environment.
    ///
    /// # Errors
    /// [`ParamError`] naming the first thing at fault.
    pub fn check(&self) -> Result<OutsideValidParams, ParamError> {
        if self.command.first().is_none_or(String::is_empty) {
            return Err(ParamError::EmptyCommand);
        }
        if self.command.iter().any(|a| a.contains('\0')) {
            return Err(ParamError::NulByte { name: "command" });
        }
        let command = self.command.iter().enumerate().map(|(i, a)| parse(i, a)).collect::<Result<_, _>>()?;
        let found = self.timeout_seconds;
        if !(0.0 < found && found <= 1e8) {
            let expected = "a number of seconds above 0 and up to 1e8";
            return Err(ParamError::OutOfRange { name: "timeout_seconds", found, expected });
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(ParamError::InvalidEnvName { found: name.clone() });
            }
            if value.contains('\0') {
                return Err(ParamError::NulByte { name: "env" });
            }
        }
        Ok(OutsideValidParams { params: self.clone(), command })
    }

    /// Checks and runs; see [`OutsideValidParams::run`].
    ///
    /// # Errors
    /// As the two.
    pub fn run(&self, job: &OutsideJob) -> Result<OutsideRun> {
        self.check()?.run(job)
    }
}

/// Parameters that passed [`OutsideTrainerParams::check`].
#[derive(Debug, Clone, PartialEq)]
pub struct OutsideValidParams {
    params: OutsideTrainerParams,
    command: Vec<Vec<Piece>>,
}

/// One training to run: what fills the placeholders, and where the log goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideJob {
    /// `{data_yaml}`: the YOLO description of the data.
    pub data_yaml: PathBuf,
    /// `{train_dir}`: folder of training pictures and labels.
    pub train_dir: PathBuf,
    /// `{val_dir}`: folder of validation pictures and labels.
    pub val_dir: PathBuf,
    /// `{output}`: file that the child must leave, predictions as COCO results JSON.
    pub output: PathBuf,
    /// File for everything that the child writes to standard output and standard error; written anew.
    pub log: PathBuf,
    /// `{iteration}`: number of the round.
    pub iteration: u32,
    /// `{epochs}`.
    pub epochs: u32,
    /// `{lr}`: learning rate.
    pub lr: f64,
    /// `{batch}`: pictures per step.
    pub batch: u32,
    /// `{imgsz}`: side that pictures are scaled to.
    pub imgsz: u32,
}

/// A training that succeeded.
#[derive(Debug, Clone, PartialEq)]
pub struct OutsideRun {
    /// Predictions, a file that exists and is not empty.
    pub predictions: PathBuf,
    /// Everything that the child wrote.
    pub log: PathBuf,
    /// The command as it was run.
    pub command: Vec<String>,
}

impl OutsideValidParams {
    /// The checked values.
    pub fn get(&self) -> &OutsideTrainerParams {
        &self.params
    }

    /// The command with the job's values filled in.
    pub fn command(&self, job: &OutsideJob) -> Vec<String> {
        let fill = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Word(word) => job.value(word),
        };
        self.command.iter().map(|pieces| pieces.iter().map(fill).collect()).collect()
    }

    /// Runs the command to its end and returns where the predictions are.
    ///
    /// Writes the log and nothing else. A file left at `output` by an earlier run is refused when this run does not
    /// write it anew: it must have changed or be new.
    ///
    /// # Errors
    /// [`crate::TrainError::Spawn`], [`crate::TrainError::TrainerFailed`], [`crate::TrainError::TrainerTimeout`],
    /// [`crate::TrainError::MissingOutput`] or [`crate::TrainError::Io`].
    pub fn run(&self, job: &OutsideJob) -> Result<OutsideRun> {
        let command = self.command(job);
        child::run(&self.params, job, &command)?;
        Ok(OutsideRun { predictions: job.output.clone(), log: job.log.clone(), command })
    }
}

impl OutsideJob {
    fn value(&self, word: &str) -> String {
        let path = |p: &PathBuf| p.to_string_lossy().into_owned();
        match word {
            "data_yaml" => path(&self.data_yaml),
            "train_dir" => path(&self.train_dir),
            "val_dir" => path(&self.val_dir),
            "output" => path(&self.output),
            "iteration" => self.iteration.to_string(),
            "epochs" => self.epochs.to_string(),
            "lr" => self.lr.to_string(),
            "batch" => self.batch.to_string(),
            _ => self.imgsz.to_string(),
        }
    }
}

/// A part of an argument.
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Word(&'static str),
}

fn parse(index: usize, argument: &str) -> Result<Vec<Piece>, ParamError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = argument;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let tail = &rest[at..];
        if tail.starts_with("{{") || tail.starts_with("}}") {
            text.push_str(&tail[..1]);
            rest = &tail[2..];
        } else if let Some(after) = tail.strip_prefix('}') {
            text.push('}');
            rest = after;
        } else {
            let Some(end) = tail.find('}') else {
                return Err(ParamError::UnclosedPlaceholder { index, argument: argument.to_owned() });
            };
            let found = &tail[1..end];
            let Some(word) = PLACEHOLDERS.iter().find(|w| **w == found) else {
                let found = found.to_owned();
                return Err(ParamError::UnknownPlaceholder { index, found, expected: &PLACEHOLDERS });
            };
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Word(word));
            rest = &tail[end + 1..];
        }
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(command: &[&str]) -> OutsideTrainerParams {
        OutsideTrainerParams {
            command: command.iter().map(|c| (*c).to_owned()).collect(),
            ..Default::default()
        }
    }

    fn job() -> OutsideJob {
        OutsideJob {
            data_yaml: "d/data.yaml".into(),
            train_dir: "d/train".into(),
            val_dir: "d/val".into(),
            output: "out.json".into(),
            log: "log.txt".into(),
            iteration: 3,
            epochs: 10,
            lr: 0.001,
            batch: 2,
            imgsz: 640,
        }
    }

    #[test]
    fn defaults_are_those_documented() {
        let d = OutsideTrainerParams::default();
        assert_eq!((d.command.len(), d.timeout_seconds, d.working_dir, d.env.len()), (0, 86_400.0, None, 0));
    }

    #[test]
    fn every_placeholder_is_filled() {
        let all: Vec<String> = PLACEHOLDERS.iter().map(|w| format!("{w}={{{w}}}")).collect();
        let mut command = vec!["prog"];
        command.extend(all.iter().map(String::as_str));
        let filled = params(&command).check().unwrap().command(&job());
        let expected = "prog data_yaml=d/data.yaml train_dir=d/train val_dir=d/val output=out.json iteration=3 \
                        epochs=10 lr=0.001 batch=2 imgsz=640";
        assert_eq!(filled.join(" "), expected);
    }

    #[test]
    fn doubled_braces_stand_for_one() {
        let filled = params(&["sh", "a{{epochs}}b{epochs}"]).check().unwrap().command(&job());
        assert_eq!(filled[1], "a{epochs}b10");
    }

    #[test]
    fn empty_commands_are_refused() {
        assert_eq!(params(&[]).check(), Err(ParamError::EmptyCommand));
        assert_eq!(params(&[""]).check(), Err(ParamError::EmptyCommand));
    }

    #[test]
    fn unknown_placeholders_are_refused_with_their_place() {
        let bad = params(&["sh", "{epochs}", "{epcohs}"]).check().unwrap_err();
        assert!(
            matches!(bad, ParamError::UnknownPlaceholder { index: 2, ref found, .. } if found == "epcohs")
        );
        assert!(matches!(params(&["{}"]).check(), Err(ParamError::UnknownPlaceholder { index: 0, .. })));
    }

    #[test]
    fn open_braces_are_refused() {
        let bad = params(&["sh", "ü{epochs"]).check();
        assert!(matches!(bad, Err(ParamError::UnclosedPlaceholder { index: 1, .. })));
    }

    #[test]
    fn impossible_times_are_refused() {
        for timeout_seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let bad = OutsideTrainerParams { timeout_seconds, ..params(&["sh"]) };
            assert!(matches!(bad.check(), Err(ParamError::OutOfRange { name: "timeout_seconds", .. })));
        }
    }

    #[test]
    fn impossible_environments_are_refused() {
        let with = |k: &str, v: &str| {
            OutsideTrainerParams { env: BTreeMap::from([(k.to_owned(), v.to_owned())]), ..params(&["sh"]) }
                .check()
        };
        assert!(matches!(with("", "x"), Err(ParamError::InvalidEnvName { .. })));
        assert!(matches!(with("A=B", "x"), Err(ParamError::InvalidEnvName { .. })));
        assert!(matches!(with("A", "x\0"), Err(ParamError::NulByte { name: "env" })));
        assert!(with("A", "x").is_ok());
    }

    #[test]
    fn nul_bytes_in_the_command_are_refused() {
        assert_eq!(params(&["sh", "a\0"]).check(), Err(ParamError::NulByte { name: "command" }));
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<OutsideTrainerParams>(r#"{"comand":["x"]}"#).is_err());
        let p: OutsideTrainerParams = serde_json::from_str(r#"{"command":["x"],"env":{"A":"b"}}"#).unwrap();
        assert_eq!(p.env["A"], "b");
    }
}
