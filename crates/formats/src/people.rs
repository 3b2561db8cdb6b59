//! Who answered for a sample, in formats whose records take fields of ours.

use labelloop_core::LabelledBy;

use crate::json::{Object, ObjectText};

pub(crate) const BY: &str = "labelled_by";
pub(crate) const AT: &str = "labelled_at";

/// A text; anything else stays where it is, for it is not ours.
pub(crate) fn take_text(fields: &mut Object<'_>, key: &str) -> Option<String> {
    let text = serde_json::from_str(fields.0.get(key)?.get()).ok()?;
    fields.0.remove(key);
    Some(text)
}

/// Takes out who labelled and when, where there is one of them.
pub(crate) fn take(fields: &mut Object<'_>) -> Option<LabelledBy> {
    let mut text = |key| take_text(fields, key);
    let (annotator, at) = (text(BY), text(AT));
    (annotator.is_some() || at.is_some()).then_some(LabelledBy { annotator, at })
}

/// Adds who labelled and when.
pub(crate) fn put(text: &mut ObjectText, labelled_by: Option<&LabelledBy>) {
    let Some(by) = labelled_by else { return };
    for (key, value) in [(BY, &by.annotator), (AT, &by.at)] {
        if let Some(value) = value {
            text.string(key, value);
        }
    }
}

/// Whether a field that is called like one of ours is told apart from it: ours are texts.
pub(crate) fn is_foreign(raw: &str, ours_is_written: bool) -> bool {
    !ours_is_written && !raw.trim_start().starts_with('"')
}
