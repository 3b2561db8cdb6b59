use std::fmt;

use serde::{Deserialize, Serialize};

/// A row that a method knew when it made a pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// A candidate picked earlier, by its row.
    Pick(usize),
    /// A labelled row, by its number among those.
    Labelled(usize),
}

/// Why a row was picked. [`Display`](fmt::Display) gives one sentence.
///
/// ```
/// use labelloop_coreset::select::{Known, Reason};
///
/// let reason = Reason::Farthest { distance: 0.25, nearest: Known::Labelled(3) };
/// assert_eq!(reason.to_string(), "at 0.25 from labelled row 3, the nearest of all known, it is the farthest left");
/// assert_eq!(serde_json::to_value(&reason).unwrap()["kind"], "farthest");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The first pick where nothing is known: closest to the mean of all.
    Central {
        /// Distance to the mean.
        distance: f64,
    },
    /// Farthest from all that is known.
    Farthest {
        /// Distance to the nearest known row.
        distance: f64,
        /// That row.
        nearest: Known,
    },
    /// Represents rows better than anything known does.
    Covers {
        /// Rows it represents better.
        n_rows: usize,
        /// What they gain together, weights included.
        mass: f64,
    },
    /// Within the radius of rows that nothing known is near.
    Reaches {
        /// Rows newly within the radius.
        n_rows: usize,
        /// How often every row had been reached before: 0 in the first round.
        layer: usize,
        /// The radius.
        radius: f64,
    },
    /// Typical of all rows and unlike what is known.
    Herds {
        /// Mean similarity to all rows.
        typical: f64,
        /// Mean similarity to what is known.
        known: f64,
    },
    /// In a cluster, as its most worthwhile row.
    Cluster {
        /// Number of the cluster, from 0.
        cluster: usize,
        /// Rows in it.
        size: usize,
        /// Known rows in it before.
        known: usize,
        /// What ranks rows within the cluster.
        score: f64,
    },
    /// By chance, the more likely the farther.
    Drawn {
        /// Distance to the nearest known row.
        distance: f64,
        /// That row.
        nearest: Known,
    },
    /// By a score that does not depend on the other picks.
    Score {
        /// What was scored.
        name: String,
        /// The score.
        score: f64,
        /// Its place among all rows, from 0.
        place: usize,
        /// Rows scored.
        of: usize,
    },
    /// By chance.
    Chance {
        /// The number drawn.
        draw: f64,
    },
    /// By several objectives together.
    Mixture {
        /// What each of them says.
        parts: Vec<ReasonPart>,
    },
}

impl Reason {
    /// The same reason with the rows that it names given other numbers, as where candidates are some rows of a file.
    ///
    /// ```
    /// use labelloop_coreset::select::{Known, Reason};
    ///
    /// let reason = Reason::Farthest { distance: 0.25, nearest: Known::Pick(1) };
    /// let rows_of_candidates = [4, 9];
    /// let in_file = reason.renumbered(&|known| match known {
    ///     Known::Pick(row) => Known::Pick(rows_of_candidates[row]),
    ///     labelled => labelled,
    /// });
    /// assert_eq!(in_file, Reason::Farthest { distance: 0.25, nearest: Known::Pick(9) });
    /// ```
    pub fn renumbered(mut self, number: &dyn Fn(Known) -> Known) -> Self {
        match &mut self {
            Reason::Farthest { nearest, .. } | Reason::Drawn { nearest, .. } => *nearest = number(*nearest),
            Reason::Mixture { parts } => {
                for part in parts {
                    part.reason = part.reason.clone().renumbered(number);
                }
            }
            _ => {}
        }
        self
    }
}

/// What one of several objectives says of a pick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReasonPart {
    /// The objective.
    pub objective: String,
    /// Its strength.
    pub strength: f64,
    /// Its gain, in its own unit.
    pub gain: f64,
    /// Its own reason.
    pub reason: Reason,
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Known::Pick(row) => write!(f, "picked row {row}"),
            Known::Labelled(row) => write!(f, "labelled row {row}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Central { distance } => {
                write!(f, "closest to the mean of all rows, {distance:.4} away; nothing was known")
            }
            Reason::Farthest { distance, nearest } => {
                write!(f, "at {distance} from {nearest}, the nearest of all known, it is the farthest left")
            }
            Reason::Covers { n_rows, mass } => {
                write!(f, "represents {n_rows} rows better than anything known, by {mass:.4} together")
            }
            Reason::Reaches { n_rows, layer: 0, radius } => {
                write!(f, "within {radius:.4} of {n_rows} rows that nothing known is near")
            }
            Reason::Reaches { n_rows, layer, radius } => write!(
                f,
                "within {radius:.4} of {n_rows} rows not reached in round {}, as all were reached in rounds before",
                layer + 1
            ),
            Reason::Herds { typical, known } => {
                write!(f, "{typical:.4} similar to all rows on average, {known:.4} to those known")
            }
            Reason::Cluster { cluster, size, known, score } => {
                write!(
                    f,
                    "best of cluster {cluster} by {score:.4}; {size} rows are in it, {known} of them known"
                )
            }
            Reason::Drawn { distance, nearest } => {
                write!(
                    f,
                    "drawn by squared distance; {nearest}, the nearest of all known, is at {distance:.4}"
                )
            }
            Reason::Score { name, score, place, of } => {
                write!(f, "{name} of {score:.4}, number {} of {of}", place + 1)
            }
            Reason::Chance { draw } => write!(f, "by chance, having drawn {draw:.4}"),
            Reason::Mixture { parts } => {
                for (i, part) in parts.iter().enumerate() {
                    let before = if i == 0 { "" } else { "; " };
                    write!(f, "{before}{} at strength {}: {}", part.objective, part.strength, part.reason)?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_sentences_and_come_back_from_json() {
        let cover = Reason::Covers { n_rows: 2, mass: 1.5 };
        let part = ReasonPart { objective: "a".into(), strength: 2.0, gain: 0.5, reason: cover };
        let mixed = Reason::Mixture { parts: vec![part] };
        let text = "a at strength 2: represents 2 rows better than anything known, by 1.5000 together";
        assert_eq!(mixed.to_string(), text);
        let json = serde_json::to_string(&mixed).unwrap();
        assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), mixed);
    }

    #[test]
    fn places_are_counted_from_one_in_words() {
        let score = Reason::Score { name: "zcore".into(), score: 0.5, place: 0, of: 9 };
        assert_eq!(score.to_string(), "zcore of 0.5000, number 1 of 9");
        let again = Reason::Reaches { n_rows: 1, layer: 1, radius: 0.5 };
        assert!(again.to_string().contains("in round 2"));
    }
}
