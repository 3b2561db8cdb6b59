use rayon::prelude::*;

use super::errors::TpErrors;
use super::record::{ClassRecord, SampleRecord};

/// Detections of one class over all samples, best score first; of equal scores that of the later sample.
#[derive(Debug, Default)]
pub(super) struct Line<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    /// Records of the class with the places of their samples.
    pub(super) records: Vec<(u32, &'a ClassRecord)>,
}

/// One detection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) score: f64,
    /// Bit `t`: finds a label at distance number `t`.
    pub(super) hits: u64,
    /// Bit `t`: counts neither way at distance number `t`.
    pub(super) ignored: u64,
    /// Place of the sample among the records given.
    pub(super) sample: u32,
    pub(super) errors: Option<&'a TpErrors>,
}

/// Lines of all classes from records in the order of samples.
pub(super) fn lines<'a>(samples: &[&'a SampleRecord], n_classes: usize, tp_place: usize) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = (0..n_classes).map(|_| Line::default()).collect();
    for (sample, record) in (0u32..).zip(samples) {
        record.classes.iter().for_each(|class| lines[class.class as usize].records.push((sample, class)));
    }
    lines.par_iter_mut().for_each(|line| line.fill(tp_place));
    lines
}

impl Line<'_> {
    fn fill(&mut self, tp_place: usize) {
        self.entries.reserve(self.records.iter().map(|(_, record)| record.scores.len()).sum());
        for (sample, record) in self.records.iter().rev() {
            let mut errors = record.errors.iter();
            for (i, (score, hits)) in record.scores.iter().zip(&record.hits).enumerate() {
                let ignored = record.ignored.get(i).copied().unwrap_or(0);
                let errors = if hits >> tp_place & 1 == 1 { errors.next() } else { None };
                self.entries.push(Entry { score: *score, hits: *hits, ignored, sample: *sample, errors });
            }
        }
        // Stable, so the later sample stays first among equals, and in a sample the later detection.
        self.entries.sort_by(|a, b| b.score.total_cmp(&a.score));
    }
}
