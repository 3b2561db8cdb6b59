use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{DatasetError, Result};

/// Where a sample is on its way from unlabelled to labelled.
///
/// | from | to | needs a reason |
/// |---|---|---|
/// | unlabeled | selected | no |
/// | selected | annotated, verified empty, pending | no |
/// | selected, pending | unlabeled | yes |
/// | pending | annotated, verified empty | no |
/// | annotated | verified empty, and back | no, it is a correction |
/// | annotated, verified empty | selected, unlabeled | yes |
/// | frozen | nothing | |
///
/// ```
/// use labelloop_dataset::Status;
///
/// assert!(Status::Selected.check_move("img-1", Status::VerifiedEmpty, None).is_ok());
/// let slip = Status::Annotated.check_move("img-1", Status::Unlabeled, None).unwrap_err();
/// assert!(slip.to_string().contains("a reason"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody looked at it and nobody was asked to.
    Unlabeled,
    /// In a batch that people are to label.
    Selected,
    /// Was in a batch whose labels came back without it.
    Pending,
    /// A person marked at least one object.
    Annotated,
    /// A person looked and there is no object: a hard negative, trained on like the others.
    VerifiedEmpty,
    /// Test, val or golden: takes no part in selection, ever.
    Frozen,
}

impl Status {
    /// All statuses, in the order of reports.
    pub const ALL: [Status; 6] = [
        Status::Unlabeled,
        Status::Selected,
        Status::Pending,
        Status::Annotated,
        Status::VerifiedEmpty,
        Status::Frozen,
    ];

    /// Name in files and tags.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Unlabeled => "unlabeled",
            Status::Selected => "selected",
            Status::Pending => "pending",
            Status::Annotated => "annotated",
            Status::VerifiedEmpty => "verified_empty",
            Status::Frozen => "frozen",
        }
    }

    /// Whether a person finished with the sample, so that it may be trained on.
    pub fn is_done(self) -> bool {
        matches!(self, Status::Annotated | Status::VerifiedEmpty)
    }

    /// Whether a sample of this name may move to another status. Staying is always legal.
    ///
    /// # Errors
    /// [`DatasetError::IllegalTransition`] with what would have been legal.
    pub fn check_move(self, id: &str, to: Status, reason: Option<&str>) -> Result<()> {
        let has_reason = reason.is_some_and(|r| !r.trim().is_empty());
        let expected = match self.step(to) {
            Step::Free => return Ok(()),
            Step::WithReason if has_reason => return Ok(()),
            Step::WithReason => "a reason for taking the step back".to_owned(),
            Step::Never => self.legal_moves(),
        };
        Err(DatasetError::IllegalTransition { id: id.to_owned(), from: self, to, expected })
    }

    fn step(self, to: Status) -> Step {
        use Status::{Annotated, Frozen, Pending, Selected, Unlabeled, VerifiedEmpty};
        match (self, to) {
            (a, b) if a == b => Step::Free,
            (Frozen, _) | (_, Frozen) => Step::Never,
            (Unlabeled, Selected)
            | (Selected, Annotated | VerifiedEmpty | Pending)
            | (Pending, Annotated | VerifiedEmpty)
            | (Annotated, VerifiedEmpty)
            | (VerifiedEmpty, Annotated) => Step::Free,
            (Selected | Pending, Unlabeled) | (Annotated | VerifiedEmpty, Unlabeled | Selected) => {
                Step::WithReason
            }
            _ => Step::Never,
        }
    }

    fn legal_moves(self) -> String {
        let legal: Vec<&str> = Status::ALL
            .into_iter()
            .filter(|to| *to != self && self.step(*to) != Step::Never)
            .map(Status::as_str)
            .collect();
        if legal.is_empty() { "no move at all".to_owned() } else { format!("one of {}", legal.join(", ")) }
    }
}

#[derive(PartialEq, Eq)]
enum Step {
    Free,
    WithReason,
    Never,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = String;

    /// The error is the list of known names.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("one of {}", Self::ALL.map(Status::as_str).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_moves_is_complete() {
        let free = |a: Status, b: Status| a.check_move("s", b, None).is_ok();
        let with_reason = |a: Status, b: Status| a.check_move("s", b, Some("why")).is_ok();
        let n_free = Status::ALL
            .iter()
            .flat_map(|a| Status::ALL.map(|b| (*a, b)))
            .filter(|(a, b)| a != b && free(*a, *b))
            .count();
        let n_any = Status::ALL
            .iter()
            .flat_map(|a| Status::ALL.map(|b| (*a, b)))
            .filter(|(a, b)| a != b && with_reason(*a, *b))
            .count();
        assert_eq!((n_free, n_any), (8, 14));
    }

    #[test]
    fn frozen_samples_never_move() {
        for to in Status::ALL {
            assert_eq!(Status::Frozen.check_move("s", to, Some("please")).is_ok(), to == Status::Frozen);
            assert_eq!(to.check_move("s", Status::Frozen, Some("please")).is_ok(), to == Status::Frozen);
        }
    }

    #[test]
    fn a_blank_reason_is_none() {
        assert!(Status::Annotated.check_move("s", Status::Unlabeled, Some("  ")).is_err());
        assert!(Status::Annotated.check_move("s", Status::Unlabeled, Some("blurred")).is_ok());
    }

    #[test]
    fn unlabeled_cannot_jump_to_annotated() {
        let e = Status::Unlabeled.check_move("s", Status::Annotated, None).unwrap_err();
        assert_eq!(e.to_string(), "sample s cannot go from unlabeled to annotated: expected one of selected");
    }

    #[test]
    fn names_round_trip() {
        for s in Status::ALL {
            assert_eq!(s.as_str().parse::<Status>().unwrap(), s);
        }
        assert!("done".parse::<Status>().is_err());
    }
}
