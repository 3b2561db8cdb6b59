//! FiftyOne's rules case by case, worked by hand, and where they must agree with COCO's.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod common;

use common::{Picture, cases};
use labelloop_eval::evaluate_at;
use labelloop_eval::fiftyone::{FiftyoneImage, FiftyoneParams, FiftyoneVerdict, evaluate};
use proptest::prelude::*;

const BOX: [f64; 4] = [0.0, 0.0, 10.0, 10.0];
const FAR: [f64; 4] = [100.0, 0.0, 10.0, 10.0];

fn of(picture: Picture, classwise: bool) -> FiftyoneImage {
    let params = FiftyoneParams { classwise, ..FiftyoneParams::default() };
    evaluate(&cases(&[picture]), &params).unwrap().remove(0)
}

fn counts(image: &FiftyoneImage) -> [usize; 3] {
    [image.tp, image.fp, image.fn_]
}

#[test]
fn the_surer_prediction_goes_first_and_takes_the_largest_overlap() {
    // The first overlaps both labels by 2/3 and 1; the surer one only the second, by 1.
    let picture = Picture::new("a")
        .label(0, [0.0, 0.0, 10.0, 10.0])
        .label(0, [2.0, 0.0, 10.0, 10.0])
        .detection(0, [2.0, 0.0, 10.0, 10.0], 0.6)
        .detection(0, [2.0, 0.0, 10.0, 10.0], 0.9);
    let found = of(picture, true);
    assert_eq!(counts(&found), [2, 0, 0]);
    assert_eq!((found.detections[1].matched, found.detections[1].iou), (Some(1), Some(1.0)));
    assert_eq!((found.detections[0].matched, found.detections[0].iou), (Some(0), Some(80.0 / 120.0)));
    assert_eq!(found.labels[0].matched, Some(0));
}

#[test]
fn an_overlap_of_exactly_the_threshold_matches() {
    let picture = Picture::new("a").label(0, BOX).detection(0, [0.0, 0.0, 10.0, 5.0], 0.5);
    assert_eq!(counts(&of(picture, true)), [1, 0, 0]);
}

#[test]
fn other_classes_are_not_matched_classwise() {
    let picture = Picture::new("a").label(0, BOX).detection(1, BOX, 0.9);
    let found = of(picture, true);
    assert_eq!(counts(&found), [0, 1, 1]);
    assert_eq!((found.detections[0].matched, found.labels[0].matched), (None, None));
}

#[test]
fn without_classwise_a_pair_of_classes_is_one_match_and_two_errors() {
    // The wrong class is surer and takes the label away from the right one.
    let picture = Picture::new("a").label(0, BOX).detection(1, BOX, 0.9).detection(0, BOX, 0.5);
    let found = of(picture.clone(), false);
    assert_eq!(counts(&found), [0, 2, 1]);
    assert_eq!((found.detections[0].matched, found.labels[0].matched), (Some(0), Some(0)));
    assert_eq!(found.detections[1].matched, None);
    assert_eq!(counts(&of(picture, true)), [1, 1, 0]);
}

#[test]
fn every_prediction_in_a_crowd_is_a_true_positive() {
    let picture = Picture::new("a")
        .crowd(0, [0.0, 0.0, 100.0, 100.0])
        .detection(0, [0.0, 0.0, 10.0, 10.0], 0.9)
        .detection(0, [50.0, 50.0, 10.0, 10.0], 0.8)
        .detection(1, [50.0, 50.0, 10.0, 10.0], 0.7);
    for classwise in [true, false] {
        let found = of(picture.clone(), classwise);
        assert_eq!(counts(&found), [2, 1, 0], "classwise {classwise}");
        // An overlap over the prediction's area, and the first match stays in the label's record.
        assert_eq!((found.labels[0].verdict, found.labels[0].matched), (FiftyoneVerdict::Tp, Some(0)));
        assert_eq!(found.detections[1].iou, Some(1.0));
    }
}

