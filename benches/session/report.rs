//! What was measured, as a table, and whether it is enough.

use std::{collections::BTreeMap, iter};

/// Who is measured.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The least that it can cost: what ours is compared with in the table.
    Floor,
    Ours,
    Peer,
}

/// One scenario, and what came out for whom.
pub(crate) struct Row {
    pub(crate) scenario: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    outcomes: BTreeMap<String, Outcome>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

pub(crate) enum Outcome {
    /// One sample a round, in the order of the rounds.
    Measured(Vec<f64>),
    Failed,
}

impl Row {
    pub(crate) fn new(scenario: impl Into<String>, unit: &'static str, better: Better) -> Self {
        Self { scenario: scenario.into(), unit, better, outcomes: BTreeMap::new() }
    }

    /// Adds what a contender has done in the next round; none if it failed, and then it has failed for good.
    pub(crate) fn record(&mut self, contender: &str, sample: Option<f64>) {
        let outcome = self.outcomes.entry(contender.to_owned()).or_insert(Outcome::Measured(Vec::new()));
        match (&mut *outcome, sample) {
            (Outcome::Measured(samples), Some(sample)) => samples.push(sample),
            _ => *outcome = Outcome::Failed,
        }
    }

    pub(crate) fn outcome(&self, contender: &str) -> Option<&Outcome> {
        self.outcomes.get(contender)
    }

    /// How many times `against` a contender has: the median of the ratios within each round, for what disturbs a round
    /// disturbs both.
    pub(crate) fn ratio(&self, contender: &str, against: &str) -> Option<f64> {
        match (self.outcome(contender)?, self.outcome(against)?) {
            (Outcome::Measured(samples), Outcome::Measured(others)) => {
                assert_eq!(samples.len(), others.len(), "{}: rounds belong together", self.scenario);
                Some(median(iter::zip(samples, others).map(|(sample, other)| sample / other)))
            }
            _ => None,
        }
    }
}

/// What ours has to reach. Which way the ratio has to be off is the row's to say: at least this where higher is better,
/// at most this where lower is.
pub(crate) struct Bar {
    pub(crate) scenario: &'static str,
    pub(crate) contender: &'static str,
    pub(crate) against: String,
    pub(crate) ratio: f64,
}

/// A line for each bar that is missed. What was not measured on both sides is missed, too.
pub(crate) fn check(rows: &[Row], bars: &[Bar]) -> Vec<String> {
    bars.iter().filter_map(|bar| missed(rows, bar)).collect()
}

fn missed(rows: &[Row], Bar { scenario, contender, against, ratio: wanted }: &Bar) -> Option<String> {
    let row = rows.iter().find(|row| row.scenario == *scenario);
    let Some((row, ratio)) = row.and_then(|row| Some((row, row.ratio(contender, against)?))) else {
        return Some(format!("{scenario}: {contender} was not measured against {against}"));
    };
    let (reached, limit) = match row.better {
        Better::Higher => (ratio >= *wanted, "at least"),
        Better::Lower => (ratio <= *wanted, "at most"),
    };
    (!reached).then(|| format!("{scenario}: {contender} has {ratio:.2} × {against}, wanted {limit} {wanted:.2} ×"))
}

/// A Markdown table, in columns that line up as text, too.
pub(crate) fn table(rows: &[Row], contenders: &[Contender]) -> String {
    let head = ["scenario", "unit"].into_iter().chain(contenders.iter().map(|contender| contender.name.as_str()));
    let head: Vec<_> = head.map(str::to_owned).collect();
    let body: Vec<_> = rows.iter().map(|row| cells(row, contenders)).collect();
    let lines = || iter::once(&head).chain(&body);
    let widths: Vec<_> =
        (0..head.len()).map(|column| lines().map(|line| line[column].chars().count()).max().unwrap_or(0)).collect();

    let rule = iter::zip(0.., &widths).map(|(column, width)| match column {
        0 | 1 => format!("| {} ", "-".repeat(*width)),
        _ => format!("| {}: ", "-".repeat(width.saturating_sub(1))),
    });
    let mut lines = lines().map(|line| {
        let cells = iter::zip(0.., iter::zip(line, &widths)).map(|(column, (cell, width))| match column {
            0 | 1 => format!("| {cell:<width$} "),
            _ => format!("| {cell:>width$} "),
        });
        cells.collect::<String>() + "|\n"
    });
    let head = lines.next().unwrap_or_default();
    let rule = rule.collect::<String>() + "|\n";
    iter::once(head).chain(iter::once(rule)).chain(lines).chain(iter::once(format!("\n{LEGEND}\n"))).collect()
}

const LEGEND: &str = "Medians of all rounds; ± is half the distance between the quartiles, × the ratio to the floor, as the \
                      median of the ratios within each round.";

fn cells(row: &Row, contenders: &[Contender]) -> Vec<String> {
    let floor = contenders.iter().find(|contender| contender.role == Role::Floor);
    let cell = |contender: &Contender| {
        let mut cell = match row.outcome(&contender.name) {
            None => return String::new(),
            Some(Outcome::Failed) => return "fails".to_owned(),
            Some(Outcome::Measured(samples)) => {
                format!("{} ±{:.0} %", number(median(samples.iter().copied())), 100. * spread(samples))
            }
        };
        let floor = floor.filter(|_| contender.role == Role::Ours);
        if let Some(ratio) = floor.and_then(|floor| row.ratio(&contender.name, &floor.name)) {
            cell += &format!(" ({ratio:.2} ×)");
        }
        cell
    };
    [row.scenario.clone(), row.unit.to_owned()].into_iter().chain(contenders.iter().map(cell)).collect()
}

/// A number to three digits, and with commas: `12,300`, `45.6`, `0.00789`.
pub(crate) fn number(value: f64) -> String {
    let scientific = format!("{value:.2e}");
    let (Ok(rounded), Some((_, exponent))) = (scientific.parse::<f64>(), scientific.split_once('e')) else {
        return scientific; // it is no number
    };
    let digits = exponent.parse().map_or(0, |exponent: i32| 2 - exponent); // after the point
    let text = format!("{rounded:.*}", digits.max(0) as usize);
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, whole) = whole.split_at(whole.starts_with('-').into());
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{fraction}")
}

pub(crate) fn median(samples: impl IntoIterator<Item = f64>) -> f64 {
    quantile(samples, 0.5)
}

/// Half the distance between the quartiles, as a part of the median.
fn spread(samples: &[f64]) -> f64 {
    let at = |quantile_of| quantile(samples.iter().copied(), quantile_of);
    (at(0.75) - at(0.25)) / 2. / at(0.5)
}

/// The sample below which this part of them lies, or what lies between the two next to it.
fn quantile(samples: impl IntoIterator<Item = f64>, part: f64) -> f64 {
    let mut samples: Vec<_> = samples.into_iter().collect();
    samples.sort_by(f64::total_cmp);
    let at = part * samples.len().saturating_sub(1) as f64;
    match (samples.get(at.floor() as usize), samples.get(at.ceil() as usize)) {
        (Some(below), Some(above)) => below + (above - below) * at.fract(),
        _ => f64::NAN, // of nothing
    }
}
