//! The built-in detector on small generated pictures: it learns, and nothing but its input decides what.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use labelloop_core::{BBox, ClassIdx, ImageSize, LabelledBox, SampleId, ScoredBox, Seed};
use labelloop_media::RgbImage;
use labelloop_train::{GridDetector, GridLearner, GridParams, GridValidParams, TrainError};
use proptest::prelude::*;

type Sample = (SampleId, RgbImage, Vec<LabelledBox>);

fn params(change: impl FnOnce(&mut GridParams)) -> GridValidParams {
    let mut params =
        GridParams { stride: Some(8), n_random_features: 120, lambda: 3.0, ..GridParams::default() };
    change(&mut params);
    params.check().unwrap()
}

/// A noisy grey picture with bright squares (class 0) and dark wide boxes (class 1), 192 x 144.
fn scene(number: u64) -> Sample {
    let seed = Seed::new(number).stream("scene");
    let (w, h) = (192usize, 144usize);
    let mut light: Vec<f64> =
        (0..w * h).map(|i| 120.0 + 8.0 * seed.stream("noise").normal(i as u64)).collect();
    let mut labels = Vec::new();
    for slot in 0..4u64 {
        let class = (seed.bits(slot) % 2) as u32;
        let side = 20 + seed.stream("size").below(slot, 14);
        let (bw, bh) = if class == 0 { (side, side) } else { (side + 16, side - 4) };
        let left = (slot as usize % 2) * 96 + seed.stream("x").below(slot, 96 - bw);
        let top = (slot as usize / 2) * 72 + seed.stream("y").below(slot, 72 - bh);
        for y in top..top + bh {
            for x in left..left + bw {
                light[y * w + x] += if class == 0 { 80.0 } else { -80.0 };
            }
        }
        let bbox = BBox::new(left as f64, top as f64, bw as f64, bh as f64).unwrap();
        labels.push(LabelledBox::new(ClassIdx(class), bbox));
    }
    let pixels = light.iter().flat_map(|v| [v.clamp(0.0, 255.0) as u8; 3]).collect();
    let image = RgbImage::new(ImageSize::new(w as u32, h as u32).unwrap(), pixels).unwrap();
    (SampleId::new(format!("scene-{number}")).unwrap(), image, labels)
}

fn fitted(params: &GridValidParams, samples: &[Sample]) -> GridDetector {
    let mut learner = GridLearner::new(params, 2);
    samples.iter().for_each(|(id, image, labels)| learner.add(id, image, labels).unwrap());
    learner.fit().unwrap()
}

fn scenes(numbers: std::ops::Range<u64>) -> Vec<Sample> {
    numbers.map(scene).collect()
}

/// Share of the labels that a detection of their class overlaps by half.
fn recall(detector: &GridDetector, samples: &[Sample]) -> f64 {
    let (mut hit, mut all) = (0, 0);
    for (_, image, labels) in samples {
        let found = detector.detect(image).unwrap();
        let strong: Vec<&ScoredBox> = found.iter().filter(|f| 0.3 <= f.score()).collect();
        all += labels.len();
        hit += labels
            .iter()
            .filter(|l| strong.iter().any(|f| f.class() == l.class && 0.5 <= f.bbox().iou(l.bbox)))
            .count();
    }
    f64::from(hit as u32) / all as f64
}

#[test]
fn a_dozen_pictures_teach_two_classes() {
    let detector = fitted(&params(|_| ()), &scenes(0..12));
    let found = recall(&detector, &scenes(100..110));
    assert!(0.9 <= found, "{found}");
    assert_eq!((detector.n_classes(), detector.stride()), (2, 8));
}

#[test]
fn the_stride_is_chosen_from_the_labels() {
    let detector = fitted(&params(|p| p.stride = None), &scenes(0..6));
    assert_eq!(detector.stride(), 4);
}

#[test]
fn the_order_of_adding_changes_no_bit() {
    for stride in [Some(8), None] {
        let params = params(|p| p.stride = stride);
        let mut samples = scenes(0..5);
        let forwards = fitted(&params, &samples).to_bytes();
        samples.reverse();
        assert_eq!(fitted(&params, &samples).to_bytes(), forwards);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let samples = scenes(0..20);
    let labels: Vec<_> = samples.iter().map(|(id, _, labels)| (id.clone(), labels.clone())).collect();
    for stride in [Some(8), None] {
        let bytes = |n_threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| {
                let mut learner = GridLearner::new(&params(|p| p.stride = stride), 2);
                let load = |id: &SampleId| -> Result<RgbImage, TrainError> {
                    Ok(samples.iter().find(|s| s.0 == *id).unwrap().1.clone())
                };
                learner.add_all(&labels, load).unwrap();
                assert_eq!(learner.n_images(), 20);
                learner.fit().unwrap().to_bytes()
            })
        };
        let one = bytes(1);
        assert_eq!(one, bytes(3));
        assert_eq!(one, fitted(&params(|p| p.stride = stride), &samples).to_bytes(), "one by one");
    }
}

