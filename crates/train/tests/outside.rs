//! The adapter against real child processes.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use labelloop_train::{OutsideJob, OutsideTrainerParams, TrainError};

fn shell(script: &str) -> OutsideTrainerParams {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    OutsideTrainerParams { command, timeout_seconds: 60.0, ..Default::default() }
}

fn job(folder: &Path) -> OutsideJob {
    OutsideJob {
        data_yaml: folder.join("data.yaml"),
        train_dir: folder.join("train"),
        val_dir: folder.join("val"),
        output: folder.join("predictions.json"),
        log: folder.join("log.txt"),
        iteration: 1,
        epochs: 2,
        lr: 0.01,
        batch: 4,
        imgsz: 320,
    }
}

#[test]
fn success_returns_the_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(folder.path());
    let run = shell("echo out; echo err >&2; echo '[]' > {output}").run(&job).unwrap();
    assert_eq!(fs::read_to_string(&run.predictions).unwrap(), "[]\n");
    assert_eq!(fs::read_to_string(&run.log).unwrap(), "out\nerr\n");
    assert!(run.command[2].contains("predictions.json"), "{:?}", run.command);
}

#[test]
fn working_folder_and_environment_reach_the_child() {
    let folder = tempfile::tempdir().unwrap();
    let mut params = shell("echo \"$FLAVOUR\" > {output}; pwd");
    params.working_dir = Some(folder.path().to_owned());
    params.env.insert("FLAVOUR".into(), "plum".into());
    let run = params.run(&job(folder.path())).unwrap();
    assert_eq!(fs::read_to_string(&run.predictions).unwrap(), "plum\n");
    let at = fs::read_to_string(&run.log).unwrap();
    assert_eq!(fs::canonicalize(at.trim()).unwrap(), fs::canonicalize(folder.path()).unwrap());
}

#[test]
fn failure_carries_the_exit_code_and_the_last_lines() {
    let folder = tempfile::tempdir().unwrap();
    let script = "seq 1 1000; echo '[]' > {output}; echo no memory left >&2; exit 7";
    match shell(script).run(&job(folder.path())).unwrap_err() {
        TrainError::TrainerFailed { code: Some(7), tail, .. } => {
            assert!(tail.ends_with("no memory left"), "{tail}");
            assert!(tail.contains("1000") && !tail.contains("\n900\n"), "{tail}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signal_is_a_failure_without_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let failed = shell("kill -9 $$").run(&job(folder.path())).unwrap_err();
    assert!(matches!(failed, TrainError::TrainerFailed { code: None, .. }), "{failed:?}");
    assert!(failed.to_string().starts_with("the trainer ended with a signal"));
}

#[test]
fn a_timeout_ends_the_child_and_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(folder.path());
    let late = folder.path().join("late");
    // The grandchild would write the file if only its parent were ended.
    let mut params = shell(&format!("(sleep 2; echo x > '{}') & echo started; wait", late.display()));
    params.timeout_seconds = 0.4;
    let start = Instant::now();
    let ended = params.run(&job).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    match ended {
        TrainError::TrainerTimeout { seconds, tail, .. } => {
            assert_eq!((seconds, tail.as_str()), (0.4, "started"));
        }
        other => panic!("{other:?}"),
    }
    thread::sleep(Duration::from_millis(2300));
    assert!(!late.exists(), "a worker of the trainer outlived it");
}

#[test]
fn missing_and_empty_predictions_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(folder.path());
    for (script, expected) in [
        ("true", "there is no such file"),
        (": > {output}", "it is empty"),
        ("rm {output}; mkdir {output}", "it is not a file"),
    ] {
        match shell(script).run(&job).unwrap_err() {
            TrainError::MissingOutput { reason, path, .. } => {
                assert_eq!((reason, path), (expected, job.output.clone()));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn predictions_of_an_earlier_run_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(folder.path());
    fs::write(&job.output, "[1]").unwrap();
    let refused = shell("true").run(&job).unwrap_err();
    assert!(matches!(refused, TrainError::MissingOutput { .. }), "{refused:?}");
    assert!(shell("echo '[2, 3]' > {output}").run(&job).is_ok());
}

#[test]
fn huge_output_neither_blocks_nor_fills_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let script = "head -c 20000000 /dev/zero | tr '\\0' 'x'; echo; echo done; exit 1";
    match shell(script).run(&job(folder.path())).unwrap_err() {
        TrainError::TrainerFailed { code: Some(1), tail, log } => {
            assert!(tail.len() <= 8192 && tail.ends_with("done"));
            assert!(20_000_000 < fs::metadata(log).unwrap().len());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn output_that_is_not_text_is_quoted_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let failed = shell("printf '\\377\\376'; exit 2").run(&job(folder.path())).unwrap_err();
    assert!(matches!(failed, TrainError::TrainerFailed { code: Some(2), .. }), "{failed:?}");
}

#[test]
fn programs_that_do_not_exist_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let params = OutsideTrainerParams { command: vec!["no-such-trainer".into()], ..Default::default() };
    let failed = params.run(&job(folder.path())).unwrap_err();
    assert!(
        matches!(failed, TrainError::Spawn { ref program, .. } if program == "no-such-trainer"),
        "{failed:?}"
    );
}

#[test]
fn a_log_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path());
    job.log = folder.path().join("no/such/folder/log.txt");
    let failed = shell("true").run(&job).unwrap_err();
    assert!(matches!(failed, TrainError::Io { ref path, .. } if *path == job.log), "{failed:?}");
}

#[test]
fn unchecked_parameters_are_checked_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(folder.path());
    assert!(matches!(shell("echo {outptu}").run(&job), Err(TrainError::Param(_))));
    assert!(!job.log.exists());
}
