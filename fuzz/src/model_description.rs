use labelloop_embed::{DescriptionError, DescriptionParams};

/// The description beside an image model: an answer or an error with its place, and what was read is written and read as
/// the same.
pub fn model_description(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = DescriptionParams::from_toml(&text);
    if let Err(DescriptionError::Syntax { line, reason }) = &read {
        assert!((1..=1 + text.matches('\n').count()).contains(line), "line {line}");
        assert!(!reason.is_empty());
    }
    let Ok(params) = read else { return };
    let written = params.to_toml();
    let Ok(description) = params.check() else { return };
    let written = written.expect("a checked description can be written");
    assert_eq!(DescriptionParams::from_toml(&written).as_ref(), Ok(&params), "read again");
    let all = description.to_params();
    assert_eq!(all.check().as_ref(), Ok(&description), "all keys written out");
    let written = all.to_toml().expect("a checked description can be written");
    assert_eq!(DescriptionParams::from_toml(&written), Ok(all), "all keys read again");
}
