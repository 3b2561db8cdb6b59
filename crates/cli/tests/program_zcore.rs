//! Coverage scores by shards: the program once for each shard and once for each round gives the files of one run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "array views are handed over by value, which is their idiom"
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use labelloop_core::Seed;
use ndarray::{Array2, ArrayView2, Axis};
use ndarray_npy::WriteNpyExt;
use serde_json::Value;

fn labelloop(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labelloop")).args(args).output().unwrap()
}

fn piped(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_labelloop"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn document(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn write_rows(path: &Path, rows: ArrayView2<'_, f32>) {
    rows.write_npy(std::fs::File::create(path).unwrap()).unwrap();
}

/// Rows with duplicates, in a file of their own.
fn embeddings(folder: &Path) -> (Array2<f32>, PathBuf) {
    let s = Seed::new(4);
    let all = Array2::from_shape_fn((61, 5), |(i, j)| (s.normal((i * 5 + j) as u64) * 2.0).round() as f32);
    let file = folder.join("all.npy");
    write_rows(&file, all.view());
    (all, file)
}

const PARAMS: [&str; 6] = ["--draws", "300", "--neighbours", "7", "--seed", "5"];

#[test]
fn shards_give_the_files_of_one_run() {
    let dir = tempfile::tempdir().unwrap();
    let (all, file) = embeddings(dir.path());
    let whole = dir.path().join("whole.npy");
    let run = labelloop(&[&["zcore", text(&file), "--out", text(&whole)][..], &PARAMS].concat());
    assert!(run.status.success(), "{run:?}");
    for n_shards in [1, 2, 7] {
        let scores = by_shards(dir.path(), &all, n_shards);
        assert_eq!(std::fs::read(&scores).unwrap(), std::fs::read(&whole).unwrap(), "{n_shards} shards");
    }
}

fn by_shards(folder: &Path, all: &Array2<f32>, n_shards: usize) -> PathBuf {
    let rows_each = all.nrows().div_ceil(n_shards);
    let (order, scores, ids) = (folder.join("order"), folder.join("scores.npy"), folder.join("ids.npy"));
    let mut rounds = Vec::new();
    loop {
        let mut partials = Vec::new();
        for (i, rows) in all.axis_chunks_iter(Axis(0), rows_each).enumerate() {
            let (shard, partial) = (folder.join(format!("{i}.npy")), folder.join(format!("{i}.partial")));
            write_rows(&shard, rows);
            let first_row = (i * rows_each).to_string();
            let mut args =
                vec!["zcore", text(&shard), "--first-row", &first_row, "--partial", text(&partial), "--json"];
            if !rounds.is_empty() {
                args.extend(["--order", text(&order)]);
            }
            assert_eq!(document(&labelloop(&args))["n_rows"], rows.nrows());
            partials.push(partial);
        }
        partials.reverse();
        let mut args = vec!["zcore", "merge"];
        args.extend(partials.iter().map(|p| text(p)));
        args.extend([
            "--next",
            text(&order),
            "--out",
            text(&scores),
            "--ids",
            text(&ids),
            "-k",
            "9",
            "--json",
        ]);
        args.extend(PARAMS);
        let document = document(&labelloop(&args));
        rounds.push(document["round"].clone());
        if document["done"] == true {
            assert_eq!(document["n_rows"], all.nrows());
            assert_eq!(rounds.len(), 5, "{rounds:?}");
            return scores;
        }
    }
}

#[test]
fn pipes_carry_rows_and_partials_as_lines() {
    let dir = tempfile::tempdir().unwrap();
    let (all, file) = embeddings(dir.path());
    let (order, whole, scores) =
        (dir.path().join("order"), dir.path().join("whole.npy"), dir.path().join("s.npy"));
    assert!(
        labelloop(&[&["zcore", text(&file), "--out", text(&whole)][..], &PARAMS].concat()).status.success()
    );
    let lines: Vec<String> = all
        .rows()
        .into_iter()
        .enumerate()
        .map(|(i, row)| {
            let bytes: Vec<u8> = row.iter().flat_map(|v| v.to_le_bytes()).collect();
            format!("{i}\t{}", STANDARD.encode(bytes))
        })
        .collect();
    for round in 0.. {
        let mut said = String::new();
        let mut args = vec!["zcore", "-", "--partial", "-"];
        if round > 0 {
            args.extend(["--order", text(&order)]);
        }
        // Rows in no order, and one partition without any.
        for part in [lines[40..].join("\n"), String::new(), lines[..40].join("\n")] {
            let output = piped(&args, &part);
            assert!(output.status.success(), "{output:?}");
            assert_eq!(output.stdout.is_empty(), part.is_empty());
            said += std::str::from_utf8(&output.stdout).unwrap();
        }
        let node = piped(&["zcore", "merge", "-", "--partial", "-"], &said);
        let mut args = vec!["zcore", "merge", "-", "--next", text(&order), "--out", text(&scores), "--json"];
        args.extend(PARAMS);
        if document(&piped(&args, std::str::from_utf8(&node.stdout).unwrap()))["done"] == true {
            break;
        }
    }
    assert_eq!(std::fs::read(&scores).unwrap(), std::fs::read(&whole).unwrap());
}

