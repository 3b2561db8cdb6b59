//! One seed after the other: split, choose, measure.

use anyhow::ensure;
use labelloop::core::Seed;

use crate::args::Args;
use crate::clock::timed;
use crate::data::{Data, Parts};
use crate::downstream::{Quality, Trainer};
use crate::ledger::{Key, Ledger, Record, Setting};
use crate::measures::{coverage, holdings};
use crate::methods::{self, Ask, RANDOM};

/// Does all that is missing in the ledger for a data set.
pub(crate) fn run_all(data: &Data, args: &Args, ledger: &mut Ledger) -> anyhow::Result<()> {
    let mut trainer = Trainer::new(data, args)?;
    for seed in 1..=args.seeds {
        let todo = missing(data, args, seed, ledger)?;
        if todo.is_empty() {
            continue;
        }
        let parts = data.split(seed, args.most_val)?;
        let learns = todo.iter().any(|job| job.learns);
        trainer.validate_on(if learns { &parts.val } else { &[] })?;
        let n = todo.len();
        let (done, milliseconds) =
            timed(|| todo.into_iter().try_for_each(|job| do_job(job, data, &parts, &mut trainer, ledger)));
        done?;
        eprintln!("{} seed {seed}: {n} choices in {:.1} s", data.name, milliseconds / 1e3);
    }
    Ok(())
}

/// One choice to make.
struct Job {
    key: Key,
    learns: bool,
}

fn missing(data: &Data, args: &Args, seed: u64, ledger: &Ledger) -> anyhow::Result<Vec<Job>> {
    let known = methods::names();
    if let Some(unknown) = args.methods.iter().find(|name| !known.contains(&name.as_str())) {
        anyhow::bail!("method {unknown:?}: expected one of {}", known.join(", "));
    }
    let wanted =
        |name: &&str| args.methods.is_empty() || *name == RANDOM || args.methods.iter().any(|n| n == name);
    let mut jobs = Vec::new();
    for setting in args.settings.iter().copied() {
        for percent in args.budgets.iter().copied() {
            let (learns, permille) = (args.learns_at(percent), (10.0 * percent).round() as u32);
            for method in known.iter().copied().filter(wanted) {
                let n_draws = if method == RANDOM { args.random_draws } else { 1 };
                let key = |draw| Key {
                    data: data.name.clone(),
                    setting,
                    seed,
                    method: method.to_owned(),
                    draw,
                    permille,
                };
                jobs.extend((0..n_draws).map(|draw| Job { key: key(draw), learns }));
            }
        }
    }
    jobs.retain(|job| !ledger.holds(&job.key, job.learns));
    Ok(jobs)
}

fn do_job(
    job: Job,
    data: &Data,
    parts: &Parts,
    trainer: &mut Trainer<'_>,
    ledger: &mut Ledger,
) -> anyhow::Result<()> {
    let Job { key, learns } = job;
    let n = budget(parts.pool.len(), key.permille);
    let labelled = match key.setting {
        Setting::Cold => Vec::new(),
        Setting::Given => labelled(&parts.pool, n / 2, key.seed),
    };
    let open: Vec<usize> =
        parts.pool.iter().copied().filter(|i| labelled.binary_search(i).is_err()).collect();
    let ask = Ask::new(data, open, &labelled, n - labelled.len(), method_seed(&key));
    let (picked, milliseconds) = timed(|| ask.pick(&key.method));
    let mut chosen = ask.samples(&picked?)?;
    chosen.extend(&labelled);
    ensure!(chosen.len() == n, "{key:?}: {} pictures chosen, expected {n}", chosen.len());

    let quality = if learns { Some(trainer.quality(&chosen)?) } else { None };
    ledger.add(record(key, data, &parts.pool, &chosen, quality, milliseconds))
}

fn record(
    key: Key,
    data: &Data,
    pool: &[usize],
    chosen: &[usize],
    quality: Option<Quality>,
    milliseconds: f64,
) -> Record {
    let (near, held) = (coverage(data, pool, chosen), holdings(data, pool, chosen));
    Record {
        key,
        n_pool: pool.len(),
        n_chosen: chosen.len(),
        n_boxes: held.n_boxes,
        mean_distance: near.mean_distance,
        max_distance: near.max_distance,
        within: near.within,
        rare_recall: held.rare_recall,
        rare_found: held.rare_found,
        classes_found: held.classes_found,
        map50: quality.map(|q| q.map50),
        rare_map50: quality.and_then(|q| q.rare_map50),
        milliseconds,
    }
}

/// At least two pictures, so that half of them is something.
fn budget(n_pool: usize, permille: u32) -> usize {
    let n = (f64::from(permille) * n_pool as f64 / 1000.0).round() as usize;
    n.max(2).min(n_pool)
}

/// What chance labelled beforehand, in ascending order; the same for all methods and draws of a seed, and of a smaller
/// budget a part.
fn labelled(pool: &[usize], n: usize, seed: u64) -> Vec<usize> {
    let order = Seed::new(seed).stream("labelled").permutation(pool.len());
    let mut rows: Vec<usize> = order.into_iter().take(n).map(|i| pool[i]).collect();
    rows.sort_unstable();
    rows
}

fn method_seed(key: &Key) -> Seed {
    Seed::new(key.seed).stream("choose").stream(&key.draw.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_rounded_and_bounded() {
        assert_eq!((budget(177, 20), budget(177, 500), budget(20, 20), budget(1, 500)), (4, 89, 2, 1));
    }

    #[test]
    fn what_was_labelled_grows_with_the_budget() {
        let pool: Vec<usize> = (100..150).collect();
        let (few, many) = (labelled(&pool, 5, 3), labelled(&pool, 20, 3));
        assert!(few.iter().all(|row| many.contains(row)));
        assert_ne!(few, labelled(&pool, 5, 4));
    }
}
