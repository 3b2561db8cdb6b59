//! The evaluation against KITTI's rules written down a second time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use kitti_support::{Owned, Rules, frame, frames, problem};
use labelloop_eval::kitti::{BoxFilter, Difficulty, KittiParams, Metric, Recall, evaluate};

mod kitti_support;

/// Compares all classes, metrics and difficulties; says how many curves have a label to find.
fn compare(owned: &[Owned], params: &KittiParams) -> usize {
    let result = evaluate(&frames(owned), params).unwrap();
    let mut n = 0;
    for class in &params.classes {
        let neighbours: Vec<&str> = class.neighbours.iter().map(String::as_str).collect();
        let rules = Rules {
            class: &class.name,
            neighbours: &neighbours,
            min_overlap: class.min_overlap,
            has_filter: params.filter == BoxFilter::Official,
        };
        for metric in Metric::ALL {
            for difficulty in Difficulty::ALL {
                let place = format!("{} {} {}", class.name, metric.name(), difficulty.name());
                let found = result.class(&class.name).unwrap().curve(metric, difficulty);
                let expected = rules.evaluate(owned, metric, difficulty);
                let (Some(found), Some(expected)) = (found, expected.as_ref()) else {
                    assert_eq!(found.is_some(), expected.is_some(), "{place}");
                    continue;
                };
                n += 1;
                assert_eq!(found.n_valid as usize, expected.n_gt, "{place}");
                assert_eq!(found.thresholds, expected.thresholds, "{place}");
                if metric == Metric::Aos {
                    for (a, b) in found.values.iter().zip(&expected.slots) {
                        assert!((a - b).abs() < 1e-12, "{place}: {a} {b}");
                    }
                    assert!((found.ap(Recall::R11) - expected.r11).abs() < 1e-10, "{place}");
                    assert!((found.ap(Recall::R40) - expected.r40).abs() < 1e-10, "{place}");
                } else {
                    assert_eq!(found.values, expected.slots, "{place}");
                    assert_eq!((found.r11, found.r40), (expected.r11, expected.r40), "{place}");
                }
            }
        }
    }
    n
}

fn sets() -> [KittiParams; 4] {
    let zero = |mut params: KittiParams| {
        params.classes.iter_mut().for_each(|class| class.min_overlap = [0.0, 0.1, 0.1]);
        params
    };
    let unfiltered = KittiParams { filter: BoxFilter::None, ..KittiParams::default() };
    [KittiParams::default(), KittiParams::loose(), unfiltered, zero(KittiParams::default())]
}

#[test]
fn one_frame_at_a_time() {
    let n: usize = (0..2000).map(|i| compare(&[frame(1, i)], &sets()[i % 4])).sum();
    assert!(15_000 < n, "{n} curves with a label to find");
}

#[test]
fn a_few_frames_at_a_time() {
    let n: usize = (0..200).map(|i| compare(&problem(1000 + i, 12), &sets()[i as usize % 4])).sum();
    assert!(5_000 < n, "{n} curves with a label to find");
}

#[test]
fn many_frames_at_a_time() {
    for i in 0..6 {
        let owned = problem(9000 + i, 300);
        assert!(
            100 < evaluate(&frames(&owned), &sets()[0]).unwrap().classes[0].curves[0][2]
                .as_ref()
                .unwrap()
                .n_valid
        );
        compare(&owned, &sets()[i as usize % 4]);
    }
}

#[test]
fn frames_that_lack_boxes_or_cuboids() {
    for i in 0..200u64 {
        let mut owned = problem(50_000 + i, 6);
        for (k, frame) in owned.iter_mut().enumerate() {
            for (j, label) in frame.labels.iter_mut().enumerate().filter(|(_, l)| l.class != "DontCare") {
                match (i as usize + j + k) % 5 {
                    0 => label.bbox = None,
                    1 => label.cuboid = None,
                    _ => {}
                }
            }
            for (j, detection) in frame.detections.iter_mut().enumerate() {
                match (i as usize + 2 * j + k) % 7 {
                    0 => detection.bbox = None,
                    1 => detection.cuboid = None,
                    _ => {}
                }
            }
        }
        // Numbers that are withheld where no detection has what is measured are told apart below.
        let result = evaluate(&frames(&owned), &sets()[(i % 4) as usize]).unwrap();
        let whole = result.classes.iter().all(|class| {
            let own = || {
                owned.iter().flat_map(|f| &f.detections).filter(|d| d.class.eq_ignore_ascii_case(&class.name))
            };
            own().count() == 0 || (own().any(|d| d.bbox.is_some()) && own().any(|d| d.cuboid.is_some()))
        });
        if whole {
            compare(&owned, &sets()[(i % 4) as usize]);
        }
    }
}