fn fails(args: &[&str], input: &str, status: i32, sentence: &str) {
    let output = piped(args, input);
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(sentence), "{said}");
}

#[test]
fn what_cannot_be_merged_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (_, file) = embeddings(dir.path());
    let partial = dir.path().join("a.partial");
    assert!(labelloop(&["zcore", text(&file), "--partial", text(&partial)]).status.success());
    let mut damaged = std::fs::read(&partial).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let bad = dir.path().join("b.partial");
    std::fs::write(&bad, damaged).unwrap();
    let (out, next) = (dir.path().join("s.npy"), dir.path().join("next"));
    let merge = |more: &[&str]| [&["zcore", "merge", text(&partial)][..], more].concat().join(" ");
    let merge = |more: &[&str]| -> Vec<String> { merge(more).split(' ').map(str::to_owned).collect() };
    let check = |more: &[&str], status, sentence: &str| {
        let args = merge(more);
        fails(&args.iter().map(String::as_str).collect::<Vec<_>>(), "", status, sentence);
    };
    check(
        &[text(&bad), "--next", text(&next)],
        1,
        "b.partial: a partial of any kind cannot be read: its checksum",
    );
    check(&["nowhere", "--next", text(&next)], 1, "nowhere: cannot be read");
    check(&["--out", text(&out)], 2, "columns 2 of 3 come after columns 1 of 3, expected --next");
    check(&[], 2, "expected --partial OUT, --next ORDER or --out");
    fails(&["zcore", "merge", "-", "--next", text(&next)], "", 1, "at least one line");
    fails(&["zcore", "merge", "-", "--next", text(&next)], "\n%\n", 1, "standard input, line 2: no base64");
    let rows =
        |sentence| fails(&["zcore", "-", "--partial", "-"], "0 AACAPw==\n1 AACAPwAAgD8=\n", 1, sentence);
    rows("standard input, line 2: 2 numbers, expected 1");

    // The same shard twice is noticed when the second round does not see it twice.
    let twice = labelloop(&["zcore", "merge", text(&partial), text(&partial), "--next", text(&next)]);
    assert!(twice.status.success(), "{twice:?}");
    let second = dir.path().join("c.partial");
    assert!(
        labelloop(&["zcore", text(&file), "--partial", text(&second), "--order", text(&next)])
            .status
            .success()
    );
    fails(&["zcore", "merge", text(&second), "--next", text(&out)], "", 1, "61 rows were seen");
}

#[test]
fn a_whole_run_still_wants_its_flags() {
    let mut message = String::new();
    for args in [&["zcore"][..], &["zcore", "x.npy"], &["zcore", "x.npy", "--out", "s", "--partial", "p"]] {
        let output = labelloop(args);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        write!(message, "{}", String::from_utf8_lossy(&output.stderr)).unwrap();
    }
    assert!(message.contains("--out"), "{message}");
}

#[test]
fn how_far_scores_depend_on_the_seed_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (_, file) = embeddings(dir.path());
    let (alone, compared) = (dir.path().join("a.npy"), dir.path().join("b.npy"));
    assert!(labelloop(&["zcore", text(&file), "--out", text(&alone)]).status.success());
    let args = ["zcore", text(&file), "--out", text(&compared), "--stability", "3", "--json"];
    let output = labelloop(&args);
    assert!(output.status.success(), "{output:?}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["stability"]["seeds"], serde_json::json!([42, 43, 44]));
    assert_eq!(said["stability"]["spearman"].as_array().unwrap().len(), 3);
    assert!(said["stability"]["mean_spearman"].as_f64().unwrap() > 0.0);
    assert_eq!(std::fs::read(&alone).unwrap(), std::fs::read(&compared).unwrap());
    fails(&["zcore", text(&file), "--out", text(&alone), "--stability", "1"], "", 2, "--stability");
}
