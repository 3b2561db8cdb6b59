use labelloop_core::{Progress, Seed};
use labelloop_index::Metric;
use ndarray::ArrayView2;

use super::Reason;

/// How an objective's gains move as rows are picked. The engine searches by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gains {
    /// A gain never changes: rows are sorted once.
    Fixed,
    /// A gain never rises when something is picked, to the last bit: gains from earlier steps are upper bounds, and only
    /// the rows on top are looked at again (lazy greedy, Minoux 1978). This holds for monotone submodular objectives
    /// whose gain is a sum in a fixed order of terms that only fall, as rounding keeps the order of sums.
    Falling,
    /// Anything: all open rows are looked at in every step.
    Any,
}

/// The worth of picking a row, given what is picked and labelled so far.
///
/// The engine calls [`gains`](Self::gains) for the rows it compares, takes the highest (ties: the lower row), asks for
/// the [`reason`](Self::reason) and then tells of the [`pick`](Self::pick). A gain depends on the row and on the picks
/// so far alone: not on the other rows asked for in the same call, and not on threads. NaN counts as the lowest gain.
///
/// An objective of one's own, here a fixed liking for high row numbers:
///
/// ```
/// use labelloop_core::Silent;
/// use labelloop_coreset::select::{Candidates, Gains, Objective, Reason, SelectParams, Term};
/// use ndarray::array;
///
/// struct Latest;
///
/// impl Objective for Latest {
///     fn kind(&self) -> Gains {
///         Gains::Fixed
///     }
///     fn gains(&self, rows: &[usize], gains: &mut [f64]) {
///         rows.iter().zip(gains).for_each(|(row, gain)| *gain = *row as f64);
///     }
///     fn pick(&mut self, _: usize) {}
///     fn reason(&self, row: usize) -> Reason {
///         Reason::Score { name: "latest".to_owned(), score: row as f64, place: 0, of: 3 }
///     }
/// }
///
/// let rows = array![[0.0], [1.0], [2.0]];
/// let candidates = Candidates::new(rows.view())?;
/// let latest = vec![Term::new("latest", 1.0, Box::new(Latest))?];
/// let found = SelectParams::default().check()?.select_by(&candidates, 2, latest, &Silent)?;
/// assert_eq!(found.rows(), [2, 1]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
pub trait Objective: Send + Sync {
    /// How gains move.
    fn kind(&self) -> Gains;

    /// Writes the gain of each of `rows` (numbers of candidates, none picked yet) into `gains`, which is as long.
    fn gains(&self, rows: &[usize], gains: &mut [f64]);

    /// Learns that a row was picked.
    fn pick(&mut self, row: usize);

    /// Why a row is worth picking now; asked before [`pick`](Self::pick).
    fn reason(&self, row: usize) -> Reason;

    /// Called when no open row gains anything: an objective that is fulfilled may begin anew and return true. Gains may
    /// then have risen. At most once a step.
    fn renew(&mut self) -> bool {
        false
    }

    /// How many rows are worth asking for at once when few are needed; more where a matrix product serves them
    /// together. Has no influence on what is picked.
    fn batch(&self) -> usize {
        1
    }
}

/// What a method is started with.
#[derive(Clone)]
pub struct Setting<'a> {
    /// The rows to choose from, in standard layout: scaled to unit length where the metric is cosine.
    pub rows: ArrayView2<'a, f32>,
    /// The labelled rows in the same space; no rows where nothing is labelled.
    pub labelled: ArrayView2<'a, f32>,
    /// The weight of each row, where there are weights.
    pub weights: Option<&'a [f64]>,
    /// Picks asked for, at most the number of rows.
    pub k: usize,
    /// What distance is: L2 or cosine.
    pub metric: Metric,
    /// Where the method's draws come from: a stream of its own.
    pub seed: Seed,
    /// Where long preparations report, and learn that they should end.
    pub progress: &'a dyn Progress,
}

impl Setting<'_> {
    /// The weight of a row: 1 where there are none.
    pub fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |w| w[row])
    }

    /// Weights as shares of the largest, which comes with them; 1 for all rows where there are none, or none above 0. Sums
    /// of shares do not overflow.
    pub(crate) fn shares(&self) -> (Option<Vec<f64>>, f64) {
        let largest = self.weights.unwrap_or_default().iter().copied().fold(0.0, f64::max);
        let unit = if 0.0 < largest { largest } else { 1.0 };
        (self.weights.map(|weights| weights.iter().map(|weight| weight / unit).collect()), unit)
    }

    /// The distance of two rows whose squared Euclidean distance in this space is given: its root under L2; under
    /// cosine, where rows have unit length, half of it, which is `1 - cosine`.
    pub fn distance(&self, squared: f64) -> f64 {
        if self.metric == Metric::Cosine { squared / 2.0 } else { squared.sqrt() }
    }
}
