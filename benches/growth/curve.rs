//! What came out: curves, and panels of them.

use std::fmt::Display;

/// A cost for each number of things, or for each size.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Curve {
    pub(crate) fn new(name: impl Display) -> Self {
        Self { name: name.to_string(), points: Vec::new() }
    }

    pub(crate) fn push(&mut self, count: usize, cost: f64) {
        self.points.push((count as f64, cost));
    }

    /// The power of the number with which the cost grows over the last two decades: the slope of the straight line that
    /// is next to the logarithms.
    fn slope(&self) -> f64 {
        let last = self.points.last().map_or(0., |point| point.0);
        let logs = self.points.iter().filter(|point| point.0 >= last / 100.).map(|(x, y)| (x.ln(), y.ln()));
        let logs: Vec<_> = logs.collect();
        let mean = |part: fn(&(f64, f64)) -> f64| logs.iter().map(part).sum::<f64>() / logs.len() as f64;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let both = logs.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>();
        both / logs.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
    }
}

/// Curves with the same axes.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) x: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) curves: Vec<Curve>,
    pub(crate) is_of_each: bool,
}

impl Panel {
    /// What each of the things costs, which is the same for any number if the cost is linear.
    pub(crate) fn each(title: &'static str, x: &'static str, unit: &'static str, curves: Vec<Curve>) -> Self {
        Self { title, x, unit, curves, is_of_each: true }
    }

    /// What all of it costs, which is as many times as much if the cost is linear.
    pub(crate) fn all(title: &'static str, x: &'static str, unit: &'static str, curves: Vec<Curve>) -> Self {
        Self { is_of_each: false, ..Self::each(title, x, unit, curves) }
    }

    /// The power of the number with which the whole cost grows in the end: 1 is linear.
    pub(crate) fn power(&self, curve: &Curve) -> f64 {
        curve.slope() + if self.is_of_each { 1. } else { 0. }
    }

    /// The numbers, as text.
    pub(crate) fn table(&self) -> String {
        let Self { title, x, unit, curves, .. } = self;
        let mut table = format!("{title}, {unit}\n{x:>24}");
        for (x, _) in curves.iter().flat_map(|curve| &curve.points).take(curves[0].points.len()) {
            table += &format!(" {:>9}", short(*x));
        }
        for curve in curves {
            table += &format!("\n{:>24}", curve.name);
            for (_, cost) in &curve.points {
                table += &format!(" {:>9}", short(*cost));
            }
            table += &format!("   grows with the power {:.2}", self.power(curve));
        }
        table + "\n"
    }
}

/// A number as axes have it: `12.3`, `45 k`, `6 M`.
pub(crate) fn short(number: f64) -> String {
    let (number, suffix) = match number {
        1e9.. => (number / 1e9, " G"),
        1e6.. => (number / 1e6, " M"),
        1e3.. => (number / 1e3, " k"),
        _ => (number, ""),
    };
    let digits = if number >= 100. || number.fract() == 0. {
        0
    } else if number >= 10. {
        1
    } else {
        2
    };
    format!("{number:.digits$}{suffix}")
}
