use labelloop_core::{BBox, ImageSize};
use serde::{Deserialize, Serialize};

use crate::{DatasetError, Result};

/// What to do with a box that breaks a rule. Every box it touches is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxRule {
    /// Leave the box out.
    Reject,
    /// Cut it to the picture; what has no area then is left out.
    Clip,
    /// Take it as it is.
    Keep,
}

/// How an import treats boxes without area, boxes outside the picture and classes that the schema does not know.
///
/// ```
/// # use labelloop_dataset::*;
/// let policy: BoxPolicy = serde_json::from_str(r#"{"outside": "reject", "strict": false}"#)?;
/// assert_eq!((policy.outside, policy.slack), (BoxRule::Reject, 1.0));
/// assert!(BoxPolicy { slack: f64::NAN, ..policy }.check().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoxPolicy {
    /// Boxes of zero width or height. Default: reject. Clipping cannot give them an area, so it rejects them too.
    pub degenerate: BoxRule,
    /// Boxes that leave the picture by more than `slack`. Default: clip.
    pub outside: BoxRule,
    /// Pixels that a box may leave the picture by without notice. Default: 1, what inclusive corners and rounding
    /// of common formats amount to.
    pub slack: f64,
    /// Whether a class outside the schema is an error (default) or has its boxes left out, listed and counted.
    pub strict: bool,
}

impl Default for BoxPolicy {
    fn default() -> Self {
        Self { degenerate: BoxRule::Reject, outside: BoxRule::Clip, slack: 1.0, strict: true }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Verdict {
    Keep(BBox),
    KeepDegenerate(BBox),
    KeepOutside(BBox),
    Clipped(BBox),
    RejectDegenerate,
    RejectOutside,
}

impl BoxPolicy {
    /// # Errors
    /// [`DatasetError::InvalidSlack`] unless the slack is finite and at least 0.
    pub fn check(&self) -> Result<()> {
        if !(0.0 <= self.slack) || !self.slack.is_finite() {
            return Err(DatasetError::InvalidSlack { found: self.slack });
        }
        Ok(())
    }

    /// A sample without a size (a point cloud) has no outside.
    pub(crate) fn judge(&self, bbox: BBox, size: Option<ImageSize>) -> Verdict {
        if bbox.is_degenerate() {
            return match self.degenerate {
                BoxRule::Keep => Verdict::KeepDegenerate(bbox),
                BoxRule::Reject | BoxRule::Clip => Verdict::RejectDegenerate,
            };
        }
        match size {
            Some(size) if !bbox.is_inside(size, self.slack) => match self.outside {
                BoxRule::Keep => Verdict::KeepOutside(bbox),
                BoxRule::Reject => Verdict::RejectOutside,
                BoxRule::Clip => bbox.clipped(size).map_or(Verdict::RejectOutside, Verdict::Clipped),
            },
            _ => Verdict::Keep(bbox),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_as_documented() {
        let p = BoxPolicy::default();
        assert_eq!((p.degenerate, p.outside, p.slack, p.strict), (BoxRule::Reject, BoxRule::Clip, 1.0, true));
        assert!(p.check().is_ok());
        assert!(serde_json::from_str::<BoxPolicy>(r#"{"slak":2}"#).is_err());
    }

    #[test]
    fn a_bad_slack_is_refused() {
        for slack in [f64::NAN, -1.0, f64::INFINITY] {
            assert!(BoxPolicy { slack, ..BoxPolicy::default() }.check().is_err(), "{slack}");
        }
    }
}
