//! Splits: shares, order, growth, rare classes, and real groups.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::common::group;
use labelloop_core::{GroupKey, Seed, Share, Split, apportion};
use labelloop_dataset::{
    Dataset, DatasetError, GroupSummary, SplitParams, SplitReport, Unmet, assign_splits,
};
use proptest::prelude::*;

fn assign(groups: &[GroupSummary]) -> SplitReport {
    assign_splits(groups, &BTreeMap::new(), &SplitParams::default()).unwrap()
}

fn n_groups(report: &SplitReport) -> Vec<usize> {
    report.shares.iter().map(|r| r.n_groups).collect()
}

fn plain(n: usize) -> Vec<GroupSummary> {
    (0..n).map(|i| group(&format!("g{i}"), 1 + i % 5, &[])).collect()
}

#[test]
fn shares_are_counted_in_groups_by_largest_remainder() {
    assert_eq!(n_groups(&assign(&plain(20))), [3, 3, 1, 13]);
    assert_eq!(n_groups(&assign(&plain(100))), [15, 15, 5, 65]);
    assert_eq!(n_groups(&assign(&plain(4))), [1, 1, 1, 1]);
    assert_eq!(n_groups(&assign(&plain(7))), [1, 1, 1, 4]);
}

#[test]
fn too_few_groups_name_the_number_needed() {
    let e = assign_splits(&plain(3), &BTreeMap::new(), &SplitParams::default()).unwrap_err();
    assert!(matches!(e, DatasetError::TooFewGroups { found: 3, needed: 4 }));
    let two = SplitParams { test: 0.0, golden: 0.0, val: 0.2, pool: 0.8, ..SplitParams::default() };
    let report = assign_splits(&plain(2), &BTreeMap::new(), &two).unwrap();
    assert_eq!(n_groups(&report), [0, 1, 0, 1]);
    assert!(matches!(assign_splits(&[], &BTreeMap::new(), &two), Err(DatasetError::EmptyDataset)));
}

#[test]
fn a_group_twice_is_refused_and_bad_params_too() {
    let twice = [plain(5), plain(1)].concat();
    let e = assign_splits(&twice, &BTreeMap::new(), &SplitParams::default()).unwrap_err();
    assert!(matches!(e, DatasetError::DuplicateGroup { .. }));
    let bad = SplitParams { test: f64::NAN, ..SplitParams::default() };
    let e = assign_splits(&plain(5), &BTreeMap::new(), &bad).unwrap_err();
    assert!(matches!(e, DatasetError::SplitParams(_)));
}

#[test]
fn the_salt_decides() {
    let other = SplitParams { salt: "other".into(), ..SplitParams::default() };
    let groups = plain(100);
    let b = assign_splits(&groups, &BTreeMap::new(), &other).unwrap();
    assert_ne!(assign(&groups).assignment, b.assignment);
}

#[test]
fn a_rare_class_reaches_every_split_where_possible() {
    for n_rare in 4..9 {
        let groups: Vec<GroupSummary> = (0..60)
            .map(|i| {
                let rare = [("car", 20), ("tram", 1)];
                group(&format!("g{i}"), 10, if i < n_rare { &rare } else { &rare[..1] })
            })
            .collect();
        let report = assign(&groups);
        assert!(report.unmet.is_empty(), "{n_rare}: {report}");
        let tram = report.classes.iter().find(|c| c.class == "tram").unwrap();
        assert!(tram.n_groups.iter().all(|n| *n > 0));
        let unstratified = SplitParams { stratify: false, ..SplitParams::default() };
        let blind = assign_splits(&groups, &BTreeMap::new(), &unstratified).unwrap();
        assert_eq!(n_groups(&blind), n_groups(&report));
    }
}

#[test]
fn what_cannot_be_met_is_said() {
    let groups: Vec<GroupSummary> =
        (0..20).map(|i| group(&format!("g{i}"), 1, if i == 0 { &[("tram", 2)] } else { &[] })).collect();
    let report = assign(&groups);
    let missing: Vec<Split> = report
        .unmet
        .iter()
        .filter_map(|u| match u {
            Unmet::ClassMissing { split, n_groups: 1, .. } => Some(*split),
            _ => None,
        })
        .collect();
    assert_eq!(missing, [Split::Test, Split::Val, Split::Golden], "the only tram is learnt from");
    let cell = report.smallest_cell.clone().unwrap();
    assert_eq!((cell.n_groups, cell.class.as_str()), (0, "tram"));
    assert!(report.to_string().contains("class \"tram\" is missing in golden"), "{report}");
}

