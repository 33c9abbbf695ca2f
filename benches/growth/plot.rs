//! Curves as pictures, both axes logarithmic.

use std::{error::Error, path::Path};

use plotters::{coord::Shift, prelude::*};

use crate::curve::{Panel, short};

/// Draws panels below one another, on a background of their own, to be readable on pages of any colour.
pub(crate) fn draw(path: &Path, panels: &[Panel], footer: &str) -> Result<(), Box<dyn Error>> {
    let height = HEIGHT * panels.len() as u32 + FOOT;
    let picture = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    picture.fill(&WHITE)?;
    let (charts, foot) = picture.split_vertically(height - FOOT);
    for (panel, area) in panels.iter().zip(charts.split_evenly((panels.len(), 1))) {
        chart(&area, panel)?;
    }
    foot.draw(&Text::new(footer, (20, 0), ("sans-serif", 13).into_font().color(&GRAY)))?;
    picture.present()?;
    Ok(())
}

fn chart(area: &DrawingArea<SVGBackend<'_>, Shift>, panel: &Panel) -> Result<(), Box<dyn Error>> {
    let points = || panel.curves.iter().flat_map(|curve| &curve.points);
    let (left, right) = range(points().map(|point| point.0));
    let (low, high) = range(points().map(|point| point.1));
    // Whole decades, and enough of them for a slope to look like what it is.
    let (low, high) = (10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil()));
    let high = high.max(100. * low);
    let (area, names) = area.split_horizontally(WIDTH - NAMES);
    let mut chart = ChartBuilder::on(&area)
        .caption(panel.title, ("sans-serif", 19))
        .margin(16)
        .margin_right(32)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d((left..right).log_scale(), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc(panel.x)
        .y_desc(panel.unit)
        .x_label_formatter(&|x| short(*x))
        .y_label_formatter(&|y| short(*y))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .bold_line_style(RGBColor(0xDD, 0xDD, 0xDD))
        .light_line_style(RGBColor(0xF2, 0xF2, 0xF2))
        .draw()?;
    let mut legend = Vec::new();
    for (curve, colour) in panel.curves.iter().zip(COLOURS.iter().cycle()) {
        let line = LineSeries::new(curve.points.iter().copied(), colour.stroke_width(2)).point_size(3);
        chart.draw_series(line)?;
        legend.push((curve.name.as_str(), *colour));
    }
    if !panel.is_of_each {
        let (least, _) = range(points().map(|(x, y)| y / x));
        let line = [left.max(low / least), right].map(|x| (x, least * x));
        chart.draw_series(DashedLineSeries::new(line, 4, 4, GRAY.into()))?;
        legend.push(("linear", GRAY));
    }
    for (line, (name, colour)) in (0..).zip(legend) {
        let middle = 60 + 22 * line;
        names.draw(&PathElement::new([(0, middle), (18, middle)], colour.stroke_width(2)))?;
        names.draw(&Text::new(name, (24, middle - 6), ("sans-serif", 13)))?;
    }
    Ok(())
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), value| (low.min(value), high.max(value)))
}

// In pixels.
const WIDTH: u32 = 880;
const NAMES: u32 = 170;
const HEIGHT: u32 = 380;
const FOOT: u32 = 28;

// Okabe and Ito's colours, which are told apart by those, too, who see few.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
];
const GRAY: RGBColor = RGBColor(0x60, 0x60, 0x60);