#[test]
fn an_empty_crowd_is_a_false_negative() {
    let picture = Picture::new("a").crowd(0, BOX).detection(0, FAR, 0.5);
    assert_eq!(counts(&of(picture.clone(), true)), [0, 1, 1]);
    let coco = evaluate_at(&cases(&[picture]), 1, 0.5, 0.0).unwrap();
    assert_eq!((coco.tp, coco.fp, coco.fn_), (0, 1, 0));
}

#[test]
fn a_free_label_goes_before_a_crowd() {
    let picture = Picture::new("a")
        .crowd(0, [0.0, 0.0, 100.0, 100.0])
        .label(0, BOX)
        .detection(0, [0.0, 0.0, 10.0, 9.0], 0.9)
        .detection(0, BOX, 0.8);
    let found = of(picture, true);
    assert_eq!(counts(&found), [2, 0, 0]);
    assert_eq!((found.detections[0].matched, found.detections[1].matched), (Some(1), Some(0)));
}

#[test]
fn no_objects_have_no_verdicts_and_bad_parameters_are_refused() {
    assert_eq!(counts(&of(Picture::new("a"), true)), [0, 0, 0]);
    assert_eq!(counts(&of(Picture::new("a").label(7, BOX), true)), [0, 0, 1]);
    let params = FiftyoneParams::default();
    assert_eq!((params.iou, params.classwise), (0.5, true));
    for iou in [f64::NAN, 0.0, 1.5] {
        let params = FiftyoneParams { iou, ..FiftyoneParams::default() };
        assert!(evaluate(&[], &params).is_err(), "the verb checks too");
        assert!(params.check().is_err());
    }
    assert_eq!(params.clone().check().unwrap().get(), &params);
    let json = serde_json::to_value(of(Picture::new("a").label(0, BOX), true)).unwrap();
    assert_eq!(json["labels"][0]["verdict"], "fn");
}

fn pictures() -> impl Strategy<Value = Vec<Picture>> {
    let label = (0u32..3, 0u8..9, 0u8..20);
    let detection = (0u32..3, 0u8..9, 0u8..25, 0u8..=8);
    let picture = (prop::collection::vec(label, 0..5), prop::collection::vec(detection, 0..7));
    prop::collection::vec(picture, 1..4).prop_map(|all| {
        let place = |place: u8, shift: u8| {
            [f64::from(place % 3) * 30.0 + f64::from(shift), f64::from(place / 3) * 30.0, 40.0, 40.0]
        };
        let built = all.into_iter().enumerate().map(|(i, (labels, detections))| {
            let mut picture = Picture::new(&i.to_string());
            for (class, at, shift) in labels {
                picture = picture.label(class, place(at, shift));
            }
            for (class, at, shift, score) in detections {
                picture = picture.detection(class, place(at, shift), f64::from(score) / 8.0);
            }
            picture
        });
        built.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn without_crowds_it_is_cocos_matching(pictures in pictures()) {
        let found = evaluate(&cases(&pictures), &FiftyoneParams::default()).unwrap();
        let coco = evaluate_at(&cases(&pictures), 3, 0.5, 0.0).unwrap();
        for (image, expected) in found.iter().zip(&coco.images) {
            prop_assert_eq!((&image.id, counts(image)), (&expected.id, [expected.tp, expected.fp, expected.fn_]));
        }
    }

    #[test]
    fn matches_are_pairs_in_either_mode(pictures in pictures(), classwise in any::<bool>()) {
        let params = FiftyoneParams { classwise, ..FiftyoneParams::default() };
        for image in evaluate(&cases(&pictures), &params).unwrap() {
            for (i, label) in image.labels.iter().enumerate() {
                prop_assert!(label.matched.is_none_or(|d| image.detections[d].matched == Some(i)));
                prop_assert_eq!(label.matched.is_some(), label.iou.is_some());
            }
            prop_assert_eq!(image.tp + image.fp, image.detections.len());
            prop_assert_eq!(image.tp + image.fn_, image.labels.len());
        }
    }
}