#[test]
fn an_old_split_that_is_off_is_reported_and_corrected_by_new_groups() {
    let existing: BTreeMap<GroupKey, Split> =
        (0..10).map(|i| (GroupKey::new(format!("g{i}")).unwrap(), Split::Pool)).collect();
    let report = assign_splits(&plain(12), &existing, &SplitParams::default()).unwrap();
    assert_eq!(n_groups(&report), [1, 1, 0, 10]);
    assert!(report.unmet.iter().any(|u| matches!(u, Unmet::ShareOff { split: Split::Pool, .. })));
    let report = assign_splits(&plain(40), &existing, &SplitParams::default()).unwrap();
    assert_eq!(n_groups(&report), [6, 6, 2, 26]);
    assert!(report.unmet.is_empty());
}

#[test]
fn objects_are_spread_close_to_the_shares() {
    let seed = Seed::new(3);
    let groups: Vec<GroupSummary> = (0..200u64)
        .map(|i| {
            let classes: Vec<(&str, usize)> = ["a", "b", "c"]
                .into_iter()
                .enumerate()
                .map(|(c, name)| (name, seed.below(3 * i + c as u64, 10 / (c + 1))))
                .collect();
            group(&format!("g{i}"), 3, &classes)
        })
        .collect();
    let report = assign(&groups);
    for row in &report.classes {
        let total: usize = row.n_objects.iter().sum();
        for (n, share) in row.n_objects.iter().zip([0.15, 0.15, 0.05, 0.65]) {
            let reached = *n as f64 / total as f64;
            assert!((reached - share).abs() < 0.02, "{} {reached} {share}", row.class);
        }
    }
}

#[test]
fn a_dataset_freezes_what_is_not_pool() {
    let mut d = crate::common::dataset(40);
    assert!(matches!(
        Dataset::new("empty", crate::common::schema()).split(&SplitParams::default()),
        Err(DatasetError::EmptyDataset)
    ));
    let report = d.split(&SplitParams::default()).unwrap();
    assert_eq!(n_groups(&report), [6, 6, 2, 26]);
    assert_eq!(d.match_tag("status:frozen").unwrap().len(), 14);
    assert_eq!(d.unlabeled_pool().len(), 26);
    assert!(d.doctor().is_empty());
    let before = d.clone();
    d.split(&SplitParams::default()).unwrap();
    assert_eq!(d, before);
}

