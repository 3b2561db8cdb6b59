use labelloop_core::{LabelledBox, Seed};
use labelloop_qa::AnnotatorModel;

use crate::truth::Truth;

/// The boxes of one round, image by image.
pub(crate) type Labels = Vec<Vec<LabelledBox>>;

/// How rounds differ beyond the slips of a hand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wobble {
    /// Not at all.
    None,
    /// Whole rounds draw larger or smaller, with this standard deviation.
    Rounds(f64),
    /// Each image of a round goes to one of four people: one draws 1.5% too tight, one 1.5% too wide and twice as many
    /// spurious boxes, one misses twice as much, one confuses twice as much.
    People,
}

/// Who labels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct People {
    pub(crate) wobble: Wobble,
    pub(crate) seed: Seed,
}

impl People {
    /// One round of everybody, by the model in force.
    pub(crate) fn label(&self, truth: &Truth, model: AnnotatorModel, round: &str) -> anyhow::Result<Labels> {
        let seed = self.seed.stream(round);
        let scale = match self.wobble {
            Wobble::Rounds(sd) => 1.0 + sd * seed.stream("wobble").normal(0),
            Wobble::None | Wobble::People => 1.0,
        };
        let round = truth.round(&truth.boxes);
        let who = seed.stream("who");
        // So many images exactly, as chance would blur how strong the drift is.
        let n_empty = (model.empty * round.len() as f64).round() as usize;
        let rank = seed.stream("empty").permutation(round.len());
        let mut labels = Labels::with_capacity(round.len());
        for (i, image) in (0u64..).zip(&round) {
            let empty = f64::from(u8::from(rank[i as usize] < n_empty));
            let mut model = AnnotatorModel { scale: model.scale * scale, empty, ..model };
            let mut name = "one".to_owned();
            if self.wobble == Wobble::People {
                let person = who.below(i, 4);
                model = habit(person, model);
                name = format!("person {person}");
            }
            let mut drawn = model.check()?.annotate(image, truth.schema.n_classes(), seed);
            drawn.iter_mut().for_each(|b| b.annotator = Some(name.clone()));
            labels.push(drawn);
        }
        Ok(labels)
    }
}

fn habit(person: usize, m: AnnotatorModel) -> AnnotatorModel {
    match person {
        0 => AnnotatorModel { scale: m.scale * 0.985, ..m },
        1 => AnnotatorModel { scale: m.scale * 1.015, spurious: 2.0 * m.spurious, ..m },
        2 => AnnotatorModel { miss: 2.0 * m.miss, miss_small: 2.0 * m.miss_small, ..m },
        _ => AnnotatorModel { swap: 2.0 * m.swap, ..m },
    }
}
