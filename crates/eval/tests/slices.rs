//! Slices against COCO's areas, against evaluations of parts of the data, and by properties.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod common;

use std::collections::BTreeMap;

use common::{Picture, cases};
use labelloop_core::{GroupKey, SampleId};
use labelloop_eval::bootstrap::{BootstrapParams, Metric, ci};
use labelloop_eval::coco::{self, AreaRange, CocoParams};
use labelloop_eval::slices::{SliceBy, SliceParams, SliceReport, SliceRow, evaluate};
use labelloop_eval::{EvalError, evaluate_at};
use proptest::prelude::*;

fn report(pictures: &[Picture], by: &[SliceBy]) -> SliceReport {
    evaluate(&cases(pictures), 3, by, None, &SliceParams::default(), None).unwrap()
}

fn row<'r>(report: &'r SliceReport, by: &str, value: &str) -> &'r SliceRow {
    report.rows.iter().find(|r| r.by == by && r.value == value).unwrap()
}

/// At one IoU, without limits, with areas between those of [`labelloop_eval::failures::SizeBand`].
fn coco_at(pictures: &[Picture]) -> coco::CocoResult {
    let area = |label: &str, min, max| AreaRange { label: label.to_owned(), min, max };
    let params = CocoParams {
        iou_thresholds: vec![0.5],
        max_dets: vec![100_000],
        areas: vec![
            area("all", 0.0, 1e10),
            area("tiny", 0.0, 499.9),
            area("small", 500.0, 1023.9),
            area("medium", 1024.0, 9215.9),
            area("large", 9216.0, 1e10),
        ],
        ..CocoParams::default()
    };
    coco::evaluate(&cases(pictures), 3, &params).unwrap()
}

/// Labels far apart, so that matching anew for each area cannot differ.
fn apart() -> impl Strategy<Value = Vec<Picture>> {
    let object = (0u32..3, 1u8..13, prop::collection::vec((0u32..3, 0u8..30, 1u16..60_000), 0..4));
    let picture = prop::collection::vec(object, 0..6);
    prop::collection::vec(picture, 1..5).prop_map(|all| {
        let mut n = 0u32;
        let built = all.into_iter().enumerate().map(|(i, objects)| {
            let mut picture = Picture::new(&i.to_string());
            for (j, (class, side, detections)) in objects.into_iter().enumerate() {
                // Sides from 10 to 130: all four bands.
                let (x, side) = (j as f64 * 300.0, f64::from(side) * 10.0);
                picture = picture.label(class, [x, 0.0, side, side]);
                for (class, shift, score) in detections {
                    n += 1;
                    let score = f64::from(score) / 60_001.0 + f64::from(n) * 1e-8;
                    picture = picture.detection(class, [x + f64::from(shift), 0.0, side, side + 1.5], score);
                }
            }
            picture
        });
        built.collect()
    })
}

