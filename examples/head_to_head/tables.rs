//! Markdown tables of all records: differences to random selection of the same seed, with intervals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use labelloop::eval::multiplicity::{Correction, adjust_known};

use crate::ledger::{Record, Setting};
use crate::methods::{self, RANDOM};
use crate::stats::{Estimate, estimate, ranks};

/// Chance of even one false alarm among the comparisons of a measure in a setting.
const LEVEL: f64 = 0.05;

/// How a difference to random is told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unit {
    /// Difference in hundredths, of shares.
    Points,
    /// Per cent of random's value, of distances and counts.
    Percent,
    /// Points above what random has with as many boxes, on the line through its budgets over the logarithm of boxes.
    PointsAtEqualBoxes,
}

struct Measure {
    title: &'static str,
    of: fn(&Record) -> Option<f64>,
    unit: Unit,
    /// 1 where more is better, -1 where less is, 0 where neither.
    sign: f64,
}

const MEASURES: &[Measure] = &[
    Measure { title: "mAP50", of: |r| r.map50, unit: Unit::Points, sign: 1.0 },
    Measure { title: "mAP50 at equal boxes", of: |r| r.map50, unit: Unit::PointsAtEqualBoxes, sign: 1.0 },
    Measure { title: "mAP50 of the rare classes", of: |r| r.rare_map50, unit: Unit::Points, sign: 1.0 },
    Measure { title: "recall of rare boxes", of: |r| Some(r.rare_recall), unit: Unit::Points, sign: 1.0 },
    Measure { title: "rare classes found", of: |r| Some(r.rare_found), unit: Unit::Points, sign: 1.0 },
    Measure { title: "classes found", of: |r| Some(r.classes_found), unit: Unit::Points, sign: 1.0 },
    Measure { title: "mean distance", of: |r| Some(r.mean_distance), unit: Unit::Percent, sign: -1.0 },
    Measure { title: "largest distance", of: |r| Some(r.max_distance), unit: Unit::Percent, sign: -1.0 },
    Measure { title: "pool within the radius", of: |r| Some(r.within), unit: Unit::Points, sign: 1.0 },
    Measure { title: "boxes", of: |r| Some(r.n_boxes as f64), unit: Unit::Percent, sign: 0.0 },
];

/// Values by data set, method, budget and seed, mean over draws.
type Values = BTreeMap<(String, String, u32), BTreeMap<u64, f64>>;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Detail {
    /// One table for each measure, over all budgets.
    Brief,
    /// One table for each measure and data set, with every budget.
    Full,
}

/// An estimate over all budgets, and its p-value corrected by Holm; nothing where a method was not run.
type Overall = (Option<Estimate>, Option<f64>);

/// All tables.
pub(crate) fn of<'a>(records: impl Iterator<Item = &'a Record>, detail: Detail) -> anyhow::Result<String> {
    let records: Vec<&Record> = records.collect();
    let mut out = String::new();
    for setting in [Setting::Cold, Setting::Given] {
        let of_setting: Vec<&Record> = records.iter().copied().filter(|r| r.key.setting == setting).collect();
        if of_setting.is_empty() {
            continue;
        }
        let compared: Vec<Compared> =
            MEASURES.iter().map(|m| Compared::new(m, &of_setting)).collect::<Result<_, _>>()?;
        let name = match setting {
            Setting::Cold => "Nothing labelled before",
            Setting::Given => "Half of the budget labelled by chance before",
        };
        write!(out, "## {name}\n\n{}\n", summary(&compared))?;
        for c in &compared {
            let tables = if detail == Detail::Full { c.tables() } else { c.overview() };
            write!(out, "### {name}: {}\n\n{tables}", c.measure.title)?;
        }
        write!(out, "### {name}: time to choose, ms of CPU (mean over seeds)\n\n{}\n", times(&of_setting))?;
    }
    Ok(out)
}

/// One measure in one setting: all differences, corrected for their number.
struct Compared {
    measure: &'static Measure,
    values: Values,
    boxes: Values,
    /// The methods that were run, without random.
    rivals: Vec<&'static str>,
    /// By data set, in the order of `rivals`.
    overall: BTreeMap<String, Vec<Overall>>,
}

