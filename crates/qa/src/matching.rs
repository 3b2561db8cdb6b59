use labelloop_core::LabelledBox;

/// Who is who between two sets of boxes of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    /// Reference position, other position, IoU; in the order of reference positions.
    pub pairs: Vec<(usize, usize, f64)>,
    /// Reference objects without a partner.
    pub unmatched_reference: Vec<usize>,
    /// Other boxes without a partner.
    pub unmatched_other: Vec<usize>,
}

/// Pairs boxes by place first, whatever their class: the pair with the largest IoU, then the largest of what is left,
/// down to `iou_threshold`. Among equal overlaps a pair of one class goes first, then the lower positions.
///
/// Crowd regions are nobody's partner: crowds of either side are left out, and an unpaired box that lies in a crowd
/// region of the reference (at least half of its own area) is not reported as unmatched. The reverse does not hold: who
/// draws a crowd over single objects has missed them.
///
/// O(n m log(n m)) for n and m boxes.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox};
/// use labelloop_qa::match_boxes;
///
/// let object = |class, x| LabelledBox::new(ClassIdx(class), BBox::new(x, 0.0, 10.0, 10.0).unwrap());
/// let m = match_boxes(&[object(0, 0.0), object(0, 50.0)], &[object(1, 1.0)], 0.5);
/// assert_eq!(m.pairs[0].1, 0, "the place decides, not the class");
/// assert_eq!(m.unmatched_reference, [1]);
/// ```
pub fn match_boxes(reference: &[LabelledBox], other: &[LabelledBox], iou_threshold: f64) -> Matching {
    let mut candidates: Vec<(usize, usize, f64)> = Vec::new();
    for (r, a) in reference.iter().enumerate().filter(|(_, a)| !a.is_crowd) {
        for (o, b) in other.iter().enumerate().filter(|(_, b)| !b.is_crowd) {
            let iou = a.bbox.iou(b.bbox);
            if iou_threshold <= iou && 0.0 < iou {
                candidates.push((r, o, iou));
            }
        }
    }
    let other_class = |c: &(usize, usize, f64)| reference[c.0].class != other[c.1].class;
    candidates.sort_by(|a, b| {
        b.2.total_cmp(&a.2).then(other_class(a).cmp(&other_class(b))).then((a.0, a.1).cmp(&(b.0, b.1)))
    });
    let mut taken_reference = vec![false; reference.len()];
    let mut taken_other = vec![false; other.len()];
    let mut pairs = Vec::new();
    for (r, o, iou) in candidates {
        if !taken_reference[r] && !taken_other[o] {
            (taken_reference[r], taken_other[o]) = (true, true);
            pairs.push((r, o, iou));
        }
    }
    pairs.sort_unstable_by_key(|p| p.0);
    Matching {
        pairs,
        unmatched_reference: left_over(reference, &taken_reference, &[]),
        unmatched_other: left_over(other, &taken_other, reference),
    }
}

/// Boxes without a partner that are no crowds and lie in none of the excusing crowds.
fn left_over(boxes: &[LabelledBox], taken: &[bool], excuses: &[LabelledBox]) -> Vec<usize> {
    let in_crowd = |b: &LabelledBox| {
        excuses.iter().any(|c| {
            c.is_crowd && 0.0 < b.bbox.area() && b.bbox.area() <= 2.0 * b.bbox.intersection_area(c.bbox)
        })
    };
    boxes
        .iter()
        .enumerate()
        .filter(|(i, b)| !taken[*i] && !b.is_crowd && !in_crowd(b))
        .map(|(i, _)| i)
        .collect()
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx};
    use proptest::prelude::*;

    use super::*;

    fn object(class: u32, x: f64, side: f64) -> LabelledBox {
        LabelledBox::new(ClassIdx(class), BBox::new(x, 0.0, side, side).unwrap())
    }

    #[test]
    fn the_better_overlap_wins() {
        let m = match_boxes(&[object(0, 0.0, 10.0)], &[object(0, 2.0, 10.0), object(1, 1.0, 10.0)], 0.5);
        assert_eq!((m.pairs[0].0, m.pairs[0].1), (0, 1));
        assert_eq!(m.unmatched_other, [0]);
    }

    #[test]
    fn among_equal_overlaps_the_same_class_wins() {
        let reference = [object(0, 0.0, 10.0), object(1, 0.0, 10.0)];
        let m = match_boxes(&reference, &[object(1, 0.0, 10.0), object(0, 0.0, 10.0)], 0.5);
        assert_eq!(m.pairs, [(0, 1, 1.0), (1, 0, 1.0)]);
    }

    #[test]
    fn crowds_are_neither_missed_nor_is_their_content_spurious() {
        let crowd = LabelledBox { is_crowd: true, ..object(0, 0.0, 100.0) };
        let m = match_boxes(std::slice::from_ref(&crowd), &[object(0, 10.0, 20.0)], 0.5);
        assert_eq!(m, Matching { pairs: vec![], unmatched_reference: vec![], unmatched_other: vec![] });
        let lazy = match_boxes(&[object(0, 10.0, 20.0)], std::slice::from_ref(&crowd), 0.5);
        assert_eq!(lazy.unmatched_reference, [0], "a crowd drawn over an object does not find it");
    }

    #[test]
    fn boxes_without_area_match_nothing() {
        let m = match_boxes(&[object(0, 0.0, 0.0)], &[object(0, 0.0, 0.0)], 0.5);
        assert_eq!((m.unmatched_reference.len(), m.unmatched_other.len()), (1, 1));
    }

    proptest! {
        #[test]
        fn every_box_is_paired_or_left_over_once(
            a in prop::collection::vec((0u32..3, 0.0..60.0f64, 5.0..20.0f64), 0..12),
            b in prop::collection::vec((0u32..3, 0.0..60.0f64, 5.0..20.0f64), 0..12),
        ) {
            let [a, b] = [a, b].map(|v| v.into_iter().map(|(c, x, s)| object(c, x, s)).collect::<Vec<_>>());
            let m = match_boxes(&a, &b, 0.3);
            let mut left: Vec<usize> = m.pairs.iter().map(|p| p.0).chain(m.unmatched_reference.clone()).collect();
            let mut right: Vec<usize> = m.pairs.iter().map(|p| p.1).chain(m.unmatched_other.clone()).collect();
            left.sort_unstable();
            right.sort_unstable();
            prop_assert_eq!(left, (0..a.len()).collect::<Vec<_>>());
            prop_assert_eq!(right, (0..b.len()).collect::<Vec<_>>());
            // No two boxes left over could still be paired.
            for r in &m.unmatched_reference {
                for o in &m.unmatched_other {
                    prop_assert!(a[*r].bbox.iou(b[*o].bbox) < 0.3);
                }
            }
        }

        #[test]
        fn swapping_sides_swaps_the_pairs(
            a in prop::collection::vec((0u32..3, 0.0..60.0f64, 5.0..20.0f64), 0..8),
            b in prop::collection::vec((0u32..3, 0.0..60.0f64, 5.0..20.0f64), 0..8),
        ) {
            let [a, b] = [a, b].map(|v| v.into_iter().map(|(c, x, s)| object(c, x, s)).collect::<Vec<_>>());
            let mut there: Vec<(usize, usize)> = match_boxes(&a, &b, 0.5).pairs.iter().map(|p| (p.0, p.1)).collect();
            let mut back: Vec<(usize, usize)> = match_boxes(&b, &a, 0.5).pairs.iter().map(|p| (p.1, p.0)).collect();
            there.sort_unstable();
            back.sort_unstable();
            prop_assert_eq!(there, back);
        }
    }
}
