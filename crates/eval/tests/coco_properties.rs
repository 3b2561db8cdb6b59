//! COCO's protocol against a slow evaluation written from its definition, and what must hold for any input.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod common;

use common::{Picture, cases};
use labelloop_core::{BBox, ClassIdx, LabelledBox};
use labelloop_eval::coco::{self, CocoParams};
use labelloop_eval::{evaluate_at, failures, threshold, voc};
use proptest::prelude::*;

const N_CLASSES: usize = 3;

/// Labels, and detections of which most are near a label.
fn picture(id: usize) -> impl Strategy<Value = Picture> {
    let bbox = || (0.0..300.0f64, 0.0..300.0f64, 1.0..200.0f64, 1.0..200.0f64);
    let labels = prop::collection::vec((0u32..3, bbox(), prop::bool::weighted(0.1)), 0..6);
    let near = (any::<prop::sample::Index>(), -8.0..8.0f64, -8.0..8.0f64, 0.7..1.4f64, 0u32..12);
    let detections = prop::collection::vec((near, bbox(), 0u32..20), 0..8);
    (labels, detections).prop_map(move |(labels, detections)| {
        let mut picture = Picture::new(&format!("{id:03}"));
        for (class, (x, y, w, h), is_crowd) in &labels {
            let xywh = [*x, *y, *w, *h];
            picture = if *is_crowd { picture.crowd(*class, xywh) } else { picture.label(*class, xywh) };
        }
        for ((at, dx, dy, scale, class), (x, y, w, h), score) in detections {
            let score = f64::from(score) / 20.0;
            if labels.is_empty() || class == 0 {
                picture = picture.detection(class % 3, [x, y, w, h], score);
            } else {
                let (actual, (x, y, w, h), _) = at.get(&labels);
                let class = if class < 3 { class } else { *actual };
                picture = picture.detection(class, [x + dx, y + dy, w * scale, h / scale], score);
            }
        }
        picture
    })
}

fn pictures() -> impl Strategy<Value = Vec<Picture>> {
    (1usize..5).prop_flat_map(|n| (0..n).map(picture).collect::<Vec<_>>())
}

fn overlap(d: BBox, g: BBox, is_crowd: bool) -> f64 {
    let inter = d.intersection_area(g);
    if inter == 0.0 { 0.0 } else { inter / if is_crowd { d.area() } else { d.area() + g.area() - inter } }
}

/// Score, right, wrong for every detection of a class in a picture; and the number of labels that count.
fn match_by_definition(
    picture: &Picture,
    class: u32,
    threshold: f64,
    area: &coco::AreaRange,
    limit: usize,
) -> (Vec<(f64, bool, bool)>, usize) {
    let outside = |size: f64| size < area.min || area.max < size;
    let labels: Vec<&LabelledBox> = picture.labels.iter().filter(|l| l.class.0 == class).collect();
    let ignored: Vec<bool> = labels.iter().map(|l| l.is_crowd || outside(l.effective_area())).collect();
    let mut detections: Vec<_> = picture.detections.iter().filter(|d| d.class().0 == class).collect();
    detections.sort_by(|a, b| b.score().total_cmp(&a.score()));
    detections.truncate(limit);
    let mut free = vec![true; labels.len()];
    let mut verdicts = Vec::new();
    for d in detections {
        // Labels that count come first, then the larger overlap, then the later label.
        let best = (0..labels.len())
            .filter(|g| free[*g] || labels[*g].is_crowd)
            .map(|g| (!ignored[g], overlap(d.bbox(), labels[g].bbox, labels[g].is_crowd), g))
            .filter(|(_, o, _)| threshold.min(1.0 - 1e-10) <= *o)
            .max_by(|a, b| a.partial_cmp(b).unwrap());
        if let Some((counts, _, g)) = best {
            free[g] = false;
            verdicts.push((d.score(), counts, false));
        } else {
            verdicts.push((d.score(), false, !outside(d.bbox().area())));
        }
    }
    (verdicts, ignored.iter().filter(|i| !**i).count())
}