#[test]
fn adding_later_is_adding_at_once() {
    for stride in [Some(8), None] {
        let params = params(|p| p.stride = stride);
        let mut learner = GridLearner::new(&params, 2);
        for (id, image, labels) in scenes(0..3) {
            learner.add(&id, &image, &labels).unwrap();
        }
        learner.fit().unwrap();
        for (id, image, labels) in scenes(3..6) {
            learner.add(&id, &image, &labels).unwrap();
        }
        assert_eq!(learner.fit().unwrap().to_bytes(), fitted(&params, &scenes(0..6)).to_bytes());
        assert_eq!(learner.n_images(), 6);
    }
}

#[test]
fn labels_that_change_the_stride_change_it_for_all() {
    let params = params(|p| p.stride = None);
    let big = |number| {
        let (id, image, _) = scene(number);
        let label = LabelledBox::new(ClassIdx(0), BBox::new(10.0, 10.0, 130.0, 120.0).unwrap());
        (id, image, vec![label])
    };
    let all: Vec<Sample> = (0..2).map(scene).chain((2..40).map(big)).collect();
    let mut learner = GridLearner::new(&params, 2);
    all[..2].iter().for_each(|(id, image, labels)| learner.add(id, image, labels).unwrap());
    assert_eq!(learner.fit().unwrap().stride(), 4);
    all[2..].iter().for_each(|(id, image, labels)| learner.add(id, image, labels).unwrap());
    let later = learner.fit().unwrap();
    assert_ne!(later.stride(), 4);
    assert_eq!(later.to_bytes(), fitted(&params, &all).to_bytes());
}

#[test]
fn features_and_partials_shared_by_learners_give_the_same_detector() {
    let params = params(|_| ());
    let samples = scenes(0..4);
    let (mut first, mut second) = (GridLearner::new(&params, 2), GridLearner::new(&params, 2));
    for (id, image, labels) in &samples {
        let features = first.features(image).unwrap();
        assert_eq!(features.n_bytes(), 24 * 18 * 121 * 4);
        let part = first.partial(id, &features, labels).unwrap();
        assert_eq!(part.n_objects(), 4);
        first.add_partial(id, &part).unwrap();
        second.add_features(id, &features, labels).unwrap();
    }
    let detector = first.fit().unwrap();
    assert_eq!(detector.to_bytes(), second.fit().unwrap().to_bytes());
    assert_eq!(detector.to_bytes(), fitted(&params, &samples).to_bytes());
    let image = &samples[0].1;
    let kept = detector.detect_features(&detector.features(image)).unwrap();
    let direct = detector.detect(image).unwrap();
    assert_eq!(kept.len(), direct.len());
    for (a, b) in kept.iter().zip(&direct) {
        assert!(
            a.class() == b.class() && (a.score() - b.score()).abs() < 1e-4 && 0.99 < a.bbox().iou(b.bbox())
        );
    }
}

#[test]
fn taking_out_undoes_adding_to_the_bit() {
    let params = params(|_| ());
    let mut learner = GridLearner::new(&params, 2);
    let samples = scenes(0..4);
    let mut parts = Vec::new();
    for (id, image, labels) in &samples {
        let part = learner.partial(id, &learner.features(image).unwrap(), labels).unwrap();
        learner.add_partial(id, &part).unwrap();
        parts.push(part);
    }
    learner.remove_partial(&samples[1].0, &parts[1]).unwrap();
    assert!(!learner.contains(&samples[1].0) && learner.contains(&samples[0].0));
    let without = [samples[0].clone(), samples[2].clone(), samples[3].clone()];
    assert_eq!(learner.fit().unwrap().to_bytes(), fitted(&params, &without).to_bytes());
    let again = learner.remove_partial(&samples[1].0, &parts[1]).unwrap_err();
    assert!(matches!(again, TrainError::UnknownSample { .. }), "{again:?}");
}

#[test]
fn verified_empty_pictures_lower_what_is_found_in_them() {
    // What looks like the classes, said to be nothing: the learner must give way, though four pictures speak against.
    let mut samples = scenes(0..4);
    let (id, image, _) = scene(50);
    let score = |d: &GridDetector| d.detect(&image).unwrap().iter().map(ScoredBox::score).sum::<f64>();
    let before = score(&fitted(&params(|_| ()), &samples));
    samples.push((id, image.clone(), Vec::new()));
    let after = score(&fitted(&params(|_| ()), &samples));
    assert!(after < 0.95 * before, "{before} {after}");
}

