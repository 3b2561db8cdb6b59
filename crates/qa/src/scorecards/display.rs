use std::fmt;

use super::{CardNote, ScoreFigure, Scorecard, Scorecards};
use crate::Statistic;

impl fmt::Display for CardNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewImages { found, expected } => {
                write!(f, "not tested: {found} pictures, of {expected} that it takes")
            }
            Self::Alone => f.write_str("not tested: there is nobody to compare with"),
        }
    }
}

impl fmt::Display for Scorecards {
    /// A table of shrunk figures with `!` at those that are flagged, and a sentence for each flag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} people on {} pictures, {} of them seen by several",
            self.cards.len(),
            self.n_images,
            self.n_shared
        )?;
        if 0 < self.n_unsigned {
            write!(f, "; {} pictures that nobody answers for are left out", self.n_unsigned)?;
        }
        let width = self.cards.iter().map(|c| c.annotator.chars().count()).max().unwrap_or(0).max(8);
        write!(f, "\n{:<width$} {:>8} {:>7}", "", "pictures", "objects")?;
        for t in &self.team {
            write!(f, " {:>12}", t.statistic)?;
        }
        write!(f, "\n{:<width$} {:>8} {:>7}", "the team", "", "")?;
        for t in &self.team {
            write!(f, " {:>12}", shown(t.statistic, t.mean))?;
        }
        for card in &self.cards {
            write!(f, "\n{:<width$} {:>8} {:>7}", card.annotator, card.n_images, card.n_objects)?;
            for figure in &card.figures {
                let mark = if figure.is_flagged { "!" } else { "" };
                write!(f, " {:>12}", format!("{mark}{}", shown(figure.statistic, figure.shrunk)))?;
            }
            if let Some(note) = card.note {
                write!(f, "  ({note})")?;
            }
        }
        let mut is_any = false;
        for (card, figure) in self.flagged() {
            write!(f, "\n{}", sentence(card, figure))?;
            is_any = true;
        }
        if !is_any {
            f.write_str("\nnobody is worse than the rest by more than chance and the margins have it")?;
        }
        Ok(())
    }
}

fn sentence(card: &Scorecard, figure: &ScoreFigure) -> String {
    let s = figure.statistic;
    let range =
        figure.interval.map_or_else(String::new, |[a, b]| format!(" ({} to {})", shown(s, a), shown(s, b)));
    let of = if s.is_count() {
        format!("{} of {} objects", figure.value, figure.exposure)
    } else {
        format!("{} objects", figure.exposure)
    };
    let q = figure.q_value.unwrap_or(1.0);
    format!(
        "{}: {s} {}{range}, from {of}; worse than the rest, q = {q:.4}",
        card.annotator,
        shown(s, figure.shrunk)
    )
}

fn shown(statistic: Statistic, value: f64) -> String {
    if statistic.is_count() { format!("{:.1}%", 100.0 * value) } else { format!("{value:.4}") }
}
