//! Runs every body on mutations of its corpus for some seconds: for machines without libFuzzer.

use std::path::Path;
use std::time::{Duration, Instant};

use labelloop_core::Seed;
use labelloop_fuzz::{BODIES, mutation};

/// `mutate [--seconds N] [--seed N] [NAME...]`: N seconds for each body, all bodies where none is named.
fn main() -> std::io::Result<()> {
    let (mut seconds, mut seed, mut wanted) = (10, 1, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number =
            || args.next().and_then(|n| n.parse::<u64>().ok()).ok_or(std::io::ErrorKind::InvalidInput);
        match arg.as_str() {
            "--seconds" => seconds = number()?,
            "--seed" => seed = number()?,
            _ => wanted.push(arg),
        }
    }
    for (name, body) in
        BODIES.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| w == name))
    {
        let n = run(name, *body, Duration::from_secs(seconds), Seed::new(seed).stream(name))?;
        say(&format!("{name}: {n} executions"));
    }
    Ok(())
}

/// Executions until the time is up. An input that breaks a promise is printed.
fn run(name: &str, body: labelloop_fuzz::Body, time: Duration, seed: Seed) -> std::io::Result<u64> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    files.sort_by_key(std::fs::DirEntry::path);
    let mut inputs = files.iter().map(|f| std::fs::read(f.path())).collect::<Result<Vec<_>, _>>()?;
    let (start, n_given) = (Instant::now(), inputs.len());
    let mut i = 0;
    while start.elapsed() < time {
        // Three of four start from the corpus itself: most of what has drifted away ends at the first byte.
        let n_from = if seed.stream("from").below(i, 4) == 0 { inputs.len() } else { n_given };
        let pick = |draw| &inputs[seed.stream(draw).below(i, n_from)];
        let input = mutation::mutate(pick("this"), pick("other"), seed, i);
        if std::panic::catch_unwind(|| body(&input)).is_err() {
            say(&format!("{name}, mutation {i}: {}", input.escape_ascii()));
            return Err(std::io::Error::other(format!("{name} broke a promise")));
        }
        // Some mutations are mutated further, so that the inputs drift away from the corpus.
        if i % 16 == 0 && input.len() < 4096 {
            let at = n_given + (i as usize / 16) % 512;
            if at < inputs.len() { inputs[at] = input } else { inputs.push(input) }
        }
        i += 1;
    }
    Ok(i)
}

#[allow(clippy::print_stdout, reason = "the answer of a program goes to standard output")]
fn say(line: &str) {
    println!("{line}");
}
