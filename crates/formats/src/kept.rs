//! Small texts and numbers of other formats as JSON text in `extra`, and back.

use labelloop_core::Extra;

use crate::json;

/// Keeps a text unless it is the format's default: a whole number as such, anything else as a text.
pub(crate) fn keep(extra: &mut Extra, key: &str, text: &str, default: &str) {
    if text == default {
        return;
    }
    let whole = text.parse::<i64>().ok().filter(|n| n.to_string() == text);
    extra.insert(key.to_owned(), whole.map_or_else(|| json::quoted(text), |n| n.to_string()));
}

/// The text that was kept, or the default.
pub(crate) fn kept(extra: &Extra, key: &str, default: &str) -> String {
    extra.get(key).and_then(|raw| json::scalar_text(raw)).unwrap_or_else(|| default.to_owned())
}

/// Whether a field's text can be written where the reader gives back `as_read` of it.
pub(crate) fn comes_back(raw: &str, as_read: impl Fn(&str) -> String) -> bool {
    json::scalar_text(raw).is_some_and(|text| as_read(&text) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        for text in ["1", "01", "-3", "Left", "", "1.50", "ü\"", "+1"] {
            let mut extra = Extra::new();
            keep(&mut extra, "k", text, "0");
            assert_eq!(kept(&extra, "k", "0"), text);
        }
        let mut extra = Extra::new();
        keep(&mut extra, "k", "0", "0");
        assert!(extra.is_empty());
        assert_eq!(kept(&extra, "k", "0"), "0");
    }
}
