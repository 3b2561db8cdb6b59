//! The two matchings of one class, difficulty and kind of overlap in one frame.
//!
//! The outcome of the second matching changes only where the threshold passes the score of a detection that overlaps a label,
//! so it is made once for each such score instead of once for each of 41 thresholds; all other detections only count.

use super::edges::Edge;
use super::filter::{Difficulty, Standing};
use super::record::{FrameCurve, Step};
use super::view::View;
use crate::assign::{Link, Links, greedy};

/// What can be matched. Labels that do not take part and overlaps that do not exceed the minimum are gone.
pub(super) struct Problem<'a> {
    view: &'a View<'a>,
    class: usize,
    overlap: usize,
    labels: &'a [Standing],
    detections: &'a [Standing],
    /// Labels that a detection overlaps, in the order of the file.
    asking: Vec<usize>,
    /// The detections that overlap each of them, ascending.
    links: Links,
    /// Detections that overlap a label, ascending.
    live: Vec<u32>,
}

/// A label with the detection that it was given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    pub(super) label: usize,
    pub(super) detection: usize,
    pub(super) overlap: f64,
}

/// The standing of every label and detection of a frame.
#[derive(Debug, Default)]
pub(super) struct Standings {
    pub(super) labels: Vec<Standing>,
    pub(super) detections: Vec<Standing>,
}

impl Standings {
    pub(super) fn new(view: &View<'_>, class: usize, difficulty: Difficulty, overlap: usize) -> Self {
        let label = |i| view.label(class, difficulty, overlap, i);
        let detection = |i| view.detection(class, difficulty, i);
        Self {
            labels: (0..view.frame.labels.len()).map(label).collect(),
            detections: (0..view.frame.detections.len()).map(detection).collect(),
        }
    }
}

impl<'a> Problem<'a> {
    pub(super) fn new(view: &'a View<'a>, class: usize, overlap: usize, standings: &'a Standings) -> Self {
        let Standings { labels, detections } = standings;
        let min = view.min_overlap(class, overlap);
        let takes_part = |edge: &&Edge| {
            min < edge.overlap
                && labels[edge.label as usize] != Standing::Absent
                && detections[edge.detection as usize] != Standing::Absent
        };
        let edges: Vec<&Edge> = view.edges[overlap].iter().filter(takes_part).collect();
        let (mut asking, mut links) = (Vec::new(), Links::default());
        for of_label in edges.chunk_by(|a, b| a.label == b.label) {
            asking.push(of_label[0].label as usize);
            links.push(of_label.iter().map(|e| Link { partner: e.detection, closeness: e.overlap }));
        }
        let mut live: Vec<u32> = edges.iter().map(|edge| edge.detection).collect();
        live.sort_unstable();
        live.dedup();
        Self { view, class, overlap, labels, detections, asking, links, live }
    }

    /// What the frame adds to the curve.
    pub(super) fn curve(&self) -> FrameCurve {
        let n_valid = self.labels.iter().filter(|s| **s == Standing::Counts).count() as u32;
        FrameCurve { n_valid, scores: self.scores(), steps: self.steps() }
    }

    /// Scores of the labels that are found when every detection takes part and the surest is taken.
    fn scores(&self) -> Vec<f64> {
        let surest =
            |link: &Link, best: Option<&Link>| best.is_none_or(|best| self.score(best) < self.score(link));
        let found = self.matched(surest).into_iter().filter(|pair| self.is_right(pair));
        found.map(|pair| self.view.frame.detections[pair.detection].score).collect()
    }

    /// Pairs when detections from a score on take part and the largest overlap is taken; a detection that is ignored
    /// is taken only where no other one fits.
    pub(super) fn pairs(&self, min_score: f64) -> Vec<Pair> {
        let counts = |link: &Link| self.detections[link.partner as usize] == Standing::Counts;
        self.matched(|link, best| {
            let is_better = match best {
                None => true,
                Some(best) => counts(link) && (best.closeness < link.closeness || !counts(best)),
            };
            min_score <= self.score(link) && is_better
        })
    }

