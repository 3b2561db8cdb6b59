use std::ops::Range;

use labelloop_core::BBox;

use super::CocoValidParams;
use crate::overlap::{Edges, effective_threshold};

/// Areas and thresholds as bits: bit `area * thresholds + threshold` of a number of `n_words` words of 64. One
/// operation on a word decides for all of them at once.
#[derive(Debug)]
pub(super) struct Bits {
    n_words: usize,
    thresholds: Vec<f64>,
    /// For each area its range and the bits of all its thresholds.
    areas: Vec<(f64, f64, Vec<u64>)>,
    /// For `n` thresholds reached the bits of the first `n` thresholds of every area.
    reached: Vec<u64>,
}

impl Bits {
    pub(super) fn new(params: &CocoValidParams) -> Self {
        let p = params.get();
        let (n_words, nt) = (params.n_words(), p.iou_thresholds.len());
        let mut areas: Vec<_> = p.areas.iter().map(|a| (a.min, a.max, vec![0; n_words])).collect();
        let mut reached = vec![0; (nt + 1) * n_words];
        for (a, area) in areas.iter_mut().enumerate() {
            for t in 0..nt {
                let (word, bit) = ((a * nt + t) / 64, 1 << ((a * nt + t) % 64));
                area.2[word] |= bit;
                (t + 1..=nt).for_each(|n| reached[n * n_words + word] |= bit);
            }
        }
        let thresholds = p.iou_thresholds.iter().map(|t| effective_threshold(*t)).collect();
        Self { n_words, thresholds, areas, reached }
    }

    /// Sets the bits of the areas that a size is not in.
    fn set_outside(&self, size: f64, out: &mut [u64]) {
        for (min, max, bits) in &self.areas {
            if size < *min || *max < size {
                out.iter_mut().zip(bits).for_each(|(o, b)| *o |= b);
            }
        }
    }

    /// The bits of every area and threshold.
    fn all(&self) -> &[u64] {
        &self.reached[self.thresholds.len() * self.n_words..]
    }

    fn reached_by(&self, overlap: f64) -> &[u64] {
        let n: usize = self.thresholds.iter().map(|t| usize::from(*t <= overlap)).sum();
        &self.reached[n * self.n_words..(n + 1) * self.n_words]
    }
}

/// COCO's greedy matching at all areas and thresholds at once, for labels of one class.
///
/// Detections come best score first; each takes, for every bit by itself, the free label of the largest overlap (of
/// equal ones the last), labels to be ignored only where no other one fits, crowds any number of times.
#[derive(Debug)]
pub(super) struct Matcher<'b> {
    bits: &'b Bits,
    labels: Vec<Edges>,
    /// Words of each label: where it does not count.
    ignored: Vec<u64>,
    /// Words of each label: where a detection has it.
    taken: Vec<u64>,
    /// Overlap and label that the detection at hand may take, best first.
    candidates: Vec<(f64, usize)>,
    done: Vec<u64>,
}

impl<'b> Matcher<'b> {
    /// With room for a number of labels.
    pub(super) fn new(bits: &'b Bits, n_labels: usize) -> Self {
        let words = || Vec::with_capacity(n_labels * bits.n_words);
        Self {
            bits,
            labels: Vec::with_capacity(n_labels),
            ignored: words(),
            taken: words(),
            candidates: Vec::new(),
            done: vec![0; bits.n_words],
        }
    }

    /// Adds a label; labels of one picture follow each other.
    pub(super) fn push(&mut self, bbox: BBox, area: f64, is_crowd: bool) {
        let from = self.ignored.len();
        self.labels.push(Edges::new(bbox, is_crowd));
        self.taken.resize(from + self.bits.n_words, 0);
        if is_crowd {
            self.ignored.extend(self.bits.all());
        } else {
            self.ignored.resize(from + self.bits.n_words, 0);
            self.bits.set_outside(area, &mut self.ignored[from..]);
        }
    }

    /// Labels that count, for each area.
    pub(super) fn n_counted(&self) -> Vec<u64> {
        let (n_words, nt) = (self.bits.n_words, self.bits.thresholds.len());
        let of = |a: usize| {
            let (word, shift) = (a * nt / 64, a * nt % 64);
            self.ignored.chunks_exact(n_words).map(|words| !words[word] >> shift & 1).sum()
        };
        (0..self.bits.areas.len()).map(of).collect()
    }

    /// Matches the next detection among the labels of its picture, and appends the words of where it is right and
    /// where it is wrong. Neither bit is set where it does not count.
    pub(super) fn assign(
        &mut self,
        detection: BBox,
        labels: Range<usize>,
        tp: &mut Vec<u64>,
        fp: &mut Vec<u64>,
    ) {
        self.find_candidates(&Edges::new(detection, false), labels);
        let from = tp.len();
        tp.resize(from + self.bits.n_words, 0);
        self.done.fill(0);
        for (overlap, label) in &self.candidates {
            let place = label * self.bits.n_words;
            for (w, reached) in self.bits.reached_by(*overlap).iter().enumerate() {
                let taken = &mut self.taken[place + w];
                let take = reached & !self.ignored[place + w] & !*taken & !self.done[w];
                *taken |= take;
                self.done[w] |= take;
                tp[from + w] |= take;
            }
        }
        if !self.candidates.is_empty() {
            self.absorb();
        }
        // What is neither right, nor absorbed, nor outside the area, is wrong.
        let from = fp.len();
        fp.extend(&self.done);
        self.bits.set_outside(detection.area(), &mut fp[from..]);
        fp[from..].iter_mut().zip(self.bits.all()).for_each(|(f, all)| *f = all & !*f);
    }