impl Compared {
    fn new(measure: &'static Measure, records: &[&Record]) -> anyhow::Result<Self> {
        let was_run = |name: &&str| *name != RANDOM && records.iter().any(|r| r.key.method == *name);
        let rivals = methods::names().into_iter().filter(was_run).collect();
        let mut this = Self {
            measure,
            rivals,
            values: values(measure.of, records),
            boxes: values(|r| r.map50.map(|_| r.n_boxes as f64), records),
            overall: BTreeMap::new(),
        };
        let sets = this.sets();
        let asked: Vec<Vec<Option<Estimate>>> =
            sets.iter().map(|set| this.rivals.iter().map(|m| this.over_all(set, m)).collect()).collect();
        let p_values: Vec<Option<f64>> = asked.iter().flatten().map(|e| e.map(|e| e.p_value)).collect();
        let mut adjusted = adjust_known(&p_values, Correction::Holm)?.into_iter();
        for (set, estimates) in sets.into_iter().zip(asked) {
            let rows = estimates.into_iter().map(|e| (e, adjusted.next().flatten())).collect();
            this.overall.insert(set, rows);
        }
        Ok(this)
    }

    fn sets(&self) -> BTreeSet<String> {
        self.values.keys().map(|(set, ..)| set.clone()).collect()
    }

    fn budgets(&self, set: &str) -> BTreeSet<u32> {
        self.values.keys().filter(|(s, ..)| s == set).map(|(.., budget)| *budget).collect()
    }

    fn of(&self, set: &str, method: &str, budget: u32) -> Option<&BTreeMap<u64, f64>> {
        self.values.get(&(set.to_owned(), method.to_owned(), budget))
    }

    /// Differences to random by seed; nothing where random found nothing to be compared with.
    fn differences(&self, set: &str, method: &str, budget: u32) -> BTreeMap<u64, f64> {
        let (Some(ours), Some(random)) = (self.of(set, method, budget), self.of(set, RANDOM, budget)) else {
            return BTreeMap::new();
        };
        let difference = |seed: &u64, ours: f64| match self.measure.unit {
            Unit::Points => Some(100.0 * (ours - random.get(seed)?)),
            Unit::Percent => Some(100.0 * (ours / random.get(seed)? - 1.0)),
            Unit::PointsAtEqualBoxes => {
                let key = (set.to_owned(), method.to_owned(), budget);
                let boxes = self.boxes.get(&key)?.get(seed)?;
                Some(100.0 * (ours - on_line(&self.random_curve(set, *seed), boxes.max(1.0).ln())?))
            }
        };
        ours.iter().filter_map(|(seed, v)| Some((*seed, difference(seed, *v)?))).collect()
    }

    /// Random's value over the logarithm of its boxes at the budgets of a seed.
    fn random_curve(&self, set: &str, seed: u64) -> Vec<(f64, f64)> {
        let of = |values: &Values, budget| {
            values.get(&(set.to_owned(), RANDOM.to_owned(), budget))?.get(&seed).copied()
        };
        let points = self
            .budgets(set)
            .into_iter()
            .filter_map(|budget| Some((of(&self.boxes, budget)?.max(1.0).ln(), of(&self.values, budget)?)));
        points.collect()
    }

    /// The mean over budgets of each seed's differences, for the seeds that have all budgets.
    fn over_all(&self, set: &str, method: &str) -> Option<Estimate> {
        let of_budgets: Vec<BTreeMap<u64, f64>> =
            self.budgets(set).into_iter().map(|b| self.differences(set, method, b)).collect();
        let mean = |seed: &u64| -> Option<f64> {
            let all: Option<Vec<f64>> = of_budgets.iter().map(|d| d.get(seed).copied()).collect();
            all.map(|all| all.iter().sum::<f64>() / all.len() as f64)
        };
        estimate(&of_budgets.first()?.keys().filter_map(mean).collect::<Vec<_>>())
    }