    /// Labels in their order take the best of the detections that are still free.
    fn matched(&self, prefers: impl Fn(&Link, Option<&Link>) -> bool) -> Vec<Pair> {
        let mut pairs = Vec::with_capacity(self.asking.len());
        let found = |i: usize, link: Option<&Link>| {
            pairs.extend(link.map(|link| Pair {
                label: self.asking[i],
                detection: link.partner as usize,
                overlap: link.closeness,
            }));
        };
        let mut taken = vec![false; self.detections.len()];
        let rule = |_: usize, link: &Link, best: Option<&Link>| prefers(link, best);
        greedy(&self.links, 0..self.asking.len(), &mut taken, &rule, found);
        pairs
    }

    fn score(&self, link: &Link) -> f64 {
        self.view.frame.detections[link.partner as usize].score
    }

    /// Whether both sides count.
    fn is_right(&self, pair: &Pair) -> bool {
        self.labels[pair.label] == Standing::Counts && self.detections[pair.detection] == Standing::Counts
    }

    /// Whether the detection is held against the detector unless it finds a label.
    fn is_charged(&self, detection: usize) -> bool {
        self.detections[detection] == Standing::Counts
            && !self.view.is_excused(self.class, self.overlap, detection)
    }

    /// Counts at every score at which they change, highest first.
    fn steps(&self) -> Vec<Step> {
        let scored = |i: usize| self.view.frame.detections[i].score;
        let is_live = |i: &usize| self.live.binary_search(&(*i as u32)).is_ok();
        let mut order: Vec<usize> =
            (0..self.detections.len()).filter(|i| is_live(i) || self.is_charged(*i)).collect();
        order.sort_by(|a, b| scored(*b).total_cmp(&scored(*a)));
        let mut steps: Vec<Step> = Vec::new();
        let (mut charged, mut found) = (0, Found::default());
        for level in order.chunk_by(|a, b| scored(*a) == scored(*b)) {
            let score = scored(level[0]);
            charged += level.iter().filter(|i| self.is_charged(**i)).count();
            if level.iter().any(is_live) {
                found = self.found(score);
            }
            let (tp, fp, similarity) = (found.tp, (charged - found.acquitted) as u32, found.similarity);
            let last = steps.last().map_or((0, 0, 0.0), |s| (s.tp, s.fp, s.similarity));
            if last != (tp, fp, similarity) {
                steps.push(Step { score, tp, fp, similarity });
            }
        }
        steps
    }

    fn found(&self, min_score: f64) -> Found {
        let mut found = Found::default();
        for pair in self.pairs(min_score) {
            found.acquitted += usize::from(self.is_charged(pair.detection));
            if self.is_right(&pair) {
                found.tp += 1;
                found.similarity += self.similarity(&pair);
            }
        }
        found
    }

    /// `(1 + cos) / 2` of the difference of angles (development kit's readme); 0 where one is missing, and orientation
    /// similarity is then not given.
    fn similarity(&self, pair: &Pair) -> f64 {
        if self.overlap != 0 {
            return 0.0;
        }
        let label = self.view.frame.labels[pair.label].alpha;
        let detection = self.view.frame.detections[pair.detection].alpha;
        // Modulo the circle, so that no difference of finite angles is infinite.
        let turn = |a: f64| if a.abs() < 1e6 { a } else { a % std::f64::consts::TAU };
        label.zip(detection).map_or(0.0, |(a, b)| f64::midpoint(1.0, (turn(a) - turn(b)).cos()))
    }
}