    /// Labels that do not count take in what is left.
    fn absorb(&mut self) {
        for (overlap, label) in &self.candidates {
            let place = label * self.bits.n_words;
            let is_crowd = self.labels[*label].is_crowd;
            for (w, reached) in self.bits.reached_by(*overlap).iter().enumerate() {
                let taken = &mut self.taken[place + w];
                let free = if is_crowd { u64::MAX } else { !*taken };
                let take = reached & self.ignored[place + w] & free & !self.done[w];
                *taken |= take;
                self.done[w] |= take;
            }
        }
    }

    fn find_candidates(&mut self, detection: &Edges, labels: Range<usize>) {
        self.candidates.clear();
        let least = self.bits.thresholds[0];
        for (place, label) in labels.clone().zip(&self.labels[labels]) {
            let overlap = label.overlap_with(detection);
            if least <= overlap {
                // The later one of equals goes first.
                let before = self.candidates.iter().take_while(|(other, _)| overlap < *other).count();
                self.candidates.insert(before, (overlap, place));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::coco::CocoParams;
    use crate::overlap::Candidates;

    fn few_boxes() -> impl Strategy<Value = Vec<BBox>> {
        let side = prop_oneof![Just(10.0), Just(20.0), Just(40.0), Just(33.5)];
        let corner = (0u8..4).prop_map(|n| f64::from(n) * 3.0);
        let one = (corner.clone(), corner, side.clone(), side)
            .prop_map(|(x, y, w, h)| BBox::new(x, y, w, h).unwrap());
        proptest::collection::vec(one, 0..7)
    }

    proptest! {
        #[test]
        fn bits_agree_with_one_matching_for_each_area_and_threshold(
            labels in few_boxes(),
            detections in few_boxes(),
            flags in proptest::collection::vec((any::<bool>(), 0.3f64..1.0), 7),
        ) {
            let params = CocoParams::default().check().unwrap();
            let (bits, p) = (Bits::new(&params), params.get());
            let mut matcher = Matcher::new(&bits, labels.len());
            let areas: Vec<f64> = labels.iter().zip(&flags).map(|(b, f)| b.area() * f.1).collect();
            let crowd: Vec<bool> = labels.iter().zip(&flags).map(|(_, f)| f.0 && f.1 < 0.5).collect();
            for (i, label) in labels.iter().enumerate() {
                matcher.push(*label, areas[i], crowd[i]);
            }
            let (mut tp, mut fp) = (Vec::new(), Vec::new());
            for detection in &detections {
                matcher.assign(*detection, 0..labels.len(), &mut tp, &mut fp);
            }
            let plain = Candidates::new(&detections, &labels, &crowd, 0.5);
            let mut out = Vec::new();
            for (a, area) in p.areas.iter().enumerate() {
                let is_outside = |size: f64| size < area.min || area.max < size;
                let ignored: Vec<bool> = areas.iter().zip(&crowd).map(|(s, c)| *c || is_outside(*s)).collect();
                let n_counted = ignored.iter().filter(|i| !**i).count() as u64;
                prop_assert_eq!(matcher.n_counted()[a], n_counted);
                for (t, threshold) in p.iou_thresholds.iter().enumerate() {
                    plain.assign(*threshold, &ignored, &crowd, &mut out);
                    let bit = a * p.iou_thresholds.len() + t;
                    for (d, found) in out.iter().enumerate() {
                        let is_tp = found.is_some_and(|label| !ignored[label as usize]);
                        let is_fp = found.is_none() && !is_outside(detections[d].area());
                        prop_assert_eq!((tp[d] >> bit & 1 == 1, fp[d] >> bit & 1 == 1), (is_tp, is_fp));
                    }
                }
            }
        }

        #[test]
        fn edges_overlap_as_boxes_do(labels in few_boxes(), detections in few_boxes(), is_crowd: bool) {
            for (label, detection) in labels.iter().zip(&detections) {
                let edges = Edges::new(*label, is_crowd).overlap_with(&Edges::new(*detection, false));
                prop_assert_eq!(edges.to_bits(), overlap_by_definition(*detection, *label, is_crowd).to_bits());
            }
        }
    }

    fn overlap_by_definition(detection: BBox, label: BBox, is_crowd: bool) -> f64 {
        let width = detection.right().min(label.right()) - detection.x().max(label.x());
        let height = detection.bottom().min(label.bottom()) - detection.y().max(label.y());
        if width <= 0.0 || height <= 0.0 {
            return 0.0;
        }
        let both = width * height;
        both / if is_crowd { detection.area() } else { detection.area() + label.area() - both }
    }
}
