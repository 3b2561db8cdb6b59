use rayon::prelude::*;

use super::CocoValidParams;
use super::order::falling;
use super::record::{ClassRecord, ImageRecord};

/// Detections of one class over all pictures, best score first, in the order of pictures among equals; those beyond
/// the largest detection limit are not in it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Line {
    /// Labels that count, for each area.
    pub(super) n_labels: Vec<u64>,
    pub(super) scores: Vec<f64>,
    /// How many detections of the class come before in the same picture.
    pub(super) places: Vec<u32>,
    /// Places of the pictures in their order.
    pub(super) images: Vec<u32>,
    /// Words of each detection: where it is right.
    pub(super) tp: Vec<u64>,
    /// Words of each detection: where it is wrong.
    pub(super) fp: Vec<u64>,
}

/// One detection in a [`Line`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) score: f64,
    pub(crate) image: usize,
    tp: &'a [u64],
    fp: &'a [u64],
}

impl Entry<'_> {
    /// Whether the detection is a true positive at a bit of area and threshold.
    pub(crate) fn is_tp(&self, bit: usize) -> bool {
        self.tp[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// Whether the detection is a false positive at a bit of area and threshold.
    pub(crate) fn is_fp(&self, bit: usize) -> bool {
        self.fp[bit / 64] >> (bit % 64) & 1 == 1
    }
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.scores.len()
    }

    /// Adds a detection whose words are there already.
    pub(super) fn push(&mut self, score: f64, place: u32, image: u32) {
        self.scores.push(score);
        self.places.push(place);
        self.images.push(image);
    }

    /// One line of parts whose detections stand by picture and place, the parts in the order of pictures.
    pub(super) fn joined(parts: &[Self], n_areas: usize) -> Self {
        let numbered = (0u32..).zip(parts).flat_map(|(p, part)| {
            part.scores.iter().zip(0u32..).map(move |(score, i)| (falling(*score), p, i))
        });
        let mut order: Vec<(u64, u32, u32)> = numbered.collect();
        // Stable, so pictures, and detections of a picture, stay in their order among equals.
        order.par_sort_by_key(|(key, _, _)| *key);
        let n_words = parts.iter().map(Self::n_words).max().unwrap_or(0);
        let in_order = || order.iter().map(|(_, p, i)| (&parts[*p as usize], *i as usize));
        let words = |of: fn(&Self) -> &[u64]| {
            let mut words = Vec::with_capacity(order.len() * n_words);
            in_order().for_each(|(part, i)| words.extend(&of(part)[i * n_words..(i + 1) * n_words]));
            words
        };
        Self {
            n_labels: (0..n_areas).map(|a| parts.iter().map(|part| part.n_labels[a]).sum()).collect(),
            scores: in_order().map(|(part, i)| part.scores[i]).collect(),
            places: in_order().map(|(part, i)| part.places[i]).collect(),
            images: in_order().map(|(part, i)| part.images[i]).collect(),
            tp: words(|part| &part.tp),
            fp: words(|part| &part.fp),
        }
    }

    /// Words of each detection.
    pub(super) fn n_words(&self) -> usize {
        self.tp.len().checked_div(self.len()).unwrap_or(0)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let n_words = self.n_words();
        self.scores.iter().zip(&self.images).enumerate().map(move |(i, (score, image))| {
            let span = i * n_words..(i + 1) * n_words;
            Entry { score: *score, image: *image as usize, tp: &self.tp[span.clone()], fp: &self.fp[span] }
        })
    }
}

/// Lines of all classes from the records of pictures in their order.
pub(crate) fn lines(images: &[&ImageRecord], n_classes: usize, params: &CocoValidParams) -> Vec<Line> {
    let n_areas = params.get().areas.len();
    let mut classes: Vec<Vec<(u32, &ClassRecord)>> = vec![Vec::new(); n_classes];
    for (image, record) in (0..).zip(images) {
        record.classes.iter().for_each(|class| classes[class.class as usize].push((image, class)));
    }
    let part = |(image, record): &(u32, &ClassRecord)| Line {
        n_labels: record.n_labels.iter().map(|n| u64::from(*n)).collect(),
        scores: record.scores.clone(),
        places: (0u32..).take(record.scores.len()).collect(),
        images: vec![*image; record.scores.len()],
        tp: record.tp.clone(),
        fp: record.fp.clone(),
    };
    let line = |records: &Vec<(u32, &ClassRecord)>| {
        let parts: Vec<Line> = records.iter().map(part).collect();
        Line::joined(&parts, n_areas)
    };
    classes.iter().map(line).collect()
}
