use super::errors::TpErrors;

/// Number of recalls at which precision, confidence and errors are read off: 0, .01 … 1.
pub(super) const N_RECALLS: usize = 101;

/// The detections of one class at one distance, best first, as far as curves need them.
#[derive(Debug, Default)]
pub(super) struct Track {
    n_labels: u64,
    n: u64,
    last_score: f64,
    hits: Vec<Hit>,
}

/// A detection that finds a label.
#[derive(Debug, Clone, Copy)]
struct Hit {
    /// How many detections come before.
    place: u64,
    score: f64,
    /// Score of the detection before.
    before: f64,
}

/// Precision and confidence at the recalls.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Read {
    pub(super) precision: Vec<f64>,
    pub(super) confidence: Vec<f64>,
}

impl Track {
    pub(super) fn new(n_labels: u64) -> Self {
        Self { n_labels, ..Self::default() }
    }

    pub(super) fn push(&mut self, score: f64, is_hit: bool) {
        if is_hit {
            self.hits.push(Hit { place: self.n, score, before: self.last_score });
        }
        self.n += 1;
        self.last_score = score;
    }

    pub(super) fn n_hits(&self) -> usize {
        self.hits.len()
    }

    /// Precision and confidence over recall, linear between detections (`numpy.interp` with `right=0`): 0 beyond the
    /// highest recall, and everywhere where nothing is found.
    ///
    /// Recall stands still from one hit to the next. Between two recalls that occur, the line goes from the last
    /// detection before a hit to the hit itself, so hits and their forerunners are all that is needed.
    pub(super) fn read(&self) -> Read {
        let mut read = Read { precision: vec![0.0; N_RECALLS], confidence: vec![0.0; N_RECALLS] };
        if self.n_labels == 0 || self.hits.is_empty() {
            return read;
        }
        let mut k = 0;
        for i in 0..N_RECALLS {
            let wanted = recall(i);
            while k < self.hits.len() && self.recall_of(k + 1) <= wanted {
                k += 1;
            }
            let Some([precision, confidence]) = self.at(k, wanted) else { break };
            (read.precision[i], read.confidence[i]) = (precision, confidence);
        }
        read
    }

    /// Where `k` hits have a recall of at most `wanted` and one more would have a higher one.
    fn at(&self, k: usize, wanted: f64) -> Option<[f64; 2]> {
        let (own, hits) = (self.recall_of(k), k as f64);
        let Some(next) = self.hits.get(k) else {
            return (own == wanted).then(|| [hits / self.n as f64, self.last_score]);
        };
        let there = [(hits + 1.0) / (next.place + 1) as f64, next.score];
        if next.place == 0 {
            return Some(there);
        }
        let here = [hits / next.place as f64, next.before];
        if own == wanted {
            return Some(here);
        }
        let step = self.recall_of(k + 1) - own;
        Some([0, 1].map(|i| (there[i] - here[i]) / step * (wanted - own) + here[i]))
    }

    fn recall_of(&self, n_hits: usize) -> f64 {
        n_hits as f64 / self.n_labels as f64
    }
}

/// Number `i` of the recalls, as `numpy.linspace(0, 1, 101)` gives them.
pub(super) fn recall(i: usize) -> f64 {
    if i + 1 == N_RECALLS { 1.0 } else { i as f64 * 0.01 }
}

/// The five errors over recall: means over the matches so far, read off at the confidence of each recall.
#[derive(Debug, Default)]
pub(super) struct ErrorTrack {
    scores: Vec<f64>,
    errors: [Vec<Option<f64>>; 5],
}

impl ErrorTrack {
    /// Adds a match, best score first.
    pub(super) fn push(&mut self, score: f64, errors: &TpErrors) {
        self.scores.push(score);
        self.errors.iter_mut().zip(errors.to_array()).for_each(|(all, own)| all.push(own));
    }

    /// Error number `which` at given confidences; 1 everywhere where nothing is matched.
    pub(super) fn read(&self, which: usize, confidence: &[f64]) -> Vec<f64> {
        let means = running_means(&self.errors[which]);
        confidence.iter().map(|c| self.at(&means, *c)).collect()
    }

