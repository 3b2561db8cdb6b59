use std::collections::{BTreeMap, BTreeSet};

use super::limits::{Null, limits};
use super::track::{Baseline, Step, Track};
use super::{
    ChartKind, ChartLimits, ChartParams, ChartPoint, ChartRow, ChartSignal, ChartValidParams, Direction,
    GoldenChart, PassReason, PassedOver,
};
use crate::{History, HistoryEntry, QaError, Result, Statistic, StatisticResult, Verdict};

/// Control charts over the rounds of one golden version, from the history alone: a Shewhart chart on
/// T for sudden changes, and CUSUMs for those too small to be seen in one round.
///
/// **Increments.** The z-scores of reports share their calibration rounds, so they depend on each other and their sum runs
/// away by chance. Hence each round `x` is compared with the mean of all good rounds before it:
/// `w = (x - mean) / (sd sqrt(1 + 1 / n))`, and joins them (self-starting: Hawkins 1987; Quesenberry 1991). The baseline
/// starts with the calibration rounds of the first entry, or with the first round that did not fail where there are none; `sd` is
/// [`sd_round`](StatisticResult::sd_round), averaged over the good rounds so far and the one at hand. A round that FAILED does
/// not join, whether it was overridden or not; nor, for a statistic that signals beyond its margin, do the rounds since that
/// began.
///
/// A round that shows a part of the golden set enters as its difference from its own calibration rounds.
///
/// **Charts.** T is the largest `w` over all statistics (`|w|` for signed ones). Each statistic has a CUSUM upwards,
/// signed ones have one downwards too: `S = max(0, S + w - k)` (Page 1954), where `k` is half of the margin but at least
/// [`ChartParams::k`] (half of the shift to detect: Montgomery, Introduction to Statistical Quality Control, section 9.1),
/// which keeps wobble well within the margins quiet. A CUSUM starts again after its signal.
///
/// **Limits** come from simulated histories of the same recursion in which nothing changes (normal lengths whose spread was
/// estimated from as many images, quasi-Poisson counts), for the first point's means and spreads: `false_alarm` is the probability of any signal of either chart within
/// `n_rounds` rounds. They do not move as rounds are added, and neither do points: a signal once given stays.
///
/// Rounds whose whole scale or place wobbles by more than images explain do signal, since they did change; whether
/// that matters is what [`ChartSignal::is_beyond_margin`] says.
///
/// O(entries x statistics + simulations x rounds x statistics); the result does not depend on threads.
///
/// ```
/// use labelloop_qa::{ChartParams, History, QaError, golden_chart};
///
/// let none = golden_chart(&History::default(), "1", &ChartParams::default());
/// assert!(matches!(none, Err(QaError::UnknownGoldenVersion { .. })));
/// ```
///
/// # Errors
/// [`QaError`] for parameters out of range and a golden version without entries.
pub fn golden_chart(history: &History, golden_version: &str, params: &ChartParams) -> Result<GoldenChart> {
    params.check()?.golden_chart(history, golden_version)
}

impl ChartValidParams {
    /// [`golden_chart`] with checked parameters.
    ///
    /// # Errors
    /// As [`golden_chart`], but for the parameters.
    pub fn golden_chart(&self, history: &History, golden_version: &str) -> Result<GoldenChart> {
        let params = self.get();
        let of_version = |e: &&HistoryEntry| e.golden_version == golden_version;
        let entries: Vec<&HistoryEntry> = history.entries().iter().filter(of_version).collect();
        if entries.is_empty() {
            let known: BTreeSet<&str> = history.entries().iter().map(|e| e.golden_version.as_str()).collect();
            return Err(QaError::UnknownGoldenVersion {
                found: golden_version.to_owned(),
                known: known.into_iter().map(str::to_owned).collect(),
            });
        }
        let Sifted { first, points, passed_over } = sift(&entries);
        let mut chart = GoldenChart {
            golden_version: golden_version.to_owned(),
            false_alarm: params.false_alarm,
            n_rounds: params.n_rounds,
            n_simulations: params.n_simulations,
            n_calibration: 0,
            limits: None,
            points: Vec::new(),
            signals: Vec::new(),
            passed_over,
        };
        if let Some(first) = first {
            chart.draw(first, &points, params);
        }
        Ok(chart)
    }
}

