use labelloop_core::ClassSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::Statistic;
use super::records::{Band, Cell, Record};

/// Where an effect sits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    /// The statistic that names the drift.
    pub statistic: Statistic,
    /// By class of the reference object (of the label itself where it is spurious), largest contribution first.
    pub classes: Vec<Part>,
    /// Boxes by size of the reference object: small, medium, large. Empty for cuboids.
    pub size_bands: Vec<Part>,
    /// Cuboids by range of the reference object from the sensor: near, middle, far. Empty for boxes.
    #[serde(default)]
    pub range_bands: Vec<Part>,
    /// By who drew the label; what is missing counts for who drew most labels of the sample. Empty where nobody is named.
    pub annotators: Vec<Part>,
}

/// One class, size band or annotator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Objects (or samples) that the current rate is over.
    pub n: usize,
    /// Rate in the current round; none where there is nothing to divide by.
    pub current: Option<f64>,
    /// Rate in the calibration rounds; for annotators that of everybody.
    pub baseline: Option<f64>,
    /// Its part of the effect; the parts of one list add up to the effect.
    pub contribution: f64,
}

/// Records by round (the current one first).
pub(crate) type Records<'a> = [Vec<Record<'a>>];

pub(crate) fn attribute(statistic: Statistic, rounds: &Records<'_>, schema: &ClassSchema) -> Attribution {
    let cells = |key: &dyn Fn(&Record<'_>) -> Option<String>| -> Vec<BTreeMap<String, Cell>> {
        rounds.iter().map(|records| cells_by(records, statistic, key)).collect()
    };
    let class = |r: &Record<'_>| r.class.and_then(|c| schema.names().get(c).cloned());
    let size = |r: &Record<'_>| match r.band {
        Some(Band::Size { name, .. }) => Some(name.to_owned()),
        _ => None,
    };
    let range = |r: &Record<'_>| match r.band {
        Some(Band::Range(name)) => Some(name.to_owned()),
        _ => None,
    };
    let annotator = |r: &Record<'_>| r.annotator.map(str::to_owned);
    Attribution {
        statistic,
        classes: parts(&cells(&class), Baseline::Own),
        size_bands: parts(&cells(&size), Baseline::Own),
        range_bands: parts(&cells(&range), Baseline::Own),
        annotators: parts(&cells(&annotator), Baseline::Everybody),
    }
}

fn cells_by(
    records: &[Record<'_>],
    statistic: Statistic,
    key: &dyn Fn(&Record<'_>) -> Option<String>,
) -> BTreeMap<String, Cell> {
    let mut cells: BTreeMap<String, Cell> = BTreeMap::new();
    for record in records {
        let cell = record.cell(statistic);
        if cell != Cell::default()
            && let Some(name) = key(record)
        {
            cells.entry(name).or_default().add(cell);
        }
    }
    cells
}

/// What a part is compared with.
#[derive(Clone, Copy, PartialEq)]
enum Baseline {
    /// The same part in the calibration rounds.
    Own,
    /// All of the calibration rounds: annotators come and go.
    Everybody,
}

/// Contribution of part g: its values less the overall baseline rate times its exposure, over the round's exposure;
/// the current round's less the mean of the calibration rounds'.
fn parts(rounds: &[BTreeMap<String, Cell>], baseline: Baseline) -> Vec<Part> {
    let sum = |cells: &mut dyn Iterator<Item = Cell>| {
        cells.fold(Cell::default(), |mut total, c| {
            total.add(c);
            total
        })
    };
    let Some((current, calibration)) = rounds.split_first() else { return Vec::new() };
    let everybody = sum(&mut calibration.iter().flat_map(|c| c.values().copied()));
    let overall = everybody.rate().unwrap_or(0.0);
    let n_current = sum(&mut current.values().copied()).exposure.max(1.0);
    let n_calibration = everybody.exposure.max(1.0);
    let mut names: Vec<&String> = current.keys().collect();
    if baseline == Baseline::Own {
        names.extend(calibration.iter().flat_map(|c| c.keys()));
    }
    names.sort_unstable();
    names.dedup();
    let centred = |c: Cell, n: f64| (c.value - overall * c.exposure) / n;
    let mut parts: Vec<Part> = names
        .into_iter()
        .map(|name| {
            let now = current.get(name).copied().unwrap_or_default();
            let own = sum(&mut calibration.iter().filter_map(|c| c.get(name).copied()));
            let before = if baseline == Baseline::Own { own } else { everybody };
            let expected = if baseline == Baseline::Own { centred(own, n_calibration) } else { 0.0 };
            Part {
                name: name.clone(),
                n: now.exposure as usize,
                current: now.rate(),
                baseline: if calibration.is_empty() { Some(0.0) } else { before.rate() },
                contribution: centred(now, n_current) - expected,
            }
        })
        .collect();
    parts.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()).then(a.name.cmp(&b.name)));
    parts
}