/// Precision at each recall as the definition has it: the best precision of any cut that reaches the recall.
fn precision_by_definition(
    pictures: &[Picture],
    params: &CocoParams,
    [t, k, a, m]: [usize; 4],
) -> Option<(Vec<f64>, f64)> {
    let (mut all, mut n_labels) = (Vec::new(), 0);
    for picture in pictures {
        let limit = params.max_dets[m];
        let (found, n) =
            match_by_definition(picture, k as u32, params.iou_thresholds[t], &params.areas[a], limit);
        all.extend(found);
        n_labels += n;
    }
    if n_labels == 0 {
        return None;
    }
    all.sort_by(|x, y| y.0.total_cmp(&x.0));
    let cuts: Vec<(f64, f64)> = (1..=all.len())
        .map(|n| {
            let tp = all[..n].iter().filter(|x| x.1).count() as f64;
            let fp = all[..n].iter().filter(|x| x.2).count() as f64;
            (tp / n_labels as f64, tp / (fp + tp + f64::EPSILON))
        })
        .collect();
    let at = |r: f64| cuts.iter().filter(|c| r <= c.0).map(|c| c.1).fold(0.0, f64::max);
    let recall = cuts.last().map_or(0.0, |c| c.0);
    Some((params.recall_thresholds.iter().map(|r| at(*r)).collect(), recall))
}