impl GoldenChart {
    fn draw(&mut self, first: &HistoryEntry, entries: &[&HistoryEntry], params: &ChartParams) {
        self.n_calibration = first.calibration_digests.len();
        let mut watched = Watched::of(first);
        let nulls: Vec<Null> = watched.statistics.values().map(|s| s.null).collect();
        // Without a point there is nothing to compare with limits yet.
        self.limits = if entries.is_empty() { None } else { limits(&nulls, self.n_calibration, params) };
        let Some(limits) = self.limits else { return };
        for entry in entries {
            let Some(point) = watched.point(entry, self.points.len(), params.k) else { continue };
            let signals = watched.signals(&point, self.points.len(), &limits, &self.points);
            self.points.push(point);
            self.signals.extend(signals);
        }
    }
}

/// The entries of one golden version, told apart.
struct Sifted<'h> {
    /// The one whose calibration rounds, or whose own labels, start the baseline.
    first: Option<&'h HistoryEntry>,
    points: Vec<&'h HistoryEntry>,
    passed_over: Vec<PassedOver>,
}

fn sift<'h>(entries: &[&'h HistoryEntry]) -> Sifted<'h> {
    let mut sifted = Sifted { first: None, points: Vec::new(), passed_over: Vec::new() };
    let mut counted: BTreeSet<&str> = BTreeSet::new();
    for &entry in entries {
        let calibration = || entry.calibration_digests.iter().map(String::as_str);
        let is_first = sifted.first.is_none();
        let label = entry.label_digest.as_str();
        let reason = if entry.statistics.is_empty() {
            Some(PassReason::NoStatistics)
        } else if !entry.statistics.iter().any(|r| spread(r).is_some()) {
            Some(PassReason::NoSpread)
        } else if label == entry.reference_digest || is_exact(entry) {
            Some(PassReason::CopyOfReference)
        } else if is_part(entry) && entry.calibration_digests.is_empty() {
            Some(PassReason::NoCalibration)
        } else if counted.contains(label) || (is_first && calibration().any(|c| c == label)) {
            Some(PassReason::AlreadyCounted)
        } else if is_first && calibration().next().is_none() && entry.verdict == Verdict::Fail {
            Some(PassReason::FailedFirst)
        } else {
            counted.insert(label);
            if is_first {
                sifted.first = Some(entry);
                counted.extend(calibration());
            }
            (is_first && calibration().next().is_none()).then_some(PassReason::StartsBaseline)
        };
        match reason {
            None => sifted.points.push(entry),
            Some(reason) => sifted.passed_over.push(PassedOver {
                iteration: entry.iteration,
                label_digest: entry.label_digest.clone(),
                reason,
            }),
        }
    }
    sifted
}

/// Whether every box lies on its reference to the last bit, as no hand draws it: the digest of a copied part of the golden set
/// is not that of the whole reference.
fn is_exact(entry: &HistoryEntry) -> bool {
    let mut lengths = entry.statistics.iter().filter(|r| !r.statistic.is_count()).peekable();
    entry.verdict == Verdict::Inconclusive
        && lengths.peek().is_some()
        && lengths.all(|r| r.current == Some(0.0))
}

/// Whether the round shows a part of the golden set only.
fn is_part(entry: &HistoryEntry) -> bool {
    entry.n_golden.is_some_and(|n| entry.totals.n_images < n)
}

/// Value and standard deviation of one statistic of a round, in a unit that all rounds share.
///
/// Parts of a golden set differ in what is hard about them, so a part enters as its difference from its own calibration
/// rounds, put on top of the `level` of the first; that difference is known less well than the round alone.
fn measured(entry: &HistoryEntry, row: &StatisticResult, level: f64) -> Option<(f64, f64)> {
    let sd = spread(row)?;
    let (x, sd) = if is_part(entry) {
        (level + row.effect?, sd * (1.0 + 1.0 / entry.calibration_digests.len() as f64).sqrt())
    } else {
        (row.current?, sd)
    };
    (x.is_finite() && sd.is_finite()).then_some((x, sd))
}

/// The spread of one round, where it is known.
fn spread(row: &StatisticResult) -> Option<f64> {
    (0.0 < row.sd_round && row.sd_round.is_finite()).then_some(row.sd_round)
}

struct Statistics {
    track: Track,
    null: Null,
}

/// The statistics of the first entry, each with its recursion.
struct Watched {
    statistics: BTreeMap<Statistic, Statistics>,
}

