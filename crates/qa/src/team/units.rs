//! Which boxes of several people are about the same object.

use labelloop_core::LabelledBox;

use crate::golden::Mark;

/// What everybody who saw an image said of one object: a class, or "nothing here"; nothing where a crowd excuses it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unit {
    /// Class by person, in the order of the people of the image; `Some(None)` is "nothing here".
    pub(super) said: Vec<Option<Option<usize>>>,
    /// Mean IoU of all pairs of its boxes; none where one person marked it.
    pub(super) mean_iou: Option<f64>,
}

/// One box: whose it is, and where in the person's list.
type Member = (usize, usize);

/// Groups the boxes of one image, given one list per person.
///
/// Pairs of boxes of two people go by descending IoU, among equals those of one class first, then by what the boxes are
/// (never by who came first). Their groups become one when nobody is in both and all of their boxes overlap with each other
/// by the threshold. So every person is in a unit once at most, and for two people the units are the pairs of
/// [`match_boxes`](crate::match_boxes).
pub(super) fn units(people: &[&[LabelledBox]], iou_threshold: f64) -> Vec<Unit> {
    let mut boxes: Vec<Member> = Vec::new();
    for (p, list) in people.iter().enumerate() {
        boxes.extend((0..list.len()).filter(|i| !list[*i].is_crowd).map(|i| (p, i)));
    }
    let of = |m: Member| &people[m.0][m.1];
    boxes.sort_by_key(|m| (of(*m).key(), m.0));
    let iou = |a: usize, b: usize| of(boxes[a]).bbox.iou(of(boxes[b]).bbox);
    let mut pairs: Vec<(usize, usize, f64)> = Vec::new();
    for a in 0..boxes.len() {
        for b in a + 1..boxes.len() {
            let overlap = if boxes[a].0 == boxes[b].0 { 0.0 } else { iou(a, b) };
            if 0.0 < overlap && iou_threshold <= overlap {
                pairs.push((a, b, overlap));
            }
        }
    }
    let other_class = |p: &(usize, usize, f64)| of(boxes[p.0]).class != of(boxes[p.1]).class;
    pairs.sort_by(|x, y| {
        y.2.total_cmp(&x.2).then(other_class(x).cmp(&other_class(y))).then((x.0, x.1).cmp(&(y.0, y.1)))
    });
    let mut groups: Vec<Vec<usize>> = (0..boxes.len()).map(|b| vec![b]).collect();
    let mut group_of: Vec<usize> = (0..boxes.len()).collect();
    for (a, b, _) in pairs {
        let (g, h) = (group_of[a].min(group_of[b]), group_of[a].max(group_of[b]));
        let fits = |x: &usize, y: &usize| boxes[*x].0 != boxes[*y].0 && iou_threshold <= iou(*x, *y);
        if g != h && groups[g].iter().all(|x| groups[h].iter().all(|y| fits(x, y))) {
            let moved = std::mem::take(&mut groups[h]);
            moved.iter().for_each(|x| group_of[*x] = g);
            groups[g].extend(moved);
        }
    }
    groups
        .iter()
        .filter(|g| !g.is_empty())
        .map(|g| unit(people, &g.iter().map(|b| boxes[*b]).collect::<Vec<_>>()))
        .collect()
}

fn unit(people: &[&[LabelledBox]], members: &[Member]) -> Unit {
    let said = (0..people.len())
        .map(|p| match members.iter().find(|m| m.0 == p) {
            Some(m) => Some(Some(people[p][m.1].class.as_usize())),
            None if is_excused(people, members, p) => None,
            None => Some(None),
        })
        .collect();
    let mut overlaps = Vec::new();
    for (n, a) in members.iter().enumerate() {
        overlaps.extend(members[n + 1..].iter().map(|b| people[a.0][a.1].bbox.iou(people[b.0][b.1].bbox)));
    }
    // In ascending order, so that the sum does not depend on the order of people.
    overlaps.sort_by(f64::total_cmp);
    let mean_iou = (!overlaps.is_empty()).then(|| overlaps.iter().sum::<f64>() / overlaps.len() as f64);
    Unit { said, mean_iou }
}