fn attributes(pictures: &[Picture]) -> (SliceBy, SliceBy) {
    let image = pictures.iter().enumerate();
    let image = image.map(|(i, p)| (p.id.clone(), if i % 2 == 0 { "day" } else { "night" }.to_owned()));
    let label = pictures.iter().map(|p| {
        let values = (0..p.labels.len()).map(|j| Some(if j % 2 == 0 { "yes" } else { "no" }.to_owned()));
        (p.id.clone(), values.collect())
    });
    let (image, label) = (image.collect(), label.collect());
    (
        SliceBy::Image { name: "light".to_owned(), values: image },
        SliceBy::Label { name: "occluded".to_owned(), values: label },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn sizes_are_cocos_areas_where_labels_lie_apart(pictures in apart()) {
        let result = coco_at(&pictures);
        let report = report(&pictures, &[SliceBy::Size]);
        for band in ["tiny", "small", "medium", "large"] {
            let found = report.rows.iter().find(|r| r.value == band);
            prop_assert_eq!(found.and_then(|r| r.ap.value), result.ap(Some(0.5), band, None), "{}", band);
        }
    }

    #[test]
    fn attributes_of_pictures_are_evaluations_of_those_pictures(pictures in apart()) {
        let (light, _) = attributes(&pictures);
        let params = SliceParams { min_score: 0.4, ..SliceParams::default() };
        let report = evaluate(&cases(&pictures), 3, &[light], None, &params, None).unwrap();
        for (value, parity) in [("day", 0), ("night", 1)] {
            let part: Vec<Picture> =
                pictures.iter().enumerate().filter(|(i, _)| i % 2 == parity).map(|(_, p)| p.clone()).collect();
            let Some(found) = report.rows.iter().find(|r| r.value == value) else { continue };
            let counts = evaluate_at(&cases(&part), 3, 0.5, 0.4).unwrap();
            prop_assert_eq!(found.ap.value, coco_at(&part).map());
            prop_assert_eq!(found.precision.value, counts.precision);
            prop_assert_eq!(found.recall.value, counts.recall);
            prop_assert_eq!(found.f1.value, counts.f1);
            prop_assert_eq!([found.tp, found.fp, found.fn_], [counts.tp, counts.fp, counts.fn_].map(|n| n as u64));
        }
    }

    #[test]
    fn slices_of_an_attribute_add_up_in_any_order_of_pictures(pictures in apart()) {
        let (light, occluded) = attributes(&pictures);
        let mut by = SliceBy::built_in();
        by.extend([light, occluded]);
        let whole = evaluate_at(&cases(&pictures), 3, 0.5, 0.0).unwrap();
        let found = report(&pictures, &by);
        for attribute in &by {
            let rows: Vec<_> = found.rows.iter().filter(|r| r.by == attribute.name()).collect();
            let sum = |of: fn(&SliceRow) -> u64| rows.iter().map(|r| of(r)).sum::<u64>() as usize;
            prop_assert_eq!((sum(|r| r.tp), sum(|r| r.fn_)), (whole.tp, whole.fn_), "{}", attribute.name());
            if !matches!(attribute, SliceBy::Label { .. }) {
                prop_assert_eq!(sum(|r| r.fp), whole.fp, "{}", attribute.name());
            }
        }
        let mut turned = cases(&pictures);
        turned.reverse();
        let turned = evaluate(&turned, 3, &by, None, &SliceParams::default(), None).unwrap();
        prop_assert_eq!(turned, found);
    }

    #[test]
    fn a_slice_of_everything_has_the_interval_of_everything(pictures in apart(), seed in any::<u64>()) {
        let values = pictures.iter().map(|p| (p.id.clone(), "all".to_owned())).collect();
        let by = [SliceBy::Image { name: "everything".to_owned(), values }];
        let draws = BootstrapParams { n_draws: 20, seed: labelloop_core::Seed::new(seed), ..Default::default() };
        let all = cases(&pictures);
        let found = evaluate(&all, 3, &by, None, &SliceParams::default(), Some(&draws)).unwrap();
        let records = coco::observe_all(&all, 3, &CocoParams::default()).unwrap();
        let expected = ci(&records, None, Metric::Map50, &draws).unwrap();
        if let Some(row) = found.rows.first() {
            prop_assert_eq!(row.ap, expected);
        }
    }
}

/// A crowded picture: two labels that overlap by 1/3, one alone in a corner, and wrong detections of every sort.
fn scene() -> Picture {
    Picture::new("a")
        .label(0, [300.0, 200.0, 40.0, 40.0])
        .label(0, [320.0, 200.0, 40.0, 40.0])
        .label(0, [0.0, 0.0, 100.0, 20.0])
        .detection(0, [300.0, 200.0, 40.0, 40.0], 0.9)
        .detection(0, [300.0, 200.0, 40.0, 40.0], 0.8)
        .detection(0, [600.0, 440.0, 10.0, 10.0], 0.7)
}

#[test]
fn built_in_attributes_of_a_scene() {
    let found = report(&[scene()], &SliceBy::built_in());
    let counts: Vec<_> =
        found.rows.iter().map(|r| (r.by.as_str(), r.value.as_str(), [r.tp, r.fp, r.fn_])).collect();
    assert_eq!(
        counts,
        [
            ("size", "tiny", [0, 1, 0]),
            ("size", "medium", [1, 1, 2]),
            ("position", "corner", [0, 1, 1]),
            ("position", "centre", [1, 1, 1]),
            ("crowding", "alone", [0, 1, 1]),
            ("crowding", "few", [1, 1, 1]),
            ("overlap", "free", [0, 1, 1]),
            ("overlap", "heavy", [1, 1, 1]),
            ("aspect", "usual", [1, 2, 1]),
            ("aspect", "unusual", [0, 0, 1]),
        ]
    );
    let crowded = SliceParams { crowded_from: 1, heavy_overlap: 0.5, ..SliceParams::default() };
    let by = [SliceBy::Crowding, SliceBy::Overlap];
    let found = evaluate(&cases(&[scene()]), 3, &by, None, &crowded, None).unwrap();
    assert_eq!((row(&found, "crowding", "crowded").tp, row(&found, "overlap", "slight").tp), (1, 1));
}

#[test]
fn contrasts_and_the_callers_own_values_take_background_everywhere() {
    let id = SampleId::new("a").unwrap();
    let contrasts = BTreeMap::from([(id.clone(), vec![Some(0.05), Some(0.5), Some(f64::NAN)])]);
    let values = vec![Some("yes".to_owned()), Some("no".to_owned()), None];
    let occluded = BTreeMap::from([(id, values)]);
    let by = [SliceBy::Contrast(contrasts), SliceBy::Label { name: "occluded".to_owned(), values: occluded }];
    let found = report(&[scene()], &by);
    // The duplicate goes with its label, the background detection with both values, the third label with none.
    for (attribute, with, without) in [("contrast", "low", "usual"), ("occluded", "yes", "no")] {
        let (with, without) = (row(&found, attribute, with), row(&found, attribute, without));
        assert_eq!(([with.tp, with.fp, with.fn_], with.n_labels), ([1, 2, 0], 1), "{attribute}");
        assert_eq!(([without.tp, without.fp, without.fn_], without.n_labels), ([0, 1, 1], 1));
    }
}

#[test]
fn lists_that_do_not_fit_are_refused() {
    let short = BTreeMap::from([(SampleId::new("a").unwrap(), vec![None])]);
    let found =
        evaluate(&cases(&[scene()]), 3, &[SliceBy::Contrast(short)], None, &SliceParams::default(), None);
    let said = found.unwrap_err().to_string();
    assert_eq!(said, "contrast of image a has 1 entries: expected 3, one for each label");
    let short = BTreeMap::from([(SampleId::new("a").unwrap(), vec![None])]);
    let by = [SliceBy::Label { name: "sun".to_owned(), values: short }];
    let found = evaluate(&cases(&[scene()]), 3, &by, None, &SliceParams::default(), None);
    assert!(matches!(found, Err(EvalError::LabelValues { .. })));
    let none = SliceBy::Label { name: "sun".to_owned(), values: BTreeMap::new() };
    assert!(report(&[scene()], &[none, SliceBy::Contrast(BTreeMap::new())]).rows.is_empty());
}

#[test]
fn groups_are_drawn_as_a_whole() {
    let pictures: Vec<Picture> = (0..6)
        .map(|i| {
            let picture = Picture::new(&i.to_string()).label(0, [0.0, 0.0, 40.0, 40.0]);
            if i < 3 { picture.detection(0, [0.0, 0.0, 40.0, 40.0], 0.5) } else { picture }
        })
        .collect();
    let draws = BootstrapParams::default();
    let with = |groups: Option<&BTreeMap<SampleId, GroupKey>>| {
        evaluate(&cases(&pictures), 1, &[SliceBy::Size], groups, &SliceParams::default(), Some(&draws))
    };
    let one = pictures.iter().map(|p| (p.id.clone(), GroupKey::new("drive").unwrap())).collect();
    let row = &with(Some(&one)).unwrap().rows[0];
    assert_eq!((row.recall.low, row.recall.high, row.recall.n_groups), (Some(0.5), Some(0.5), 1));
    let row = &with(None).unwrap().rows[0];
    assert!(row.recall.low < Some(0.5) && Some(0.5) < row.recall.high && row.n_images == 6);
    assert!(matches!(with(Some(&BTreeMap::new())), Err(EvalError::MissingGroup { .. })));
    assert!(row.ap.low <= row.ap.value && row.f1.n_draws <= 200);
}

#[test]
fn crowds_lie_in_no_slice_and_the_table_prints() {
    let pictures = [Picture::new("a")
        .crowd(0, [0.0, 0.0, 100.0, 100.0])
        .label(0, [300.0, 0.0, 40.0, 40.0])
        .detection(0, [0.0, 0.0, 10.0, 10.0], 0.9)];
    let found = report(&pictures, &[SliceBy::Size, SliceBy::Crowding]);
    assert_eq!(found.rows.len(), 2);
    let text = found.to_string();
    let expected = "\
slice           images   labels  AP50                  precision             recall                F1
size medium          1        1  0.000                 -                     0.000                 0.000
crowding alone       1        1  0.000                 -                     0.000                 0.000
";
    let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(trimmed, expected.lines().collect::<Vec<_>>());
    let json = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<SliceReport>(&json).unwrap(), found);
    assert!(report(&[], &SliceBy::built_in()).rows.is_empty());
}