    /// `numpy.interp` over falling scores: of equal ones the first stands.
    fn at(&self, means: &[f64], confidence: f64) -> f64 {
        let scores = &self.scores;
        // The first match at or below the confidence; the one before it is above.
        let below = scores.partition_point(|s| confidence < *s);
        let Some(low) = scores.get(below) else { return means.last().copied().unwrap_or(1.0) };
        if below == 0 || *low == confidence {
            return means[below];
        }
        let slope = (means[below - 1] - means[below]) / (scores[below - 1] - low);
        slope * (confidence - low) + means[below]
    }
}

/// Means over what is known so far: 0 before the first number, and 1 throughout where there is none at all.
fn running_means(values: &[Option<f64>]) -> Vec<f64> {
    if values.iter().all(Option::is_none) {
        return vec![1.0; values.len()];
    }
    let (mut sum, mut n) = (0.0, 0.0);
    let mean = |value: &Option<f64>| {
        if let Some(v) = value {
            sum += v;
            n += 1.0;
        }
        if n == 0.0 { 0.0 } else { sum / n }
    };
    values.iter().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coco::numpy::linspace;

    #[test]
    fn recalls_are_those_of_numpy() {
        let ours: Vec<f64> = (0..N_RECALLS).map(recall).collect();
        assert_eq!(ours, linspace(0.0, 1.0, 101));
    }

    #[test]
    fn curves_are_those_of_numpy() {
        // numpy 2.4.6: rec = [0, .25, .25, .5], prec = [0, 1/2, 1/3, 1/2], conf = [.9, .8, .7, .6]
        let mut track = Track::new(4);
        for (score, is_hit) in [(0.9, false), (0.8, true), (0.7, false), (0.6, true)] {
            track.push(score, is_hit);
        }
        let read = track.read();
        let at = |i: usize| (read.precision[i], read.confidence[i]);
        assert_eq!(at(0), (0.0, 0.9));
        assert_eq!(at(25), (1.0 / 3.0, 0.7), "of equal recalls the last");
        assert_eq!(at(50), (0.5, 0.6));
        assert_eq!(at(51), (0.0, 0.0));
        assert!((at(10).0 - 0.2).abs() < 1e-15 && (at(40).0 - (1.0 / 3.0 + 0.1)).abs() < 1e-15);
        assert_eq!(track.n_hits(), 2);
    }

    #[test]
    fn nothing_found_is_nothing_everywhere() {
        let mut track = Track::new(0);
        track.push(0.5, false);
        assert!(track.read().precision.iter().all(|p| *p == 0.0));
        assert!(Track::new(3).read().confidence.iter().all(|c| *c == 0.0));
    }

    #[test]
    fn a_first_hit_reaches_back_to_recall_0() {
        let mut track = Track::new(2);
        track.push(0.9, true);
        let read = track.read();
        assert_eq!((read.precision[0], read.precision[50], read.precision[51]), (1.0, 1.0, 0.0));
        assert_eq!(read.confidence[0], 0.9);
    }

    #[test]
    fn means_run_over_what_is_known() {
        assert_eq!(running_means(&[None, Some(1.0), None, Some(3.0)]), [0.0, 1.0, 1.0, 2.0]);
        assert_eq!(running_means(&[None, None]), [1.0, 1.0]);
        assert!(running_means(&[]).is_empty());
    }

    #[test]
    fn errors_are_read_off_between_scores() {
        let mut track = ErrorTrack::default();
        for (score, translation) in [(0.9, 1.0), (0.5, 3.0), (0.5, 0.0)] {
            let errors =
                TpErrors { translation, scale: 0.0, orientation: 0.0, velocity: None, attribute: None };
            track.push(score, &errors);
        }
        // Means: 1, 2, 4/3.
        assert_eq!(track.read(0, &[1.0, 0.9, 0.7, 0.5, 0.0]), [1.0, 1.0, 1.5, 2.0, 4.0 / 3.0]);
        assert_eq!(track.read(3, &[0.9]), [1.0]);
        assert_eq!(ErrorTrack::default().read(0, &[0.9]), [1.0]);
    }
}