    /// Over all budgets, a column for each data set; bold where it is not chance after correction.
    fn overview(&self) -> String {
        let sets: Vec<&str> = self.overall.keys().map(String::as_str).collect();
        let mut out = format!("| method | {} |\n|---|{}\n", sets.join(" | "), "--:|".repeat(sets.len()));
        for (nth, method) in self.rivals.iter().enumerate() {
            let cells = self.overall.values().map(|rows| match rows.get(nth) {
                Some((Some(e), Some(p))) if *p < LEVEL => format!("**{}**", relative(*e)),
                Some((Some(e), _)) => relative(*e),
                _ => String::new(),
            });
            out += &format!("| {method} | {} |\n", cells.collect::<Vec<_>>().join(" | "));
        }
        out + "\n"
    }

    fn tables(&self) -> String {
        self.overall.iter().map(|(set, rows)| self.table(set, rows)).collect()
    }

    fn table(&self, set: &str, rows: &[Overall]) -> String {
        let budgets = self.budgets(set);
        let n_seeds = self.values.iter().find(|((s, ..), _)| s == set).map_or(0, |(_, v)| v.len());
        let head: Vec<String> = budgets.iter().map(|b| format!("{}%", f64::from(*b) / 10.0)).collect();
        let mut out = format!(
            "**{set}**, {n_seeds} seeds\n\n| method | {} | all budgets | p (Holm) |\n|---|{}\n| random, absolute |",
            head.join(" | "),
            "--:|".repeat(head.len() + 2)
        );
        for budget in &budgets {
            let values: Vec<f64> =
                self.of(set, RANDOM, *budget).into_iter().flat_map(|v| v.values().copied()).collect();
            out += &format!(" {} |", estimate(&values).map_or_else(String::new, |e| self.absolute(e)));
        }
        out += " | |\n";
        for (method, (overall, p)) in self.rivals.iter().zip(rows) {
            let cells: Vec<String> = budgets
                .iter()
                .map(|b| self.differences(set, method, *b).into_values().collect::<Vec<_>>())
                .map(|d| estimate(&d).map_or_else(String::new, relative))
                .collect();
            let (overall, p) = (overall.map_or_else(String::new, relative), p.map_or_else(String::new, of_p));
            out += &format!("| {method} | {} | {overall} | {p} |\n", cells.join(" | "));
        }
        out + "\n"
    }

    fn absolute(&self, e: Estimate) -> String {
        match self.measure.unit {
            Unit::Points | Unit::PointsAtEqualBoxes => {
                format!("{:.1} ± {:.1}", 100.0 * e.mean, 50.0 * (e.high - e.low))
            }
            Unit::Percent => format!("{:.3} ± {:.3}", e.mean, (e.high - e.low) / 2.0),
        }
    }

    /// Better (1), worse (-1) or neither (0) than random, after correction.
    fn verdict(&self, estimate: Option<Estimate>, p: Option<f64>) -> i32 {
        match (estimate, p) {
            (Some(e), Some(p)) if p < LEVEL => (self.measure.sign * e.mean.signum()) as i32,
            _ => 0,
        }
    }
}