#[test]
fn parameters_are_checked_and_their_defaults_documented() {
    let p = SliceParams::default();
    assert_eq!((p.iou, p.min_score, p.crowded_from, p.heavy_overlap), (0.5, 0.0, 3, 0.2));
    assert_eq!((p.max_aspect, p.low_contrast), (3.0, 0.1));
    let refused = |change: fn(&mut SliceParams)| {
        let mut params = SliceParams::default();
        change(&mut params);
        assert!(evaluate(&[], 0, &[], None, &params, None).is_err(), "the verb checks too");
        params.check().is_err()
    };
    assert!(refused(|p| p.iou = f64::NAN) && refused(|p| p.min_score = f64::NAN));
    assert!(refused(|p| p.crowded_from = 0) && refused(|p| p.heavy_overlap = f64::NAN));
    assert!(refused(|p| p.max_aspect = 0.5) && refused(|p| p.max_aspect = f64::INFINITY));
    assert!(refused(|p| p.low_contrast = f64::NAN) && refused(|p| p.low_contrast = -1.0));
    assert_eq!(p.clone().check().unwrap().get(), &p);
    let draws = BootstrapParams { n_draws: 0, ..BootstrapParams::default() };
    assert!(evaluate(&[], 0, &[], None, &p, Some(&draws)).is_err());
}
