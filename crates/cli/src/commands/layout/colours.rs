use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use labelloop_report::Colouring;
use serde_json::Value;

use crate::args::ColourKind;
use crate::commands::arrays::read_numbers;

/// What a file knows of rows.
pub(super) fn read(path: &Path, ids: &[String], kind: Option<ColourKind>) -> anyhow::Result<Colouring> {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let values = match ending.as_str() {
        "npy" => read_numbers(path)?.into_iter().map(Value::from).collect(),
        "csv" => by_id(&csv(path)?, ids),
        "json" => match serde_json::from_str(&text(path)?)
            .with_context(|| format!("{}: expected JSON", path.display()))?
        {
            Value::Array(values) => values,
            Value::Object(of) => by_id(&of.into_iter().collect(), ids),
            _ => bail!("{}: expected a list in the order of rows, or an object by id", path.display()),
        },
        _ => bail!("{}: expected a name that ends in .json, .csv or .npy", path.display()),
    };
    if values.len() != ids.len() {
        bail!("{}: {} values, expected {} as rows", path.display(), values.len(), ids.len());
    }
    if values.iter().all(Value::is_null) {
        bail!("{}: no value for any of the {} rows, such as {:?}", path.display(), ids.len(), ids.first());
    }
    colouring(path, &values, kind)
}

fn colouring(path: &Path, values: &[Value], kind: Option<ColourKind>) -> anyhow::Result<Colouring> {
    let has_only_numbers = values.iter().all(|v| v.is_null() || v.is_number());
    match kind {
        Some(ColourKind::Split | ColourKind::Class) => {
            Ok(Colouring::Names(values.iter().map(name).collect()))
        }
        None if !has_only_numbers => Ok(Colouring::Names(values.iter().map(name).collect())),
        Some(ColourKind::Score) | None => {
            let score = |v: &Value| match (v.is_null(), v.as_f64()) {
                (true, _) => Ok(None),
                (_, Some(score)) => Ok(Some(score)),
                _ => bail!("{}: score {v}: expected a number", path.display()),
            };
            Ok(Colouring::Scores(values.iter().map(score).collect::<anyhow::Result<_>>()?))
        }
        Some(ColourKind::Batch) => {
            let batch = |v: &Value| {
                let whole =
                    v.as_f64().filter(|n| n.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(n));
                match (v.is_null(), whole) {
                    (true, _) => Ok(None),
                    (_, Some(whole)) => Ok(Some(whole as u32)),
                    _ => bail!("{}: batch {v}: expected a whole number", path.display()),
                }
            };
            Ok(Colouring::Batches(values.iter().map(batch).collect::<anyhow::Result<_>>()?))
        }
    }
}

fn name(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn by_id(of: &BTreeMap<String, Value>, ids: &[String]) -> Vec<Value> {
    ids.iter().map(|id| of.get(id).cloned().unwrap_or(Value::Null)).collect()
}

/// Two columns, id and value, below a line of names; the value is what comes after the last comma.
fn csv(path: &Path) -> anyhow::Result<BTreeMap<String, Value>> {
    let text = text(path)?;
    let mut found = BTreeMap::new();
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let cells = line.rsplit_once(',').with_context(|| {
            format!(
                "{}, line {}: expected an id and a value with a comma between",
                path.display(),
                number + 1
            )
        })?;
        let unquoted = |cell: &str| cell.trim().trim_matches('"').replace("\"\"", "\"");
        let (id, cell) = (unquoted(cells.0), unquoted(cells.1));
        let number = cell.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from);
        let value = if cell.is_empty() { Value::Null } else { number.unwrap_or(Value::String(cell)) };
        found.insert(id, value);
    }
    Ok(found)
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))
}
