use super::FixedScore;
use crate::select::{Objective, Setting};
use crate::{Result, ZCoreParams};

/// Raw scores given what is labelled, with the draws of `seed`.
pub(crate) fn start<'a>(
    params: &ZCoreParams,
    setting: &Setting<'a>,
    seed: u64,
) -> Result<Box<dyn Objective + 'a>> {
    let valid = ZCoreParams { seed, ..params.clone() }.check()?;
    let raw = valid.score_given(setting.rows.view(), setting.labelled.view(), setting.progress)?.raw;
    if setting.weights.is_none() {
        return Ok(Box::new(FixedScore::new("zcore", raw)?));
    }
    // A weight can only make much or little of what is positive.
    let lowest = raw.iter().copied().fold(f64::INFINITY, f64::min);
    let above = raw.into_iter().map(|score| score - lowest).collect();
    Ok(Box::new(FixedScore::new("zcore above the lowest", above)?.weighted(setting.weights)?))
}
