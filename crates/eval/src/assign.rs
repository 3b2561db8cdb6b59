//! The one matching core: greedy, one to one, with the protocol's rule as a closure.
//!
//! Protocols differ in who asks (detections by score in COCO and nuScenes, labels in file order in KITTI), in what may be
//! taken (ignored objects last, or never) and in what is better (overlap, score, distance). The walk is the same.

/// A partner that an object may be matched to, and how close it is: overlap or distance, as the protocol has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Link {
    pub(crate) partner: u32,
    pub(crate) closeness: f64,
}

/// The possible partners of each object, in order of partners; one list after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links {
    links: Vec<Link>,
    /// Where the links of an object end.
    ends: Vec<u32>,
}

impl Links {
    /// Adds an object with its possible partners.
    pub(crate) fn push(&mut self, links: impl IntoIterator<Item = Link>) {
        self.links.extend(links);
        // Pairs of one frame are counted in 32 bits.
        self.ends.push(self.links.len() as u32);
    }

    /// Possible partners of an object.
    pub(crate) fn of(&self, object: usize) -> &[Link] {
        let begin = if object == 0 { 0 } else { self.ends[object - 1] as usize };
        &self.links[begin..self.ends[object] as usize]
    }

    pub(crate) fn n_objects(&self) -> usize {
        self.ends.len()
    }
}

/// What a protocol decides about a match.
pub(crate) trait Rule {
    /// Whether a link takes the place of the best so far of an object. Links come in order of partners; what cannot be
    /// taken is never preferred.
    fn prefers(&self, object: usize, link: &Link, best: Option<&Link>) -> bool;

    /// Whether a partner stays free when it is taken, as crowds do.
    fn is_shared(&self, _partner: u32) -> bool {
        false
    }
}

impl<F: Fn(usize, &Link, Option<&Link>) -> bool> Rule for F {
    fn prefers(&self, object: usize, link: &Link, best: Option<&Link>) -> bool {
        self(object, link, best)
    }
}

/// Objects ask in `order`; each takes the free partner that the rule likes best, and keeps it. `taken` says which partners
/// are gone, before and after. Calls `found` for every object asked, with nothing where no partner was left.
pub(crate) fn greedy(
    links: &Links,
    order: impl IntoIterator<Item = usize>,
    taken: &mut [bool],
    rule: &impl Rule,
    mut found: impl FnMut(usize, Option<&Link>),
) {
    for object in order {
        let mut best = None;
        for link in links.of(object).iter().filter(|link| !taken[link.partner as usize]) {
            if rule.prefers(object, link, best) {
                best = Some(link);
            }
        }
        if let Some(link) = best {
            taken[link.partner as usize] = !rule.is_shared(link.partner);
        }
        found(object, best);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Links {
        let mut links = Links::default();
        let link = |partner, closeness| Link { partner, closeness };
        links.push([link(0, 0.6), link(1, 0.9)]);
        links.push([]);
        links.push([link(1, 0.95)]);
        links
    }

    fn matched(order: &[usize], rule: impl Fn(usize, &Link, Option<&Link>) -> bool) -> Vec<Option<u32>> {
        let links = links();
        let mut out = vec![None; links.n_objects()];
        let order = order.iter().copied();
        greedy(&links, order, &mut [false; 2], &rule, |i, link| out[i] = link.map(|l| l.partner));
        out
    }

    #[test]
    fn who_asks_first_takes_and_the_rule_decides_what() {
        let largest =
            |_: usize, l: &Link, best: Option<&Link>| best.is_none_or(|b| b.closeness < l.closeness);
        assert_eq!(matched(&[0, 1, 2], largest), [Some(1), None, None]);
        assert_eq!(matched(&[2, 1, 0], largest), [Some(0), None, Some(1)]);
        let nearest =
            |_: usize, l: &Link, best: Option<&Link>| best.is_none_or(|b| l.closeness < b.closeness);
        assert_eq!(matched(&[0, 1, 2], nearest), [Some(0), None, Some(1)]);
        assert_eq!(matched(&[0, 1, 2], |_, _, _| false), [None; 3]);
    }

    #[test]
    fn what_is_taken_before_is_not_asked() {
        let links = links();
        let mut taken = [false, true];
        let mut out = Vec::new();
        greedy(
            &links,
            [0, 2],
            &mut taken,
            &|_: usize, _: &Link, best: Option<&Link>| best.is_none(),
            |_, l| out.push(l.map(|l| l.partner)),
        );
        assert_eq!(out, [Some(0), None]);
        assert_eq!(taken, [true, true]);
    }
}