#[test]
fn crowds_and_degenerate_boxes_teach_nothing_where_they_are() {
    let (id, image, labels) = scene(0);
    let whole = BBox::new(0.0, 0.0, 192.0, 144.0).unwrap();
    let crowd = LabelledBox { is_crowd: true, ..LabelledBox::new(ClassIdx(0), whole) };
    let params = params(|_| ());
    let learner = GridLearner::new(&params, 2);
    let features = learner.features(&image).unwrap();
    let part = |labels: &[LabelledBox]| learner.partial(&id, &features, labels).unwrap();
    assert_eq!(part(std::slice::from_ref(&crowd)).n_objects(), 0);
    let degenerate = LabelledBox::new(ClassIdx(0), BBox::new(50.0, 0.0, 0.0, 144.0).unwrap());
    assert_eq!(part(std::slice::from_ref(&degenerate)).n_objects(), 0);
    assert_ne!(part(&[degenerate]), part(&[]), "the cells that it touches are left out");
    let mut both = labels.clone();
    both.push(crowd);
    assert_eq!(part(&both).n_objects(), 4);
    assert_ne!(part(&both), part(&labels));
}

#[test]
fn boxes_outside_the_picture_are_no_objects() {
    let (id, image, _) = scene(0);
    let out = LabelledBox::new(ClassIdx(0), BBox::new(-50.0, -50.0, 20.0, 20.0).unwrap());
    let mut learner = GridLearner::new(&params(|_| ()), 2);
    learner.add(&id, &image, &[out]).unwrap();
    assert!(matches!(learner.fit(), Err(TrainError::NoPositiveLabel { n_images: 1 })));
}

#[test]
fn nothing_to_learn_from_is_refused() {
    for stride in [Some(8), None] {
        let params = params(|p| p.stride = stride);
        assert!(matches!(GridLearner::new(&params, 2).fit(), Err(TrainError::NothingAdded)));
        let mut learner = GridLearner::new(&params, 2);
        let (id, image, _) = scene(0);
        learner.add(&id, &image, &[]).unwrap();
        assert!(matches!(learner.fit(), Err(TrainError::NoPositiveLabel { n_images: 1 })));
    }
}

#[test]
fn impossible_class_counts_alien_classes_and_repeats_are_refused() {
    let (id, image, labels) = scene(0);
    for stride in [Some(8), None] {
        let params = params(|p| p.stride = stride);
        for n_classes in [0, usize::MAX] {
            let refused = GridLearner::new(&params, n_classes).add(&id, &image, &[]);
            assert!(matches!(refused, Err(TrainError::ClassCount { found, .. }) if found == n_classes));
        }
        let mut learner = GridLearner::new(&params, 1);
        let alien = [LabelledBox::new(ClassIdx(1), labels[0].bbox)];
        let refused = learner.add(&id, &image, &alien).unwrap_err();
        assert!(matches!(refused, TrainError::ClassOutOfRange { found: 1, n_classes: 1, .. }), "{refused:?}");
        assert_eq!(learner.n_images(), 0);
        learner.add(&id, &image, &[]).unwrap();
        assert!(matches!(learner.add(&id, &image, &[]), Err(TrainError::DuplicateSample { .. })));
    }
}

#[test]
fn a_failing_load_adds_nothing() {
    for stride in [Some(8), None] {
        let mut learner = GridLearner::new(&params(|p| p.stride = stride), 2);
        let samples: Vec<_> = scenes(0..18).into_iter().map(|(id, _, labels)| (id, labels)).collect();
        let load = |id: &SampleId| -> Result<RgbImage, TrainError> {
            if id.as_str() == "scene-17" { Err(TrainError::NothingAdded) } else { Ok(scene(1).1) }
        };
        assert!(learner.add_all(&samples, load).is_err());
        assert_eq!(learner.n_images(), 0);
        let twice = [samples[0].clone(), samples[0].clone()];
        assert!(matches!(learner.add_all(&twice, load), Err(TrainError::DuplicateSample { .. })));
    }
}