fn class_aps(pictures: &[Picture]) -> Vec<Option<f64>> {
    let result = coco::evaluate(&cases(pictures), N_CLASSES, &CocoParams::default()).unwrap();
    (0..N_CLASSES as u32).map(|k| result.class_ap(ClassIdx(k))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arrays_are_those_of_the_definition(pictures in pictures()) {
        let params = CocoParams { max_dets: vec![1, 3, 100], ..CocoParams::default() };
        let result = coco::evaluate(&cases(&pictures), N_CLASSES, &params).unwrap();
        for t in [0, 4, 9] {
            for (k, a, m) in (0..N_CLASSES).flat_map(|k| (0..4).flat_map(move |a| (0..3).map(move |m| (k, a, m)))) {
                let expected = precision_by_definition(&pictures, &params, [t, k, a, m]);
                for r in 0..101 {
                    let wanted = expected.as_ref().map(|e| e.0[r]);
                    prop_assert_eq!(result.precision_at([t, r, k, a, m]), wanted, "t {} r {} k {} a {} m {}", t, r, k, a, m);
                }
                prop_assert_eq!(result.recall_at([t, k, a, m]), expected.map(|e| e.1));
            }
        }
    }

    #[test]
    fn order_of_pictures_and_labels_is_of_no_matter(pictures in pictures()) {
        let mut turned: Vec<Picture> = pictures.iter().rev().cloned().collect();
        for picture in &mut turned {
            picture.labels.reverse();
        }
        let params = CocoParams::default();
        let result = coco::evaluate(&cases(&pictures), N_CLASSES, &params).unwrap();
        prop_assert_eq!(&result, &coco::evaluate(&cases(&turned), N_CLASSES, &params).unwrap());
        let report = evaluate_at(&cases(&pictures), N_CLASSES, 0.5, 0.3).unwrap();
        prop_assert_eq!(&report, &evaluate_at(&cases(&turned), N_CLASSES, 0.5, 0.3).unwrap());
        let best = threshold::best_f1(&cases(&pictures), N_CLASSES, 0.5).unwrap();
        prop_assert_eq!(best, threshold::best_f1(&cases(&turned), N_CLASSES, 0.5).unwrap());
    }

    #[test]
    fn shards_merge_in_any_order(pictures in pictures(), cut in 0usize..5) {
        let params = CocoParams::default();
        let all = cases(&pictures);
        let (left, right) = all.split_at(cut.min(all.len()));
        let shard = |part| coco::observe_all(part, N_CLASSES, &params).unwrap();
        let whole = coco::evaluate(&all, N_CLASSES, &params).unwrap();
        for (mut first, second) in [(shard(left), shard(right)), (shard(right), shard(left))] {
            first.merge(second).unwrap();
            prop_assert_eq!(&first.finish().unwrap(), &whole);
        }
    }

    #[test]
    fn replacing_pictures_is_evaluating_anew(pictures in pictures()) {
        let params = CocoParams::default();
        let mut changed = pictures.clone();
        changed[0].detections.truncate(1);
        let mut partial = coco::observe_all(&cases(&pictures), N_CLASSES, &params).unwrap();
        partial.replace(coco::observe(&changed[0].case(), N_CLASSES, &params).unwrap()).unwrap();
        prop_assert_eq!(partial.finish().unwrap(), coco::evaluate(&cases(&changed), N_CLASSES, &params).unwrap());
    }

    #[test]
    fn a_false_positive_never_raises_ap(pictures in pictures(), class in 0u32..3, score in 0.0..=1.0f64) {
        let mut worse = pictures.clone();
        worse[0] = worse[0].clone().detection(class, [5000.0, 5000.0, 40.0, 40.0], score);
        for (before, after) in class_aps(&pictures).into_iter().zip(class_aps(&worse)) {
            prop_assert!(after <= before, "{:?} {:?}", before, after);
        }
        let voc_of = |p: &[Picture]| voc::evaluate(&cases(p), N_CLASSES, 0.5, voc::VocMethod::AllPoint).unwrap();
        prop_assert!(voc_of(&worse).map <= voc_of(&pictures).map);
        let best = |p: &[Picture]| threshold::best_f1(&cases(p), N_CLASSES, 0.5).unwrap().map(|b| b.f1);
        if let Some(before) = best(&pictures) {
            prop_assert!(best(&worse).unwrap() <= before);
        }
    }

    #[test]
    fn perfect_predictions_give_the_perfect_value(pictures in pictures(), scores in prop::collection::vec(0.01..1.0f64, 30)) {
        let mut perfect = pictures.clone();
        let mut scores = scores.into_iter();
        for picture in &mut perfect {
            picture.labels.retain(|l| !l.is_crowd);
            picture.detections.clear();
            for label in picture.labels.clone() {
                *picture = picture.clone().detection(label.class.0, label.bbox.to_xywh(), scores.next().unwrap());
            }
        }
        let result = coco::evaluate(&cases(&perfect), N_CLASSES, &CocoParams::default()).unwrap();
        for k in 0..N_CLASSES {
            let n = result.n_labels[k][0];
            // The best of n/(n + spacing), which pycocotools rounds to 1 from two labels on.
            let value = (n != 0).then_some(if n == 1 { 0.9999999999999998 } else { 1.0 });
            prop_assert_eq!(result.precision_at([9, 100, k, 0, 2]), value);
            prop_assert_eq!(result.class_ap(ClassIdx(k as u32)), value);
            prop_assert_eq!(result.class_ar(ClassIdx(k as u32)).is_some_and(|ar| ar == 1.0), n != 0);
        }
        let report = evaluate_at(&cases(&perfect), N_CLASSES, 1.0, 0.0).unwrap();
        prop_assert_eq!((report.fp, report.fn_), (0, 0));
        prop_assert!(failures::find(&cases(&perfect), 1.0, 0.0).unwrap().is_empty());
    }

    #[test]
    fn counts_failures_and_confusions_add_up(pictures in pictures(), iou in 0.1..1.0f64, min_score in 0.0..1.0f64) {
        let report = evaluate_at(&cases(&pictures), N_CLASSES, iou, min_score).unwrap();
        let n_labels = pictures.iter().flat_map(|p| &p.labels).filter(|l| !l.is_crowd).count();
        prop_assert_eq!(report.tp + report.fn_, n_labels);
        let found = failures::find(&cases(&pictures), iou, min_score).unwrap();
        let n_missed = found.iter().filter(|f| f.kind.is_false_negative()).count();
        prop_assert_eq!((n_missed, found.len() - n_missed), (report.fn_, report.fp));
        prop_assert!(found.windows(2).all(|p| p[0].image <= p[1].image));
        let cells: u64 = report.confusion.counts.iter().sum();
        let diagonal: u64 = (0..3).map(|k| report.confusion.get(Some(ClassIdx(k)), Some(ClassIdx(k)))).sum();
        prop_assert_eq!(diagonal as usize, report.tp);
        for (k, class) in (0u32..).zip(&report.per_class) {
            let others = || (0..3).map(ClassIdx).map(Some).chain([None]);
            let row: u64 = others().map(|p| report.confusion.get(Some(ClassIdx(k)), p)).sum();
            let column: u64 = others().map(|a| report.confusion.get(a, Some(ClassIdx(k)))).sum();
            prop_assert_eq!((row as usize, column as usize), (class.tp + class.fn_, class.tp + class.fp));
        }
        prop_assert!(cells as usize <= n_labels + report.tp + report.fp);
    }

    #[test]
    fn best_f1_is_the_best_of_all_scores(pictures in pictures()) {
        let all = cases(&pictures);
        let Some(best) = threshold::best_f1(&all, N_CLASSES, 0.5).unwrap() else { return Ok(()) };
        for step in 0..=20 {
            let score = f64::from(step) / 20.0;
            let report = evaluate_at(&all, N_CLASSES, 0.5, score).unwrap();
            prop_assert!(report.f1.unwrap_or(0.0) <= best.f1);
            // Scores are multiples of a twentieth, so a higher one that is as good would have been found.
            prop_assert!(score <= best.score || report.f1.is_none_or(|f1| f1 < best.f1) || report.tp + report.fp == 0);
        }
        let together = threshold::best_thresholds(&all, N_CLASSES, 0.5).unwrap();
        for (k, found) in (0u32..).zip(&together.per_class) {
            let curve = threshold::class_curve(&all, N_CLASSES, 0.5, ClassIdx(k)).unwrap();
            let highest = curve.iter().map(|point| point.f1).fold(f64::NEG_INFINITY, f64::max);
            prop_assert_eq!(found.map(|b| b.f1), (!curve.is_empty()).then_some(highest));
        }
        prop_assert_eq!(together.overall, Some(best));
        let there = evaluate_at(&all, N_CLASSES, 0.5, best.score).unwrap();
        prop_assert_eq!((there.tp, there.fp, there.fn_, there.f1), (best.tp, best.fp, best.fn_, Some(best.f1)));
    }

    #[test]
    fn voc_area_is_that_of_steps(pictures in pictures()) {
        let all = cases(&pictures);
        let found = voc::evaluate(&all, N_CLASSES, 0.5, voc::VocMethod::AllPoint).unwrap();
        let eleven = voc::evaluate(&all, N_CLASSES, 0.5, voc::VocMethod::ElevenPoint).unwrap();
        for k in 0..N_CLASSES {
            let wide = coco::AreaRange { label: "any".into(), min: 0.0, max: f64::MAX };
            let (mut line, mut n_labels) = (Vec::new(), 0);
            for picture in &pictures {
                let (verdicts, n) = match_by_definition(picture, k as u32, 0.5, &wide, usize::MAX);
                line.extend(verdicts.into_iter().filter(|v| v.1 || v.2));
                n_labels += n;
            }
            line.sort_by(|a, b| b.0.total_cmp(&a.0));
            let cuts: Vec<(f64, f64)> = (1..=line.len())
                .map(|n| (line[..n].iter().filter(|v| v.1).count() as f64, n as f64))
                .map(|(tp, n)| (tp / n_labels as f64, tp / n))
                .collect();
            let best = |r: f64| cuts.iter().filter(|c| r <= c.0).map(|c| c.1).fold(0.0, f64::max);
            let steps: f64 = (1..=n_labels).map(|i| best(i as f64 / n_labels as f64) / n_labels as f64).sum();
            let mean: f64 = (0..11).map(|i| best(f64::from(i) * 0.1)).sum::<f64>() / 11.0;
            prop_assert_eq!(found.ap[k].is_some(), n_labels != 0);
            if let Some((area, points)) = found.ap[k].zip(eleven.ap[k]) {
                prop_assert!((area - steps).abs() < 1e-12 && (points - mean).abs() < 1e-12);
            }
        }
    }
}
