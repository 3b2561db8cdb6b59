//! Near-duplicates: merged, refused, reported, and kept out of training.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{dataset, id, image, schema, set_of};
use labelloop_core::{CaptureId, GroupKey, SampleId, Seed, Split, Val};
use labelloop_dataset::{
    BoxPolicy, Dataset, DatasetDir, DatasetError, GROUND_TRUTH, HUMAN_LABELS, Likeness, NearDuplicate,
    NearDuplicates, NearPolicy, SplitParams, Status, merge_groups,
};
use proptest::prelude::*;

fn alike(pairs: &[(&str, &str)]) -> NearDuplicates {
    let by = Likeness::Hash { bits: 2, of: 64 };
    NearDuplicates::new(pairs.iter().map(|(a, b)| NearDuplicate::new(id(a), id(b), by)))
}

fn key(text: &str) -> GroupKey {
    GroupKey::new(text).unwrap()
}

/// Pictures `s0`, `s1`, ... in groups of two: `g0`, `g0`, `g1`, ...
fn pairs_of(n: usize) -> Dataset {
    let mut d = Dataset::new("demo", schema());
    let samples = (0..n).map(|i| {
        let mut record = image(&format!("s{i}"));
        record.group = key(&format!("g{}", i / 2));
        record
    });
    d.import(&set_of(samples.collect()), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    d
}

fn one_of(d: &Dataset, split: Split) -> SampleId {
    d.samples().values().find(|s| s.split == Some(split)).unwrap().id.clone()
}

#[test]
fn merging_puts_both_sides_into_one_group_of_the_first_name() {
    let mut d = pairs_of(40);
    let split = d
        .split_guarded(&SplitParams::default(), &alike(&[("s5", "s30"), ("s31", "s9")]), NearPolicy::Merge)
        .unwrap();
    assert_eq!(split.merged, [(key("g2"), key("g15")), (key("g4"), key("g15"))].into(), "g15 sorts first");
    assert!(split.across.is_empty() && split.quarantine.is_empty());
    let groups: BTreeSet<_> = ["s4", "s5", "s8", "s30"].map(|s| d.samples()[s].group.clone()).into();
    assert_eq!(groups, [key("g15")].into());
    assert_eq!(split.report.assignment.len(), 18);
    let n: usize = split.report.shares.iter().map(|r| r.n_samples).sum();
    assert_eq!(n, 40, "every sample is counted under its new group");
    assert!(d.doctor().is_empty(), "{:?}", d.doctor());
}

#[test]
fn the_same_import_again_finds_merged_groups_under_their_old_names() {
    let mut d = pairs_of(20);
    d.split_guarded(&SplitParams::default(), &alike(&[("s0", "s19")]), NearPolicy::Merge).unwrap();
    let mut late = image("late");
    late.group = key("g9");
    let again = pairs_of(20);
    let mut records: Vec<_> = again.samples().values().map(labelloop_dataset::Sample::to_record).collect();
    records.push(late);
    let report = d.import(&set_of(records), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    assert_eq!((report.n_new, report.n_unchanged), (1, 20));
    d.split(&SplitParams::default()).unwrap();
    assert_eq!(d.samples()["late"].split, d.samples()["s0"].split);
    let mut crop = image("crop");
    crop.group = key("g9");
    d.derive(&crop, &id("s19")).unwrap();
}

#[test]
fn merges_of_merges_are_known_by_their_last_name() {
    let mut d = pairs_of(4);
    let few = SplitParams::default();
    // Two groups are too few to split: nothing is renamed then.
    let before = d.clone();
    let e = d.split_guarded(&few, &alike(&[("s0", "s2")]), NearPolicy::Merge).unwrap_err();
    assert!(matches!(e, DatasetError::MergedTooFew { found: 1, merged: 1, needed: 4 }), "{e}");
    assert_eq!(d, before);
    let renamed = merge_groups(
        &[(id("a"), key("b-new")), (id("b"), key("c-new")), (id("c"), key("old"))].into(),
        &[(key("old"), Split::Val)].into(),
        &alike(&[("a", "b"), ("b", "c")]),
    );
    assert_eq!(renamed, [(key("b-new"), key("old")), (key("c-new"), key("old"))].into());
}

#[test]
fn refusing_names_the_pair_and_changes_nothing() {
    let mut d = pairs_of(60);
    let all: Vec<(String, String)> =
        (0..29).map(|i| (format!("s{}", 2 * i), format!("s{}", 2 * i + 2))).collect();
    let chain: Vec<(&str, &str)> = all.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let before = d.clone();
    let e = d.split_guarded(&SplitParams::default(), &alike(&chain), NearPolicy::Refuse).unwrap_err();
    assert!(e.is_refusal());
    let DatasetError::NearDuplicateAcross { pair, n_pairs } = &e else { panic!("{e}") };
    assert!(1 < *n_pairs && pair.first_split != pair.second_split);
    let words = e.to_string();
    assert!(words.contains(pair.pair.first.as_str()) && words.contains("2 of 64 bits"), "{words}");
    assert_eq!(d, before);
    let same_group = alike(&[("s0", "s1")]);
    d.split_guarded(&SplitParams::default(), &same_group, NearPolicy::Refuse).unwrap();
}

#[test]
fn unknown_samples_of_pairs_are_refused() {
    let mut d = pairs_of(20);
    let e = d.split_guarded(&SplitParams::default(), &alike(&[("s0", "nowhere")]), NearPolicy::Merge);
    assert!(matches!(e, Err(DatasetError::UnknownSample { .. })));
}

#[test]
fn frozen_groups_do_not_move_and_the_pool_side_is_kept_out() {
    let mut d = dataset(40);
    d.split(&SplitParams::default()).unwrap();
    let before = d.group_splits();
    let (val, pool) = (one_of(&d, Split::Val), one_of(&d, Split::Pool));
    let (test, golden) = (one_of(&d, Split::Test), one_of(&d, Split::Golden));
    let pairs = alike(&[(val.as_str(), pool.as_str()), (test.as_str(), golden.as_str())]);
    let split = d.split_guarded(&SplitParams::default(), &pairs, NearPolicy::Merge).unwrap();
    assert_eq!(d.group_splits(), before);
    assert_eq!((split.merged.len(), split.across.len()), (0, 2));
    let kept_out = &split.quarantine[&pool];
    assert_eq!((split.quarantine.len(), &kept_out.frozen, kept_out.split), (1, &val, Split::Val));
    assert!(!d.unlabeled_pool().contains(&pool));
    assert!(matches!(d.begin_batch(0, std::slice::from_ref(&pool)), Err(DatasetError::LooksFrozen { .. })));
    let e = d.training_gate([&pool]).unwrap_err();
    assert_eq!(
        e.to_string(),
        format!(
            "sample {pool} must be neither selected nor trained on: it is a near-duplicate of {val} in split val (hashes differ in 2 of 64 bits)"
        )
    );
    assert!(e.is_refusal());
    let gone =
        d.split_guarded(&SplitParams::default(), &NearDuplicates::default(), NearPolicy::Merge).unwrap();
    assert_eq!(gone.quarantine, split.quarantine, "what is known stays known");
}

#[test]
fn descendants_are_kept_out_on_both_sides_and_the_record_survives_the_disk() {
    let mut d = dataset(40);
    d.split(&SplitParams::default()).unwrap();
    let (val, pool) = (one_of(&d, Split::Val), one_of(&d, Split::Pool));
    let other = d.unlabeled_pool().ids()[3].clone();
    let mut derive = |name: &str, parent: &SampleId| {
        let mut record = d.sample(parent).unwrap().to_record();
        (record.id, record.capture) = (id(name), CaptureId::new(name).unwrap());
        record.file_name = format!("{name}.png");
        d.derive(&record, parent).unwrap();
        record.id
    };
    let (crop, of_crop) = (derive("crop", &pool), id("crop"));
    let crop_of_crop = derive("crop-of-crop", &of_crop);
    let val_crop = derive("val-crop", &val);
    let by = Likeness::Vectors { distance: 0.01 };
    d.keep_near_duplicates([
        NearDuplicate::new(pool.clone(), val, by),
        NearDuplicate::new(val_crop.clone(), other.clone(), Likeness::Content),
    ])
    .unwrap();
    let e = d.training_gate([&crop_of_crop]).unwrap_err().to_string();
    assert!(e.contains(&format!("it comes with {pool}, a near-duplicate of")), "{e}");
    assert!(e.contains("cosine 0.99995"), "{e}");
    let e = d.training_gate([&other]).unwrap_err().to_string();
    assert!(e.contains("val-crop in split val (the same bytes)"), "{e}");
    let kept_out: Vec<SampleId> = d.quarantine().unwrap().into_keys().collect();
    assert_eq!(kept_out, BTreeSet::from([crop, crop_of_crop, pool, other]).into_iter().collect::<Vec<_>>());

    let folder = tempfile::tempdir().unwrap();
    let dir = DatasetDir::init(folder.path(), d.name(), d.schema()).unwrap();
    dir.writer().unwrap().commit(&d, "near").unwrap();
    let read = dir.read().unwrap();
    assert_eq!(read.quarantine().unwrap(), d.quarantine().unwrap());
}

#[test]
fn labelled_samples_leave_training_once_a_twin_is_found() {
    let mut d = dataset(40);
    d.split(&SplitParams::default()).unwrap();
    let picks = d.unlabeled_pool().ids()[..2].to_vec();
    d.begin_batch(0, &picks).unwrap();
    let labels = picks.iter().map(|p| (p.clone(), Some(vec![]))).collect();
    d.finish_batch(0, labels, HUMAN_LABELS, "ann").unwrap();
    assert_eq!(d.training_boxes(HUMAN_LABELS, &d.training_ids()).unwrap().len(), 2);
    let val = d.members::<Val>().ids()[0].clone();
    d.keep_near_duplicates([NearDuplicate::new(val, picks[0].clone(), Likeness::Content)]).unwrap();
    assert_eq!(d.training_ids().ids(), &picks[1..]);
    let all = d.members().filtered(|id| picks.contains(id));
    let e = d.training_boxes(HUMAN_LABELS, &all).unwrap_err();
    assert!(matches!(e, DatasetError::LooksFrozen { .. }), "{e}");
    assert_eq!(d.samples()[&picks[0]].status, Status::VerifiedEmpty, "the answer is kept");
}

#[test]
fn all_slices_of_a_capture_are_kept_out_together() {
    let mut d = Dataset::new("demo", schema());
    let slices = (0..40).flat_map(|i| {
        ["left", "right"]
            .map(|s| crate::common::slice(&format!("c{i:02}/{s}"), &format!("c{i}"), &format!("g{i}"), s))
    });
    d.import(&set_of(slices.collect()), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    d.split(&SplitParams::default()).unwrap();
    let (val, pool) = (one_of(&d, Split::Val), one_of(&d, Split::Pool));
    d.keep_near_duplicates([NearDuplicate::new(val, pool.clone(), Likeness::Content)]).unwrap();
    let right = id(&pool.as_str().replace("left", "right"));
    assert_eq!(d.quarantine().unwrap().into_keys().collect::<Vec<_>>(), [pool.clone(), right.clone()]);
    let e = d.training_gate([&right]).unwrap_err().to_string();
    assert!(e.contains(&format!("it comes with {pool}")), "{e}");
    assert!(d.begin_batch(0, &[right]).is_err());
}

#[test]
fn a_record_that_cannot_be_read_shuts_the_gate() {
    let mut d = dataset(40);
    d.split(&SplitParams::default()).unwrap();
    d.set_info("near_duplicates", serde_json::json!({ "from": "the future" }));
    let pool = one_of(&d, Split::Pool);
    assert!(matches!(d.training_gate([&pool]), Err(DatasetError::InfoShape { .. })));
    let before = d.clone();
    assert!(d.split(&SplitParams::default()).is_err());
    assert_eq!(d, before);
}

/// Components by repeated passes over all pairs.
fn components(n: usize, pairs: &[(usize, usize)]) -> Vec<usize> {
    let mut low: Vec<usize> = (0..n).collect();
    for _ in 0..n {
        for (a, b) in pairs {
            let least = low[*a].min(low[*b]);
            (low[*a], low[*b]) = (least, least);
        }
    }
    low
}

proptest! {
    #[test]
    fn merged_groups_are_the_components_of_the_definition(
        n in 1usize..30,
        raw in prop::collection::vec((0usize..30, 0usize..30), 0..40),
        seed: u64,
    ) {
        let pairs: Vec<(usize, usize)> = raw.into_iter().map(|(a, b)| (a % n, b % n)).collect();
        let sample = |i: usize| id(&format!("s{i:02}"));
        let group = |i: usize| key(&format!("g{i:02}"));
        let group_of: BTreeMap<SampleId, GroupKey> = (0..n).map(|i| (sample(i), group(i))).collect();
        let near = |order: &[usize]| {
            NearDuplicates::new(order.iter().map(|p| {
                NearDuplicate::new(sample(pairs[*p].1), sample(pairs[*p].0), Likeness::Content)
            }))
        };
        let straight: Vec<usize> = (0..pairs.len()).collect();
        let renamed = merge_groups(&group_of, &BTreeMap::new(), &near(&straight));
        let expected: BTreeMap<GroupKey, GroupKey> = components(n, &pairs)
            .into_iter()
            .enumerate()
            .filter(|(i, low)| i != low)
            .map(|(i, low)| (group(i), group(low)))
            .collect();
        prop_assert_eq!(&renamed, &expected);
        let shuffled = Seed::new(seed).permutation(pairs.len());
        prop_assert_eq!(merge_groups(&group_of, &BTreeMap::new(), &near(&shuffled)), renamed);
    }

    #[test]
    fn after_merging_only_old_groups_are_on_two_sides(
        n_old in 4usize..20,
        n_new in 1usize..20,
        raw in prop::collection::vec((0usize..80, 0usize..80), 0..30),
    ) {
        let mut d = pairs_of(2 * n_old);
        d.split(&SplitParams::default()).unwrap();
        let old = d.group_splits();
        let n = 2 * (n_old + n_new);
        let all = pairs_of(n);
        let records = all.samples().values().map(labelloop_dataset::Sample::to_record).collect();
        d.import(&set_of(records), GROUND_TRUTH, BoxPolicy::default()).unwrap();
        let ids: Vec<SampleId> = d.samples().keys().cloned().collect();
        let near = NearDuplicates::new(raw.into_iter().map(|(a, b)| {
            NearDuplicate::new(ids[a % n].clone(), ids[b % n].clone(), Likeness::Content)
        }));
        let split = d.split_guarded(&SplitParams::default(), &near, NearPolicy::Merge).unwrap();
        for (key, side) in &old {
            prop_assert_eq!(d.group_splits()[key], *side);
        }
        prop_assert!(split.merged.keys().all(|k| !old.contains_key(k)));
        for across in &split.across {
            let is_old = |id: &SampleId| old.contains_key(&d.samples()[id].group);
            prop_assert!(is_old(&across.pair.first) && is_old(&across.pair.second), "{across}");
        }
        prop_assert!(d.doctor().is_empty(), "{:?}", d.doctor());
        // What is on two sides with the pool is out of it, and the rest may be trained on.
        let free = d.unlabeled_pool();
        d.training_gate(free.ids()).unwrap();
        for id in split.quarantine.keys() {
            prop_assert!(d.training_gate([id]).is_err());
        }
        let again = d.split_guarded(&SplitParams::default(), &near, NearPolicy::Merge).unwrap();
        prop_assert_eq!((again.merged.len(), again.across), (0, split.across));
    }
}
