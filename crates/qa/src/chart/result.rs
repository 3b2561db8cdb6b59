use serde::{Deserialize, Serialize};

use crate::{Statistic, Verdict};

/// Which chart speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChartKind {
    /// T of one round: sudden changes.
    Shewhart,
    /// What adds up over rounds: slow or small changes.
    Cusum,
}

/// Where to something moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It rose.
    Up,
    /// It fell; only signed statistics are watched that way.
    Down,
}

impl Direction {
    /// 1 upwards, -1 downwards.
    pub fn sign(self) -> f64 {
        match self {
            Direction::Up => 1.0,
            Direction::Down => -1.0,
        }
    }
}

/// A limit and how well the simulation knows it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChartLimit {
    /// What is above it is a signal.
    pub value: f64,
    /// 95% interval from the number of histories simulated (order statistics).
    pub interval: [f64; 2],
}

/// Limits of both charts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChartLimits {
    /// Of T.
    pub shewhart: ChartLimit,
    /// Of every CUSUM.
    pub cusum: ChartLimit,
}

/// One statistic in one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChartRow {
    /// Which statistic.
    pub statistic: Statistic,
    /// Its rate or mean in this round; of a round that shows a part of the golden set, what it would be on the samples of
    /// the first entry.
    pub value: f64,
    /// Mean of the good rounds before.
    pub baseline: f64,
    /// How many those were.
    pub n_baseline: f64,
    /// Standardised increment: value less baseline over the standard deviation of that difference.
    pub w: f64,
    /// What the CUSUMs take off each round.
    pub k: f64,
    /// CUSUM of rises, before a restart.
    pub cusum_up: f64,
    /// CUSUM of falls, before a restart; none where only rises count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cusum_down: Option<f64>,
}

impl ChartRow {
    /// How far in the direction of drift.
    pub fn out(&self) -> f64 {
        if self.statistic.is_signed() { self.w.abs() } else { self.w }
    }

    /// The larger of the CUSUMs and its direction.
    pub fn cusum(&self) -> (f64, Direction) {
        match self.cusum_down {
            Some(down) if self.cusum_up < down => (down, Direction::Down),
            _ => (self.cusum_up, Direction::Up),
        }
    }
}

/// One round on the charts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChartPoint {
    /// Its iteration.
    pub iteration: u64,
    /// Digest of its labels.
    pub label_digest: String,
    /// What the golden check said about it.
    pub verdict: Verdict,
    /// The largest increment over all statistics, in the direction of drift.
    pub t: f64,
    /// The statistic it belongs to.
    pub leading: Statistic,
    /// One row per statistic measured.
    pub rows: Vec<ChartRow>,
}

impl ChartPoint {
    /// The largest CUSUM with its statistic and direction.
    pub fn leading_cusum(&self) -> Option<(f64, Statistic, Direction)> {
        let of_row = |r: &ChartRow| {
            let (cusum, direction) = r.cusum();
            (cusum, r.statistic, direction)
        };
        self.rows.iter().map(of_row).reduce(|best, next| if best.0 < next.0 { next } else { best })
    }
}

/// What a chart has seen. `Display` says it in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChartSignal {
    /// Which chart.
    pub chart: ChartKind,
    /// Which statistic.
    pub statistic: Statistic,
    /// Where to.
    pub direction: Direction,
    /// Which of the points, from 0.
    pub point_idx: usize,
    /// Its iteration.
    pub iteration: u64,
    /// The point with which it began, as far as the chart can tell: the first after the CUSUM was last zero.
    pub start_idx: usize,
    /// Iteration of that point.
    pub start_iteration: u64,
    /// T or the CUSUM, over its limit.
    pub times_limit: f64,
    /// Mean of the rounds since then less the mean of the good rounds before.
    pub mean_effect: f64,
    /// What the effect may be without harm.
    pub margin: f64,
    /// Whether the effect is beyond the margin.
    pub is_beyond_margin: bool,
}

/// Why an entry of the history is not a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PassReason {
    /// Nothing was tested in it.
    NoStatistics,
    /// It was written before the spread of a round was kept.
    NoSpread,
    /// Its labels are the reference's, copied.
    CopyOfReference,
    /// Its labels are those of a calibration round or of an earlier entry.
    AlreadyCounted,
    /// It shows a part of the golden set, and no calibration round says what is normal for that part.
    NoCalibration,
    /// Without calibration rounds the first round is what the others are compared with.
    StartsBaseline,
    /// It failed before there was anything to compare it with, and is no measure for others.
    FailedFirst,
}

/// An entry of the history that is not a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Its iteration.
    pub iteration: u64,
    /// Digest of its labels.
    pub label_digest: String,
    /// Why.
    pub reason: PassReason,
}

/// The result of [`golden_chart`](crate::golden_chart). `Display` prints it for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoldenChart {
    /// Which version of the golden set.
    pub golden_version: String,
    /// Probability of any signal within `n_rounds` rounds where nothing changed.
    pub false_alarm: f64,
    /// Rounds that it is stated for.
    pub n_rounds: usize,
    /// Histories simulated to find the limits.
    pub n_simulations: usize,
    /// Rounds that the baseline started from.
    pub n_calibration: usize,
    /// None where there is no point yet.
    pub limits: Option<ChartLimits>,
    /// Rounds in the order of the history.
    pub points: Vec<ChartPoint>,
    /// What was seen, in the order of rounds; of one round what is furthest above its limit first.
    pub signals: Vec<ChartSignal>,
    /// Entries that are no points, in the order of the history.
    pub passed_over: Vec<PassedOver>,
}

impl GoldenChart {
    /// Signals of one iteration.
    pub fn signals_of(&self, iteration: u64) -> impl Iterator<Item = &ChartSignal> {
        self.signals.iter().filter(move |s| s.iteration == iteration)
    }

    /// The CUSUM signal of an iteration that shows a drift which matters: its mean effect is beyond the margin, and more
    /// than one round says so (it began before, or the point before signalled the same). One round alone is the golden
    /// check's business, and rounds that wobble as a whole would be accused too often. Of several the one furthest beyond
    /// its margin.
    pub fn drift_of(&self, iteration: u64) -> Option<&ChartSignal> {
        let is_drift = |s: &ChartSignal| s.chart == ChartKind::Cusum && s.is_beyond_margin;
        let is_repeated = |s: &ChartSignal| {
            s.start_idx < s.point_idx
                || self.signals.iter().any(|e| {
                    is_drift(e)
                        && (e.statistic, e.direction) == (s.statistic, s.direction)
                        && e.point_idx + 1 == s.point_idx
                })
        };
        let beyond = |s: &ChartSignal| s.mean_effect.abs() / s.margin;
        self.signals_of(iteration)
            .filter(|s| is_drift(s) && is_repeated(s))
            .reduce(|best, next| if beyond(best) < beyond(next) { next } else { best })
    }
}
