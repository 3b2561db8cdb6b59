//! The corpus and a fixed number of its mutations, under the ordinary `cargo test`.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use labelloop_core::Seed;
use labelloop_fuzz::{BODIES, mutation};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn names(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

fn inputs(name: &str) -> Vec<Vec<u8>> {
    let folder = corpus().join(name);
    names(&folder).iter().map(|file| std::fs::read(folder.join(file)).unwrap()).collect()
}

#[test]
fn every_body_has_a_corpus_and_every_corpus_a_body() {
    let bodies: BTreeSet<String> = BODIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&corpus()), bodies);
    assert!(bodies.iter().all(|name| !inputs(name).is_empty()));
}

#[test]
fn the_corpus_breaks_no_promise() {
    for (name, body) in BODIES {
        inputs(name).iter().for_each(|input| body(input));
    }
}

#[test]
fn mutations_of_the_corpus_break_no_promise() {
    for (name, body) in BODIES {
        let inputs = inputs(name);
        for i in 0..200u64 {
            let seed = Seed::new(1).stream(name);
            let pick = |draw| &inputs[seed.stream(draw).below(i, inputs.len())];
            body(&mutation::mutate(pick("this"), pick("other"), seed, i));
        }
    }
}

#[test]
fn nothing_and_rubbish_break_no_promise() {
    for (_, body) in BODIES {
        for input in
            [&b""[..], b"\0", b"\xff\xfe", b"{", b"[]", b"{}", b"null", b"\n---\n", b"<a/>", b"[[[[[["]
        {
            body(input);
        }
    }
}
