use labelloop_core::BBox;

use crate::assign::{Link, Links, Rule, greedy};

/// COCO's overlap of a detection with a label, see [`Edges::overlap_with`].
pub(crate) fn coco_overlap(detection: BBox, label: BBox, is_crowd: bool) -> f64 {
    Edges::new(label, is_crowd).overlap_with(&Edges::new(detection, false))
}

/// A box with what the overlap needs, for boxes that are looked at many times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edges {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
    area: f64,
    pub(crate) is_crowd: bool,
}

impl Edges {
    pub(crate) fn new(bbox: BBox, is_crowd: bool) -> Self {
        let (left, top, right, bottom) = (bbox.x(), bbox.y(), bbox.right(), bbox.bottom());
        Self { left, top, right, bottom, area: bbox.area(), is_crowd }
    }

    /// COCO's overlap of a detection with this label, operation by operation as `bbIou` in `maskApi.c` defines it,
    /// because thresholds are compared for equality: intersection over union, and for a crowd over the detection's area
    /// alone.
    ///
    /// Where numbers over- or underflow (0/0, inf/inf) the result is NaN, which every comparison here treats as no
    /// overlap.
    pub(crate) fn overlap_with(&self, detection: &Self) -> f64 {
        let width = detection.right.min(self.right) - detection.left.max(self.left);
        let height = detection.bottom.min(self.bottom) - detection.top.max(self.top);
        if !(0.0 < width && 0.0 < height) {
            return 0.0;
        }
        let intersection = width * height;
        let union = if self.is_crowd { detection.area } else { detection.area + self.area - intersection };
        intersection / union
    }
}

/// Detections of one class in one picture, best score first, with the labels of that class they may be matched to.
#[derive(Debug, Default)]
pub(crate) struct Candidates(Links);

/// The label, by its place in the class, that a detection was matched to.
pub(crate) type Match = Option<u32>;

impl Candidates {
    /// Pairs with an overlap of at least `least`, O(detections x labels).
    pub(crate) fn new(detections: &[BBox], labels: &[BBox], crowd: &[bool], least: f64) -> Self {
        let mut links = Links::default();
        for detection in detections {
            let of = |(partner, (label, is_crowd)): (u32, (&BBox, &bool))| {
                let closeness = coco_overlap(*detection, *label, *is_crowd);
                (least <= closeness).then_some(Link { partner, closeness })
            };
            links.push((0..).zip(labels.iter().zip(crowd)).filter_map(of));
        }
        Self(links)
    }

    /// Greedy matching of COCO at one threshold: detections in order take the label of the largest overlap that is
    /// still free, of equal ones the last; labels to be ignored only where no other one fits; crowds any number of
    /// times.
    pub(crate) fn assign(&self, threshold: f64, ignored: &[bool], crowd: &[bool], out: &mut Vec<Match>) {
        let rule = CocoRule { threshold: effective_threshold(threshold), ignored, crowd };
        out.clear();
        let order = 0..self.0.n_objects();
        greedy(&self.0, order, &mut vec![false; ignored.len()], &rule, |_, link| {
            out.push(link.map(|l| l.partner));
        });
    }
}

struct CocoRule<'a> {
    threshold: f64,
    ignored: &'a [bool],
    crowd: &'a [bool],
}

impl Rule for CocoRule<'_> {
    fn prefers(&self, _detection: usize, link: &Link, best: Option<&Link>) -> bool {
        let is_ignored = |l: &Link| self.ignored[l.partner as usize];
        self.threshold <= link.closeness
            && best.is_none_or(|best| match (is_ignored(link), is_ignored(best)) {
                (false, true) => true,
                (true, false) => false,
                _ => best.closeness <= link.closeness,
            })
    }

    fn is_shared(&self, label: u32) -> bool {
        self.crowd[label as usize]
    }
}

/// The threshold as the protocol compares it: an overlap of one must pass a threshold of one in spite of rounding.
pub(crate) fn effective_threshold(threshold: f64) -> f64 {
    threshold.min(1.0 - 1e-10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(xywh: [f64; 4]) -> BBox {
        BBox::try_from(xywh).unwrap()
    }

    #[test]
    fn a_crowd_is_divided_by_the_detection() {
        let (d, g) = (boxed([0.0, 0.0, 10.0, 10.0]), boxed([0.0, 0.0, 100.0, 100.0]));
        assert_eq!(coco_overlap(d, g, true), 1.0);
        assert_eq!(coco_overlap(d, g, false), 0.01);
    }

    #[test]
    fn degenerate_and_touching_boxes_do_not_overlap() {
        let g = boxed([10.0, 10.0, 0.0, 10.0]);
        assert_eq!(coco_overlap(g, g, false), 0.0);
        let touching = coco_overlap(boxed([0.0, 0.0, 5.0, 5.0]), boxed([5.0, 0.0, 5.0, 5.0]), false);
        assert_eq!(touching, 0.0);
    }

    #[test]
    fn numbers_that_overflow_or_underflow_never_match() {
        for size in [1e-200, 1e200] {
            let b = boxed([0.0, 0.0, size, size]);
            assert!(coco_overlap(b, b, false).is_nan());
            let mut out = Vec::new();
            Candidates::new(&[b], &[b], &[false], 0.5).assign(0.5, &[false], &[false], &mut out);
            assert_eq!(out, [None]);
        }
    }

    #[test]
    fn of_equal_overlaps_the_later_label_is_taken() {
        let b = boxed([0.0, 0.0, 10.0, 10.0]);
        let mut out = Vec::new();
        let candidates = Candidates::new(&[b, b, b], &[b, b], &[false; 2], 0.5);
        candidates.assign(1.0, &[false; 2], &[false; 2], &mut out);
        assert_eq!(out, [Some(1), Some(0), None]);
        // A label that does not count is taken only when no other is left.
        candidates.assign(1.0, &[false, true], &[false; 2], &mut out);
        assert_eq!(out, [Some(0), Some(1), None]);
    }
}
