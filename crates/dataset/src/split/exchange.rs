use labelloop_core::Split;

use super::assign::{COVERAGE_ORDER, Deal, held};
use super::params::index;

/// Groups looked at on either side of an exchange. Bounds the work at many groups.
const MAX_CANDIDATES: usize = 128;

/// Exchanges new groups between splits as long as that brings more classes to more splits.
///
/// Dealing by rarity gives a place away for the class at hand; where test, val and golden have a place or two each, it may
/// have been the wrong group. Every exchange raises the number of classes by split that are covered (and where that stays
/// the same, moves them to the splits that need them most), so this ends.
pub(super) fn exchange(deal: &mut Deal<'_>) {
    while let Some((a, b)) = best_exchange(deal) {
        let (from, to) = (split_of(deal, a), split_of(deal, b));
        move_to(deal, a, from, to);
        move_to(deal, b, to, from);
    }
}

/// The exchange that gains most for the rarest class that is missing somewhere; the earliest among equals.
fn best_exchange(deal: &Deal<'_>) -> Option<(usize, usize)> {
    for class in deal.rarest_first() {
        for split in COVERAGE_ORDER {
            if !deal.used[index(split)] || deal.covered[class][index(split)] > 0 {
                continue;
            }
            let inside: Vec<usize> =
                (0..deal.groups.len()).filter(|p| split_of(deal, *p) == split).take(MAX_CANDIDATES).collect();
            let mut best: Option<(i64, usize, usize)> = None;
            for holder in deal.holders[class].iter().copied().take(MAX_CANDIDATES) {
                for other in inside.iter().copied() {
                    let gain = gain(deal, holder, other);
                    if 0 < gain && best.is_none_or(|(most, _, _)| most < gain) {
                        best = Some((gain, holder, other));
                    }
                }
            }
            if let Some((_, holder, other)) = best {
                return Some((holder, other));
            }
        }
    }
    None
}

/// What the covered classes are worth more after two groups change places.
fn gain(deal: &Deal<'_>, a: usize, b: usize) -> i64 {
    let (from, to) = (split_of(deal, a), split_of(deal, b));
    if from == to {
        return 0;
    }
    let holds = |p: usize, class: &str| deal.groups[p].class_counts.get(class).is_some_and(|n| 0 < *n);
    let mut gain = 0;
    for (class, _) in held(deal.groups[a]).filter(|(c, _)| !holds(b, c)) {
        gain += moved(deal, class, from, to);
    }
    for (class, _) in held(deal.groups[b]).filter(|(c, _)| !holds(a, c)) {
        gain += moved(deal, class, to, from);
    }
    gain
}

/// What it is worth that one group with a class leaves a split for another one.
fn moved(deal: &Deal<'_>, class: &str, from: Split, to: Split) -> i64 {
    let Some(covered) = deal.covered.get(class) else { return 0 };
    let lost = if covered[index(from)] == 1 { worth(from) } else { 0 };
    let won = if covered[index(to)] == 0 { worth(to) } else { 0 };
    won - lost
}

/// A covered class counts first, and which split it is covered in only between equals.
fn worth(split: Split) -> i64 {
    let place = COVERAGE_ORDER.iter().position(|s| *s == split).unwrap_or_default();
    1003 - place as i64
}

fn split_of(deal: &Deal<'_>, position: usize) -> Split {
    deal.assignment.get(&deal.groups[position].key).copied().unwrap_or(Split::Pool)
}

fn move_to(deal: &mut Deal<'_>, position: usize, from: Split, to: Split) {
    let group = deal.groups[position];
    deal.assignment.insert(group.key.clone(), to);
    for (class, _) in held(group) {
        if let Some(covered) = deal.covered.get_mut(class) {
            covered[index(from)] -= 1;
            covered[index(to)] += 1;
        }
    }
}