/// For each method and measure: mean rank over data sets with random among the ranked, and how many data sets it won
/// and lost.
fn summary(compared: &[Compared]) -> String {
    let judged: Vec<&Compared> = compared.iter().filter(|c| c.measure.sign != 0.0).collect();
    let titles: Vec<&str> = judged.iter().map(|c| c.measure.title).collect();
    let mut out = format!("| method | {} |\n|---|{}\n", titles.join(" | "), "--:|".repeat(titles.len()));
    let rivals = compared.first().map_or_else(Vec::new, |c| c.rivals.clone());
    let names: Vec<&str> = rivals.into_iter().chain([RANDOM]).collect();
    for (nth, name) in names.iter().enumerate() {
        let cell = |c: &&Compared| {
            let (mut of_sets, mut won, mut lost) = (Vec::new(), 0, 0);
            for rows in c.overall.values().filter(|rows| rows.iter().all(|(e, _)| e.is_some())) {
                let means = rows.iter().map(|(e, _)| c.measure.sign * e.map_or(0.0, |e| e.mean));
                of_sets.push(ranks(&means.chain([0.0]).collect::<Vec<_>>())[nth]);
                let verdict = rows.get(nth).map_or(0, |(e, p)| c.verdict(*e, *p));
                won += u32::from(verdict == 1);
                lost += u32::from(verdict == -1);
            }
            if of_sets.is_empty() {
                return String::new();
            }
            let rank = of_sets.iter().sum::<f64>() / of_sets.len() as f64;
            if *name == RANDOM { format!("{rank:.1}") } else { format!("{rank:.1} (+{won} −{lost})") }
        };
        out += &format!("| {name} | {} |\n", judged.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
    out
}

fn values(of: fn(&Record) -> Option<f64>, records: &[&Record]) -> Values {
    let mut draws: BTreeMap<(String, String, u32), BTreeMap<u64, Vec<f64>>> = BTreeMap::new();
    for record in records {
        let Some(value) = of(record) else { continue };
        let key = (record.key.data.clone(), record.key.method.clone(), record.key.permille);
        draws.entry(key).or_default().entry(record.key.seed).or_default().push(value);
    }
    let mean = |v: Vec<f64>| v.iter().sum::<f64>() / v.len() as f64;
    draws
        .into_iter()
        .map(|(key, seeds)| (key, seeds.into_iter().map(|(seed, v)| (seed, mean(v))).collect()))
        .collect()
}

/// The height at `x` of the line through points in ascending order, whose first and last pieces go on beyond its ends.
/// Nothing for fewer than two points.
fn on_line(points: &[(f64, f64)], x: f64) -> Option<f64> {
    let last = points.len().checked_sub(2)?;
    let piece = points.iter().skip(1).take(last).filter(|(px, _)| *px < x).count();
    let ((x0, y0), (x1, y1)) = (points[piece], points[piece + 1]);
    if x0 < x1 { Some(y0 + (y1 - y0) * (x - x0) / (x1 - x0)) } else { Some(f64::midpoint(y0, y1)) }
}

fn times(records: &[&Record]) -> String {
    let mut cells: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    let most = records.iter().map(|r| r.key.permille).max();
    for r in records.iter().filter(|r| Some(r.key.permille) == most) {
        cells.entry((&r.key.method, &r.key.data)).or_default().push(r.milliseconds);
    }
    let sets: BTreeSet<&str> = cells.keys().map(|(_, set)| *set).collect();
    let head: Vec<&str> = sets.iter().copied().collect();
    let mut out = format!(
        "At the largest budget.\n\n| method | {} |\n|---|{}\n",
        head.join(" | "),
        "--:|".repeat(head.len())
    );
    for method in methods::names().into_iter().filter(|name| cells.keys().any(|(of, _)| of == name)) {
        let of = |set: &&str| cells.get(&(method, *set)).map(|v| v.iter().sum::<f64>() / v.len() as f64);
        let row: Vec<String> =
            sets.iter().map(|set| of(set).map_or_else(String::new, |ms| format!("{ms:.2}"))).collect();
        out += &format!("| {method} | {} |\n", row.join(" | "));
    }
    out
}

fn relative(e: Estimate) -> String {
    format!("{:+.1} [{:+.1}, {:+.1}]", e.mean, e.low, e.high).replace('-', "−")
}

fn of_p(p: f64) -> String {
    let star = if p < LEVEL { "**" } else { "" };
    if p < 0.001 { format!("{star}<.001{star}") } else { format!("{star}{p:.3}{star}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::record;

    /// Random with two draws a seed and one rival that is 2 points ahead, more or less.
    fn records(rival: &str) -> Vec<Record> {
        let mut out = Vec::new();
        for seed in 1..=6 {
            let wobble = 0.001 * seed as f64;
            for permille in [20, 50] {
                for (draw, map) in [(0, 0.4), (1, 0.6)] {
                    let mut r = record(RANDOM, seed, permille, map + wobble);
                    r.key.draw = draw;
                    out.push(r);
                }
                out.push(record(rival, seed, permille, 0.52 + 2.0 * wobble));
            }
        }
        out
    }

    #[test]
    fn differences_are_to_the_mean_of_the_same_seeds_draws() {
        let records = records("zcore");
        let all: Vec<&Record> = records.iter().collect();
        let c = Compared::new(&MEASURES[0], &all).unwrap();
        let d = c.differences("d", "zcore", 20);
        assert_eq!(d.len(), 6);
        assert!((d[&3] - 2.3).abs() < 1e-9, "{d:?}");
        assert!((c.over_all("d", "zcore").unwrap().mean - 2.35).abs() < 1e-9);
        assert!(c.over_all("d", "k-center").is_none());
    }

    #[test]
    fn methods_that_were_not_run_are_not_counted() {
        let records = records("zcore");
        let all: Vec<&Record> = records.iter().collect();
        let c = Compared::new(&MEASURES[0], &all).unwrap();
        assert_eq!(c.rivals, ["zcore"]);
        let (e, p) = c.overall["d"][0];
        assert_eq!(p.unwrap(), e.unwrap().p_value, "one question needs no correction");
        assert_eq!(c.verdict(e, p), 1);
    }

    #[test]
    fn less_distance_is_better_and_boxes_are_neither() {
        let of = |title: &str| MEASURES.iter().find(|m| m.title == title).unwrap();
        let all = Some(Estimate { mean: -3.0, low: -4.0, high: -2.0, p_value: 0.001 });
        for (title, expected) in [("mean distance", 1), ("boxes", 0), ("mAP50", -1)] {
            let c = Compared::new(of(title), &[]).unwrap();
            assert_eq!(c.verdict(all, Some(0.01)), expected, "{title}");
            assert_eq!(c.verdict(all, Some(0.2)), 0);
        }
    }

    #[test]
    fn lines_go_through_their_points_and_on() {
        let line = [(0.0, 0.0), (1.0, 10.0), (2.0, 30.0)];
        for (x, expected) in [(-1.0, -10.0), (0.0, 0.0), (0.5, 5.0), (1.0, 10.0), (1.5, 20.0), (3.0, 50.0)] {
            assert_eq!(on_line(&line, x), Some(expected));
        }
        assert_eq!(on_line(&[(1.0, 2.0), (1.0, 4.0)], 1.0), Some(3.0));
        assert_eq!((on_line(&line[..1], 0.0), on_line(&[], 0.0)), (None, None));
    }

    #[test]
    fn more_boxes_have_to_earn_their_place() {
        let mut records = Vec::new();
        for seed in 1..=3 {
            for (permille, boxes, map) in [(20, 10, 0.2), (50, 100, 0.4)] {
                let of = |method: &str| Record { n_boxes: boxes, ..record(method, seed, permille, map) };
                records.push(of(RANDOM));
                // Ten times the boxes and the mAP that random would have with them.
                records.push(Record { n_boxes: 10 * boxes, map50: Some(map + 0.2), ..of("zcore") });
            }
        }
        let all: Vec<&Record> = records.iter().collect();
        let measure = MEASURES.iter().find(|m| m.unit == Unit::PointsAtEqualBoxes).unwrap();
        let c = Compared::new(measure, &all).unwrap();
        for budget in [20, 50] {
            let d = c.differences("d", "zcore", budget);
            assert!(d.len() == 3 && d.values().all(|v| v.abs() < 1e-9), "{d:?}");
        }
    }

    #[test]
    fn pages_are_made_of_anything() {
        assert_eq!(of([].iter(), Detail::Full).unwrap(), "");
        let brief = of(records("zcore").iter(), Detail::Brief).unwrap();
        assert!(brief.contains("| zcore | **+2.") && !brief.contains("NaN"), "{brief}");
        let page = of(records("zcore").iter(), Detail::Full).unwrap();
        assert!(
            page.contains("| zcore | +2.4 [+2.2, +2.5] |") || page.contains("| zcore | +2.3 ["),
            "{page}"
        );
        assert!(!page.contains("NaN"), "{page}");
    }
}
