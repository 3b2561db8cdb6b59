use labelloop_core::{BBox, LabelledBox, LabelledCuboid};

/// Who is who between two sets of labels of one picture or scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    /// Reference position, other position, IoU (of cuboids: metres between the centres); in the order of reference
    /// positions.
    pub pairs: Vec<(usize, usize, f64)>,
    /// Reference objects without a partner.
    pub unmatched_reference: Vec<usize>,
    /// Other labels without a partner.
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
    let (pairs, [taken_reference, taken_other]) = first_come(candidates, reference.len(), other.len());
    Matching {
        pairs,
        unmatched_reference: left_over(reference, &taken_reference, &[]),
        unmatched_other: left_over(other, &taken_other, reference),
    }
}

/// Pairs cuboids of one scan by place, whatever their class: the pair whose centres are closest on the ground, then the
/// closest of what is left, up to `max_distance` metres. Among equal distances a pair of one class goes first, then the
/// lower positions. Cuboids of different frames are never paired.
///
/// Distance rather than overlap, since thin objects that are off by their own width overlap with nothing (nuScenes,
/// Caesar et al. 2020, section 3.1, for the same reason). O(n m log(n m)) for n and m cuboids.
///
/// ```
/// use labelloop_core::{ClassIdx, Cuboid, CuboidFrame, LabelledCuboid};
/// use labelloop_qa::match_cuboids;
///
/// let car = |x| LabelledCuboid {
///     class: ClassIdx(0),
///     cuboid: Cuboid::new([x, 0.0, 0.0], [4.2, 1.8, 1.5], 0.0, CuboidFrame::Lidar).unwrap(),
///     annotator: None,
/// };
/// let m = match_cuboids(&[car(10.0), car(30.0)], &[car(10.5)], 2.0);
/// assert_eq!((m.pairs, m.unmatched_reference), (vec![(0, 0, 0.5)], vec![1]));
/// ```
pub fn match_cuboids(reference: &[LabelledCuboid], other: &[LabelledCuboid], max_distance: f64) -> Matching {
    let mut candidates: Vec<(usize, usize, f64)> = Vec::new();
    for (r, a) in reference.iter().enumerate() {
        for (o, b) in other.iter().enumerate().filter(|(_, b)| a.cuboid.frame() == b.cuboid.frame()) {
            let ([ax, ay, _], [bx, by, _]) = (a.cuboid.centre(), b.cuboid.centre());
            let distance = (bx - ax).hypot(by - ay);
            if distance <= max_distance {
                candidates.push((r, o, distance));
            }
        }
    }
    let other_class = |c: &(usize, usize, f64)| reference[c.0].class != other[c.1].class;
    candidates.sort_by(|a, b| {
        a.2.total_cmp(&b.2).then(other_class(a).cmp(&other_class(b))).then((a.0, a.1).cmp(&(b.0, b.1)))
    });
    let (pairs, taken) = first_come(candidates, reference.len(), other.len());
    let [unmatched_reference, unmatched_other] =
        taken.map(|t| t.iter().enumerate().filter(|(_, taken)| !**taken).map(|(i, _)| i).collect());
    Matching { pairs, unmatched_reference, unmatched_other }
}

/// Reference position, other position, IoU or distance.
type Pair = (usize, usize, f64);

/// Takes candidates in their order where both sides are still free. Gives the pairs in the order of the reference, and
/// who was taken on either side.
fn first_come(candidates: Vec<Pair>, n_reference: usize, n_other: usize) -> (Vec<Pair>, [Vec<bool>; 2]) {
    let mut taken_reference = vec![false; n_reference];
    let mut taken_other = vec![false; n_other];
    let mut pairs = Vec::new();
    for (r, o, closeness) in candidates {
        if !taken_reference[r] && !taken_other[o] {
            (taken_reference[r], taken_other[o]) = (true, true);
            pairs.push((r, o, closeness));
        }
    }
    pairs.sort_unstable_by_key(|p| p.0);
    (pairs, [taken_reference, taken_other])
}

/// Boxes without a partner that are no crowds and lie in none of the excusing crowds.
fn left_over(boxes: &[LabelledBox], taken: &[bool], excuses: &[LabelledBox]) -> Vec<usize> {
    boxes
        .iter()
        .enumerate()
        .filter(|(i, b)| !taken[*i] && !b.is_crowd && !is_in_crowd(excuses, b.bbox))
        .map(|(i, _)| i)
        .collect()
}

/// Whether a box lies in a crowd region by half of its own area or more; one without area lies in none.
pub(crate) fn is_in_crowd(labels: &[LabelledBox], bbox: BBox) -> bool {
    let holds = |l: &LabelledBox| l.is_crowd && bbox.area() <= 2.0 * bbox.intersection_area(l.bbox);
    0.0 < bbox.area() && labels.iter().any(holds)
}

#[cfg(test)]
mod tests {
    use labelloop_core::{ClassIdx, Cuboid, CuboidFrame};
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

    fn cuboid(class: u32, x: f64) -> LabelledCuboid {
        let cuboid = Cuboid::new([x, 0.0, 0.0], [4.0, 2.0, 1.5], 0.0, CuboidFrame::Lidar).unwrap();
        LabelledCuboid { class: ClassIdx(class), cuboid, annotator: None }
    }

    #[test]
    fn closer_cuboids_go_first_and_the_class_decides_among_equals() {
        let m = match_cuboids(&[cuboid(0, 0.0), cuboid(0, 1.5)], &[cuboid(0, 1.0)], 2.0);
        assert_eq!((&m.pairs[..], &m.unmatched_reference[..]), (&[(1, 0, 0.5)][..], &[0][..]));
        let m = match_cuboids(&[cuboid(1, 0.0)], &[cuboid(0, 1.0), cuboid(1, -1.0)], 2.0);
        assert_eq!((&m.pairs[..], &m.unmatched_other[..]), (&[(0, 1, 1.0)][..], &[0][..]));
    }

    proptest! {
        #[test]
        fn cuboids_are_paired_as_a_slow_search_pairs_them(
            a in prop::collection::vec((0u32..2, 0..40i32), 0..8),
            b in prop::collection::vec((0u32..2, 0..40i32), 0..8),
        ) {
            let [a, b] = [a, b].map(|v| {
                v.into_iter().map(|(c, x)| cuboid(c, f64::from(x) / 4.0)).collect::<Vec<_>>()
            });
            let m = match_cuboids(&a, &b, 2.0);
            // Definition: again and again the best pair of what is left.
            let (mut left, mut right): (Vec<usize>, Vec<usize>) = ((0..a.len()).collect(), (0..b.len()).collect());
            let mut expected = Vec::new();
            loop {
                let rank = |r: usize, o: usize| {
                    let d = (a[r].cuboid.centre()[0] - b[o].cuboid.centre()[0]).abs();
                    (d, a[r].class != b[o].class, r, o)
                };
                let mut best: Option<(f64, bool, usize, usize)> = None;
                for (r, o) in left.iter().flat_map(|r| right.iter().map(move |o| (*r, *o))) {
                    let found = rank(r, o);
                    if found.0 <= 2.0 && best.is_none_or(|b| found < b) {
                        best = Some(found);
                    }
                }
                let Some((d, _, r, o)) = best else { break };
                left.retain(|x| *x != r);
                right.retain(|x| *x != o);
                expected.push((r, o, d));
            }
            expected.sort_by_key(|p| p.0);
            prop_assert_eq!((m.pairs, m.unmatched_reference, m.unmatched_other), (expected, left, right));
        }

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