#[test]
fn real_groups_of_printed_boards() {
    let root = std::env::var_os("LABELLOOP_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let path = root.join("data/deeppcb/instances.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("left out: no {}", path.display());
        return;
    };
    let coco: serde_json::Value = serde_json::from_str(&text).unwrap();
    let names: BTreeMap<i64, &str> = coco["categories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["id"].as_i64().unwrap(), c["name"].as_str().unwrap()))
        .collect();
    let mut groups: BTreeMap<&str, GroupSummary> = BTreeMap::new();
    let mut group_of = BTreeMap::new();
    for image in coco["images"].as_array().unwrap() {
        let key = image["group"].as_str().unwrap();
        groups.entry(key).or_insert_with(|| group(key, 0, &[])).n_samples += 1;
        group_of.insert(image["id"].as_i64().unwrap(), key);
    }
    for a in coco["annotations"].as_array().unwrap() {
        let key = group_of[&a["image_id"].as_i64().unwrap()];
        let class = names[&a["category_id"].as_i64().unwrap()];
        *groups.get_mut(key).unwrap().class_counts.entry(class.to_owned()).or_default() += 1;
    }
    let groups: Vec<GroupSummary> = groups.into_values().collect();
    let report = assign(&groups);
    println!("{report}");
    assert_eq!(groups.len(), report.assignment.len());
    assert!(report.shares.iter().all(|r| r.n_groups > 0), "{report}");
    assert!(report.smallest_cell.as_ref().unwrap().n_groups > 0, "every class is in every split: {report}");
}

fn some_groups() -> impl Strategy<Value = Vec<GroupSummary>> {
    let classes = prop::collection::btree_map("[a-e]", 0usize..6, 0..4);
    prop::collection::btree_map("[a-z]{1,4}", (1usize..50, classes), 4..60).prop_map(|all| {
        all.into_iter()
            .map(|(key, (n_samples, class_counts))| GroupSummary {
                key: GroupKey::new(key).unwrap(),
                n_samples,
                class_counts,
            })
            .collect()
    })
}

/// Largest remainder from its definition, in whole thousandths: one unit after the other goes to the split whose quota is
/// missed by most, the earlier split among equals; then every split in use that got nothing takes one from the largest,
/// the earlier one among equals.
fn by_definition(n_groups: usize, thousandths: [usize; 4]) -> Vec<usize> {
    let mut parts = thousandths.map(|share| n_groups * share / 1000);
    let mut remainders: Vec<(usize, usize)> =
        thousandths.iter().map(|share| n_groups * share % 1000).enumerate().collect();
    while parts.iter().sum::<usize>() < n_groups {
        let largest = remainders.iter().map(|(_, r)| *r).max().unwrap();
        let at = remainders.iter().position(|(_, r)| *r == largest).unwrap();
        parts[remainders.remove(at).0] += 1;
    }
    for i in 0..4 {
        if parts[i] == 0 && 0 < thousandths[i] {
            let most = *parts.iter().max().unwrap();
            let from = parts.iter().position(|n| *n == most).unwrap();
            parts[from] -= 1;
            parts[i] += 1;
        }
    }
    parts.to_vec()
}

/// How many splits hold each class in the best of all assignments with the given sizes, summed over classes.
fn best_coverage(groups: &[GroupSummary], places: &[usize], taken: &mut Vec<usize>) -> usize {
    if taken.len() == groups.len() {
        let mut cells = std::collections::BTreeSet::new();
        for (group, split) in groups.iter().zip(taken.iter()) {
            cells.extend(group.class_counts.iter().filter(|(_, n)| **n > 0).map(|(c, _)| (c, split)));
        }
        return cells.len();
    }
    let free = |split: usize| taken.iter().filter(|s| **s == split).count() < places[split];
    let open: Vec<usize> = (0..4).filter(|s| free(*s)).collect();
    let mut best = 0;
    for split in open {
        taken.push(split);
        best = best.max(best_coverage(groups, places, taken));
        taken.pop();
    }
    best
}

#[test]
fn covering_classes_by_rarity_is_close_to_the_best_there_is() {
    let (mut n_reached, mut n_best, mut n_optimal) = (0, 0, 0);
    for round in 0..60u64 {
        let seed = Seed::new(round);
        let groups: Vec<GroupSummary> = (0..8u64)
            .map(|i| {
                let classes: Vec<(&str, usize)> = ["a", "b", "c", "d"]
                    .into_iter()
                    .enumerate()
                    .map(|(c, name)| (name, usize::from(seed.below(8 * c as u64 + i, 8) < 2 + c)))
                    .collect();
                group(&format!("g{i}"), 1, &classes)
            })
            .collect();
        let report = assign(&groups);
        let reached: usize = report.classes.iter().flat_map(|c| c.n_groups).filter(|n| *n > 0).count();
        let best = best_coverage(&groups, &n_groups(&report), &mut vec![]);
        assert!(reached <= best && best <= reached + 2, "{reached} of {best}: {report}");
        (n_reached, n_best) = (n_reached + reached, n_best + best);
        n_optimal += usize::from(reached == best);
    }
    println!("cells covered {n_reached} of {n_best}; the best possible in {n_optimal} of 60");
    assert!(0.98 * n_best as f64 <= n_reached as f64, "{n_reached} of {n_best}");
}

proptest! {
    #[test]
    fn groups_are_dealt_by_largest_remainder_whatever_their_classes(
        groups in some_groups(),
        raw in (0usize..500, 0usize..300, 0usize..200),
        stratify: bool,
    ) {
        let thousandths = [raw.0.min(400), raw.1, raw.2, 1000 - raw.0.min(400) - raw.1 - raw.2];
        // Equal remainders are settled by rounding error.
        let remainders: std::collections::BTreeSet<usize> =
            thousandths.iter().map(|t| groups.len() * t % 1000).collect();
        prop_assume!(remainders.len() == 4);
        let [test, val, golden, pool] = thousandths.map(|t| t as f64 / 1000.0);
        let params = SplitParams { test, val, golden, pool, stratify, ..SplitParams::default() };
        let report = assign_splits(&groups, &BTreeMap::new(), &params).unwrap();
        prop_assert_eq!(n_groups(&report), by_definition(groups.len(), thousandths));
        for row in &report.shares {
            let off = (row.n_groups as f64 - row.asked * groups.len() as f64).abs();
            let is_first = row.n_groups == 1 || n_groups(&report).contains(&1);
            prop_assert!(off < 1.0 + 1e-9 || is_first, "{} off by {off}", row.split);
        }
    }

    #[test]
    fn a_lone_class_reaches_as_many_splits_as_it_has_groups(n in 4usize..60, n_rare in 1usize..12, seed: u64) {
        let rare = &Seed::new(seed).permutation(n)[..n_rare.min(n)];
        let groups: Vec<GroupSummary> = (0..n)
            .map(|i| group(&format!("g{i}"), 1, if rare.contains(&i) { &[("tram", 1)] } else { &[] }))
            .collect();
        let report = assign(&groups);
        let n_splits = report.classes[0].n_groups.iter().filter(|n| **n > 0).count();
        prop_assert_eq!(n_splits, rare.len().min(4));
    }

    #[test]
    fn no_group_of_a_dataset_is_torn_and_none_moves_as_samples_arrive(
        waves in prop::collection::vec(prop::collection::vec((0usize..12, 0usize..40), 1..40), 1..5),
    ) {
        let mut d = Dataset::new("demo", crate::common::schema());
        let mut first: BTreeMap<GroupKey, Split> = BTreeMap::new();
        for (wave, samples) in waves.iter().enumerate() {
            let records = samples.iter().enumerate().map(|(i, (g, label))| {
                let mut record = crate::common::labelled(
                    &format!("w{wave}-{i}"),
                    vec![crate::common::a_box(u32::from(label % 7 == 0), [1.0, 2.0, 3.0, 4.0])],
                );
                record.group = GroupKey::new(format!("g{g}")).unwrap();
                record
            });
            let set = crate::common::set_of(records.collect());
            d.import(&set, labelloop_dataset::GROUND_TRUTH, Default::default()).unwrap();
            match d.split(&SplitParams::default()) {
                Err(DatasetError::TooFewGroups { found, needed: 4 }) => prop_assert!(found < 4),
                other => {
                    other.unwrap();
                    for (key, split) in &first {
                        prop_assert_eq!(d.group_splits()[key], *split, "old groups never move");
                    }
                    first = d.group_splits();
                    for s in d.samples().values() {
                        prop_assert_eq!(s.split, first.get(&s.group).copied(), "a group is on one side");
                    }
                }
            }
        }
    }

    #[test]
    fn order_does_not_matter(groups in some_groups(), seed in any::<u64>()) {
        let order = Seed::new(seed).permutation(groups.len());
        let shuffled: Vec<GroupSummary> = order.iter().map(|i| groups[*i].clone()).collect();
        prop_assert_eq!(assign(&groups), assign(&shuffled));
    }

    #[test]
    fn group_counts_are_those_of_the_definition(groups in some_groups()) {
        let shares = [0.15, 0.15, 0.05, 0.65].map(|s| Share::try_from(s).unwrap());
        let mut expected = apportion(groups.len(), &shares).unwrap();
        for i in 0..3 {
            if expected[i] == 0 {
                expected[i] = 1;
                expected[3] -= 1;
            }
        }
        prop_assert_eq!(n_groups(&assign(&groups)), expected);
    }

    #[test]
    fn old_groups_never_move(groups in some_groups(), n_first in 4usize..60) {
        let first = assign(&groups[..n_first.min(groups.len())]);
        let params = SplitParams::default();
        let then = assign_splits(&groups, &first.assignment, &params).unwrap();
        for (key, split) in &first.assignment {
            prop_assert_eq!(then.assignment[key], *split);
        }
        prop_assert_eq!(then.assignment.len(), groups.len());
        prop_assert_eq!(then.shares.iter().map(|r| r.n_groups).sum::<usize>(), groups.len());
        let again = assign_splits(&groups, &then.assignment, &params).unwrap();
        prop_assert_eq!(again.assignment, then.assignment);
    }

    #[test]
    fn a_missing_class_means_too_few_groups_or_places(groups in some_groups()) {
        let report = assign(&groups);
        for row in &report.classes {
            // A class in more groups than test, val and golden have places must reach the pool.
            let outside: usize = n_groups(&report)[..3].iter().sum();
            if row.n_groups.iter().sum::<usize>() > outside {
                prop_assert!(row.n_groups[3] > 0);
            }
        }
    }
}