/// Outcome of one matching.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    tp: u32,
    similarity: f64,
    /// Detections that would be held against the detector had they found no label.
    acquitted: usize,
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, SampleId};

    use super::*;
    use crate::kitti::view::Words;
    use crate::kitti::{Detection, Frame, KittiParams, Label};

    fn at(x: f64, height: f64) -> Option<BBox> {
        Some(BBox::from_corners(x, 0.0, x + 100.0, height).unwrap())
    }

    fn car(x: f64, height: f64, score: f64) -> Detection {
        Detection { alpha: Some(0.0), ..Detection::new("Car", at(x, height), None, score) }
    }

    fn label(class: &str, x: f64, height: f64) -> Label {
        Label { alpha: Some(0.0), ..Label::new(class, at(x, height), None) }
    }

    /// Curve of boxes of cars at the easy difficulty.
    fn easy(labels: &[Label], detections: &[Detection]) -> FrameCurve {
        let id = SampleId::new("a").unwrap();
        let params = KittiParams::default().check().unwrap();
        let words = Words::new(&params);
        let frame = Frame { id: &id, labels, detections };
        let view = View::new(&frame, &params, &words, None).unwrap();
        let standings = Standings::new(&view, 0, Difficulty::Easy, 0);
        Problem::new(&view, 0, 0, &standings).curve()
    }

    fn steps(curve: &FrameCurve) -> Vec<(f64, u32, u32)> {
        curve.steps.iter().map(|s| (s.score, s.tp, s.fp)).collect()
    }

    #[test]
    fn thresholds_come_from_the_surest_and_counts_from_the_closest() {
        let curve = easy(
            &[label("Car", 0.0, 50.0)],
            &[car(5.0, 50.0, 0.9), car(0.0, 50.0, 0.4), car(300.0, 50.0, 0.6)],
        );
        assert_eq!((curve.n_valid, curve.scores.as_slice()), (1, [0.9].as_slice()));
        assert_eq!(steps(&curve), [(0.9, 1, 0), (0.6, 1, 1), (0.4, 1, 2)]);
        assert!(curve.steps.iter().all(|s| s.similarity == 1.0));
    }

    #[test]
    fn an_overlap_of_the_minimum_is_not_enough() {
        // Seven tenths of a box that holds the other one.
        let wide = Label::new("Car", Some(BBox::new(0.0, 0.0, 100.0, 100.0).unwrap()), None);
        let found =
            |height: f64| Detection::new("Car", Some(BBox::new(0.0, 0.0, 100.0, height).unwrap()), None, 1.0);
        assert_eq!(steps(&easy(std::slice::from_ref(&wide), &[found(70.0)])), [(1.0, 0, 1)]);
        assert_eq!(steps(&easy(&[wide], &[found(70.1)])), [(1.0, 1, 0)]);
    }

    #[test]
    fn neighbours_and_low_detections_count_neither_way() {
        let van = easy(&[label("Van", 0.0, 50.0)], &[car(0.0, 50.0, 0.9)]);
        assert_eq!((van.n_valid, steps(&van)), (0, vec![]));
        let low = easy(&[label("Car", 0.0, 41.0)], &[car(0.0, 39.0, 0.9)]);
        assert_eq!((low.n_valid, low.scores.len(), steps(&low)), (1, 0, vec![]));
        let of_another_class = Detection { class: "Tram".to_owned(), ..car(0.0, 39.0, 0.9) };
        let both = easy(&[label("Car", 0.0, 41.0)], &[of_another_class, car(0.0, 40.0, 0.5)]);
        assert_eq!((both.scores.len(), steps(&both)), (0, vec![(0.5, 1, 0)]), "the surest is the low one");
    }

    #[test]
    fn a_detection_that_counts_takes_the_place_of_one_that_does_not() {
        let labels = [label("Car", 0.0, 40.0)];
        let curve = easy(&labels, &[car(0.0, 39.5, 0.9), car(10.0, 40.0, 0.8)]);
        assert_eq!(steps(&curve), [(0.8, 1, 0)]);
    }

    #[test]
    fn regions_left_out_excuse_what_lies_in_them() {
        let labels = [label("dontcare", 0.0, 100.0)];
        assert_eq!(steps(&easy(&labels, &[car(20.0, 50.0, 0.9)])), []);
        assert_eq!(
            steps(&easy(&labels, &[car(30.0, 50.0, 0.9)])),
            [(0.9, 0, 1)],
            "seven tenths are not enough"
        );
    }

    #[test]
    fn angles_of_any_size_have_a_similarity() {
        let far = |alpha, class: Label| Label { alpha: Some(alpha), ..class };
        let found = Detection { alpha: Some(-f64::MAX), ..car(0.0, 50.0, 0.5) };
        let curve = easy(&[far(f64::MAX, label("Car", 0.0, 50.0))], &[found]);
        assert!((0.0..=1.0).contains(&curve.steps[0].similarity), "{:?}", curve.steps);
    }

    #[test]
    fn equal_scores_are_one_step_and_the_first_of_equals_is_taken() {
        let labels = [label("Car", 0.0, 50.0), label("Car", 5.0, 50.0)];
        let curve = easy(
            &labels,
            &[car(0.0, 50.0, 0.5), car(0.0, 50.0, 0.5), car(0.0, 50.0, -0.0), car(5.0, 50.0, 0.0)],
        );
        assert_eq!(curve.scores, [0.5, 0.5]);
        assert_eq!(steps(&curve), [(0.5, 2, 0), (0.0, 2, 2)]);
    }
}