/// Whether a crowd that the person drew holds every box of the unit by half of its area.
fn is_excused(people: &[&[LabelledBox]], members: &[Member], person: usize) -> bool {
    let crowds = || people[person].iter().filter(|b| b.is_crowd);
    let holds = |crowd: &LabelledBox, m: &Member| {
        let b = people[m.0][m.1].bbox;
        b.area() <= 2.0 * b.intersection_area(crowd.bbox)
    };
    members.iter().all(|m| crowds().any(|crowd| holds(crowd, m)))
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx};
    use proptest::prelude::*;

    use super::*;
    use crate::match_boxes;

    fn object(class: u32, x: f64, side: f64) -> LabelledBox {
        LabelledBox::new(ClassIdx(class), BBox::new(x, 0.0, side, side).unwrap())
    }

    #[test]
    fn one_object_of_three_people_is_one_unit() {
        let [a, b, c] = [object(0, 0.0, 10.0), object(0, 1.0, 10.0), object(1, 0.5, 10.0)];
        let found = units(&[&[a], &[b], &[c], &[]], 0.5);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].said, [Some(Some(0)), Some(Some(0)), Some(Some(1)), Some(None)]);
    }

    #[test]
    fn a_chain_of_overlaps_is_no_unit() {
        // The first and the last overlap by less than half.
        let lists = [[object(0, 0.0, 10.0)], [object(0, 2.0, 10.0)], [object(0, 4.0, 10.0)]];
        let found = units(&[&lists[0], &lists[1], &lists[2]], 0.5);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_crowd_excuses_whoever_drew_it() {
        let crowd = LabelledBox { is_crowd: true, ..object(0, 0.0, 50.0) };
        let found = units(&[&[object(0, 5.0, 10.0)], &[crowd]], 0.5);
        assert_eq!(found[0].said, [Some(Some(0)), None]);
    }

    prop_compose! {
        fn list()(boxes in prop::collection::vec((0u32..3, 0.0..40.0f64, 5.0..20.0f64), 0..7)) -> Vec<LabelledBox> {
            boxes.into_iter().map(|(c, x, s)| object(c, x, s)).collect()
        }
    }

    proptest! {
        #[test]
        fn two_people_are_matched_as_in_pairs(a in list(), b in list()) {
            let m = match_boxes(&a, &b, 0.5);
            let mut expected: Vec<Vec<Option<Option<usize>>>> = Vec::new();
            let class = |l: &[LabelledBox], i: usize| Some(Some(l[i].class.as_usize()));
            expected.extend(m.pairs.iter().map(|p| vec![class(&a, p.0), class(&b, p.1)]));
            expected.extend(m.unmatched_reference.iter().map(|i| vec![class(&a, *i), Some(None)]));
            expected.extend(m.unmatched_other.iter().map(|j| vec![Some(None), class(&b, *j)]));
            let mut found: Vec<_> = units(&[&a, &b], 0.5).into_iter().map(|u| u.said).collect();
            expected.sort();
            found.sort();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn nobody_is_twice_in_a_unit_and_the_order_of_people_does_not_matter(a in list(), b in list(), c in list()) {
            let found = units(&[&a, &b, &c], 0.5);
            let marked = |u: &Unit| u.said.iter().flatten().flatten().count();
            prop_assert_eq!(found.iter().map(marked).sum::<usize>(), a.len() + b.len() + c.len());
            let mut one: Vec<_> = found.into_iter().map(|u| (u.said, u.mean_iou.map(f64::to_bits))).collect();
            let turned = units(&[&c, &a, &b], 0.5);
            let mut two: Vec<_> = turned
                .into_iter()
                .map(|u| (vec![u.said[1], u.said[2], u.said[0]], u.mean_iou.map(f64::to_bits)))
                .collect();
            one.sort();
            two.sort();
            prop_assert_eq!(one, two);
        }
    }
}