#[test]
fn strangers_are_refused() {
    let (id, image, labels) = scene(0);
    let unsettled = GridLearner::new(&params(|p| p.stride = None), 2);
    assert!(matches!(unsettled.features(&image), Err(TrainError::StrideNotSettled)));
    let coarse = GridLearner::new(&params(|p| p.stride = Some(16)), 2);
    let features = coarse.features(&image).unwrap();
    let mut fine = GridLearner::new(&params(|_| ()), 2);
    assert!(matches!(fine.partial(&id, &features, &labels), Err(TrainError::Incompatible { .. })));
    let part = coarse.partial(&id, &features, &labels).unwrap();
    assert!(matches!(fine.add_partial(&id, &part), Err(TrainError::Incompatible { .. })));
    let three = GridLearner::new(&params(|_| ()), 3);
    let part = three.partial(&id, &three.features(&image).unwrap(), &labels).unwrap();
    assert!(matches!(fine.add_partial(&id, &part), Err(TrainError::Incompatible { .. })));
    let detector = fitted(&params(|_| ()), &scenes(0..2));
    assert!(matches!(detector.detect_features(&features), Err(TrainError::Incompatible { .. })));
}

#[test]
fn the_file_gives_back_the_same_detector() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("detector.bin");
    for stride in [Some(8), None] {
        let detector = fitted(&params(|p| p.stride = stride), &scenes(0..3));
        detector.save(&path).unwrap();
        let back = GridDetector::load(&path).unwrap();
        assert_eq!(back.to_bytes(), detector.to_bytes());
        let image = scene(9).1;
        assert_eq!(back.detect(&image).unwrap(), detector.detect(&image).unwrap());
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the file");
}

#[test]
fn damaged_and_alien_files_are_refused() {
    let bytes = fitted(&params(|p| p.n_random_features = 16), &scenes(0..1)).to_bytes();
    assert!(GridDetector::from_bytes(&bytes).is_ok());
    for length in 0..bytes.len() {
        let cut = GridDetector::from_bytes(&bytes[..length]);
        assert!(matches!(cut, Err(TrainError::NotADetector { .. })), "{length}");
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert!(GridDetector::from_bytes(&changed).is_err(), "{at}");
    }
    assert!(GridDetector::from_bytes(b"\x89PNG\r\n").is_err());
    let mut longer = bytes;
    longer.push(0);
    assert!(GridDetector::from_bytes(&longer).is_err());
}

#[test]
fn files_that_are_not_there_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("no/detector.bin");
    assert!(matches!(GridDetector::load(&nowhere), Err(TrainError::Io { path, .. }) if path == nowhere));
    let detector = fitted(&params(|p| p.n_random_features = 16), &scenes(0..1));
    assert!(matches!(detector.save(&nowhere), Err(TrainError::Io { .. })));
}

#[test]
fn detections_keep_their_promises() {
    let detector = fitted(&params(|p| p.max_detections = 7), &scenes(0..3));
    for number in 20..26 {
        let (_, image, _) = scene(number);
        let found = detector.detect(&image).unwrap();
        assert!(found.len() <= 7);
        assert!(found.windows(2).all(|w| w[1].score() <= w[0].score()));
        for (i, a) in found.iter().enumerate() {
            assert!(a.bbox().is_inside(image.size(), 1e-9) && !a.bbox().is_degenerate());
            let rivals = found[..i].iter().filter(|b| b.class() == a.class());
            assert!(rivals.into_iter().all(|b| b.bbox().iou(a.bbox()) <= 0.5));
        }
    }
}

#[test]
fn another_seed_is_another_detector() {
    let bytes = |seed| fitted(&params(|p| p.seed = Seed::new(seed)), &scenes(0..2)).to_bytes();
    assert_ne!(bytes(1), bytes(2));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Pictures of one pixel, thin strips, constant colours: never a panic, always promises kept.
    #[test]
    fn pictures_of_any_shape_are_taken(w in 1u32..70, h in 1u32..70, shade in 0u8.., x in -10.0..60.0f64, y in -10.0..60.0f64, bw in 0.0..90.0f64, bh in 0.0..90.0f64) {
        let size = ImageSize::new(w, h).unwrap();
        let image = RgbImage::new(size, vec![shade; (3 * w * h) as usize]).unwrap();
        let label = LabelledBox::new(ClassIdx(0), BBox::new(x, y, bw, bh).unwrap());
        let params = params(|p| { p.n_random_features = 16; p.stride = None; p.score_floor = 0.0; });
        let mut learner = GridLearner::new(&params, 1);
        learner.add(&SampleId::new("a").unwrap(), &image, std::slice::from_ref(&label)).unwrap();
        match learner.fit() {
            Ok(detector) => {
                for found in detector.detect(&image).unwrap() {
                    prop_assert!(found.bbox().is_inside(size, 1e-9));
                }
            }
            Err(refused) => {
                let expected = matches!(refused, TrainError::NoPositiveLabel { n_images: 1 });
                prop_assert!(expected, "{}", refused);
                prop_assert!(label.bbox.clipped(size).is_none());
            }
        }
    }
}