impl Watched {
    fn of(first: &HistoryEntry) -> Self {
        let n_calibration = first.calibration_digests.len();
        // With one class nothing can be confused.
        let one_class = first.totals.classes.len() == 1;
        let of_row = |row: &StatisticResult| {
            let mean = if n_calibration == 0 { row.current } else { row.baseline };
            let (mean, sd) = (mean.filter(|m| m.is_finite())?, spread(row)?);
            let n = n_calibration.max(1) as f64;
            let null = Null {
                mean,
                sd,
                margin: row.margin,
                is_signed: row.statistic.is_signed(),
                is_count: row.statistic.is_count(),
                n_deviations: first.totals.n_images.saturating_mul(n_calibration.max(1)).saturating_sub(1)
                    as f64,
            };
            Some((row.statistic, Statistics { track: Track::new(Baseline { sum: n * mean, n }), null }))
        };
        let rows = first.statistics.iter();
        let rows = rows.filter(|r| !(one_class && r.statistic == Statistic::WrongClass));
        Self { statistics: rows.filter_map(of_row).collect() }
    }

    /// Takes an entry in; none where it measured nothing that is watched.
    fn point(&mut self, entry: &HistoryEntry, point_idx: usize, k: f64) -> Option<ChartPoint> {
        let enters = entry.verdict != Verdict::Fail;
        let mut rows = Vec::new();
        for row in &entry.statistics {
            let Some(s) = self.statistics.get_mut(&row.statistic) else { continue };
            let Some((x, sd)) = measured(entry, row, s.null.mean) else { continue };
            let step = s.track.step(point_idx, x, sd, row.margin, k, enters);
            rows.push(chart_row(row.statistic, x, step, &s.track));
        }
        let first = rows.iter().reduce(|best, next| if best.out() < next.out() { next } else { best })?;
        Some(ChartPoint {
            iteration: entry.iteration,
            label_digest: entry.label_digest.clone(),
            verdict: entry.verdict,
            t: first.out(),
            leading: first.statistic,
            rows,
        })
    }

    /// What the charts say about a point; CUSUMs that signal start again.
    fn signals(
        &mut self,
        point: &ChartPoint,
        point_idx: usize,
        limits: &ChartLimits,
        earlier: &[ChartPoint],
    ) -> Vec<ChartSignal> {
        let mut signals = Vec::new();
        for row in &point.rows {
            let Some(s) = self.statistics.get_mut(&row.statistic) else { continue };
            let mut found = Vec::new();
            if row.statistic == point.leading && limits.shewhart.value < point.t {
                let direction = if row.w < 0.0 { Direction::Down } else { Direction::Up };
                let before = Baseline { sum: row.baseline * row.n_baseline, n: row.n_baseline };
                let times_limit = point.t / limits.shewhart.value;
                let effect = row.value - row.baseline;
                found.push((ChartKind::Shewhart, direction, point_idx, effect, before, times_limit));
            }
            for direction in [Direction::Up, Direction::Down] {
                let side = *s.track.side(direction);
                let is_watched = direction == Direction::Up || row.statistic.is_signed();
                let Some(since) = side.since.filter(|_| is_watched && limits.cusum.value < side.cusum) else {
                    continue;
                };
                s.track.restart(direction);
                let times_limit = side.cusum / limits.cusum.value;
                let (start, effect) = (since.round, since.mean_effect());
                found.push((ChartKind::Cusum, direction, start, effect, since.before, times_limit));
            }
            for (chart, direction, start_idx, mean_effect, before, times_limit) in found {
                let is_beyond_margin = s.null.margin < direction.sign() * mean_effect;
                if is_beyond_margin {
                    s.track.baseline = before;
                }
                signals.push(ChartSignal {
                    chart,
                    statistic: row.statistic,
                    direction,
                    point_idx,
                    iteration: point.iteration,
                    start_idx,
                    start_iteration: earlier.get(start_idx).map_or(point.iteration, |p| p.iteration),
                    times_limit,
                    mean_effect,
                    margin: s.null.margin,
                    is_beyond_margin,
                });
            }
        }
        signals.sort_by(|a, b| b.times_limit.total_cmp(&a.times_limit).then(a.statistic.cmp(&b.statistic)));
        signals
    }
}

fn chart_row(statistic: Statistic, value: f64, step: Step, track: &Track) -> ChartRow {
    ChartRow {
        statistic,
        value,
        baseline: step.before.mean(),
        n_baseline: step.before.n,
        w: step.w,
        k: step.k,
        cusum_up: track.up.cusum,
        cusum_down: statistic.is_signed().then_some(track.down.cusum),
    }
}
