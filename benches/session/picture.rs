//! The table as a picture: a panel a scenario, a bar a contender.

use std::{error::Error, path::Path};

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::report::{Better, Contender, Outcome, Role, Row, median, number};

/// Draws the rows to a file. Bars begin at nothing and are as long as their medians, within a panel; it has a background
/// of its own, to be readable on pages of any colour.
pub(crate) fn draw(
    path: &Path,
    title: &str,
    rows: &[Row],
    contenders: &[Contender],
    footer: &str,
) -> Result<(), Box<dyn Error>> {
    let lines: Vec<_> = rows.chunks(COLUMNS).collect();
    let heights: Vec<_> = lines.iter().map(|line| line.iter().map(|row| height(row, contenders)).max()).collect();
    let height = HEAD + heights.iter().flatten().sum::<i32>() + FOOT;

    let picture = SVGBackend::new(path, (WIDTH as u32, height as u32)).into_drawing_area();
    picture.fill(&WHITE)?;
    write(&picture, title, (MARGIN, HEAD / 2), HPos::Left, font(18).style(FontStyle::Bold))?;
    let mut top = HEAD;
    for (line, height) in lines.into_iter().zip(heights) {
        for (column, row) in (0..).zip(line) {
            panel(&picture, row, contenders, (MARGIN + column * (PANEL + MARGIN), top))?;
        }
        top += height.unwrap_or(0);
    }
    write(&picture, footer, (MARGIN, top + FOOT / 2), HPos::Left, font(12).color(&GRAY))?;
    picture.present()?;
    Ok(())
}

type Picture<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn panel(
    picture: &Picture<'_>,
    row: &Row,
    contenders: &[Contender],
    (left, top): (i32, i32),
) -> Result<(), Box<dyn Error>> {
    let better = match row.better {
        Better::Higher => "more is better",
        Better::Lower => "less is better",
    };
    write(picture, &row.scenario, (left, top + BAR / 2), HPos::Left, font(14).style(FontStyle::Bold))?;
    let unit = format!("{}, {better}", row.unit);
    write(picture, &unit, (left, top + BAR + BAR / 2), HPos::Left, font(12).color(&GRAY))?;

    let longest = medians(row, contenders).flat_map(|(_, _, median)| median).fold(0., f64::max);
    for (line, (index, contender, median)) in (2..).zip(medians(row, contenders)) {
        let middle = top + line * BAR + BAR / 2;
        let name = contender.name.split(" (").next().unwrap_or_default();
        let name_font = if contender.role == Role::Ours { font(13).style(FontStyle::Bold) } else { font(13) };
        write(picture, name, (left + NAME - GAP, middle), HPos::Right, name_font)?;
        let length = median.map_or(0, |median| (median / longest * f64::from(BARS)) as i32);
        let corners = [(left + NAME, middle - BAR / 2 + 2), (left + NAME + length, middle + BAR / 2 - 2)];
        if median.is_some() {
            picture.draw(&Rectangle::new(corners, colour(index, contenders).filled()))?;
        }
        let value = median.map_or("fails".to_owned(), number);
        write(picture, &value, (left + NAME + length + GAP, middle), HPos::Left, font(13))?;
    }
    Ok(())
}

fn height(row: &Row, contenders: &[Contender]) -> i32 {
    (2 + medians(row, contenders).count() as i32) * BAR + MARGIN
}

/// Who takes part in the scenario, and the median; none for who fails.
fn medians<'a>(row: &'a Row, contenders: &'a [Contender]) -> impl Iterator<Item = (usize, &'a Contender, Option<f64>)> {
    (0..).zip(contenders).filter_map(|(index, contender)| match row.outcome(&contender.name)? {
        Outcome::Measured(samples) => Some((index, contender, Some(median(samples.iter().copied())))),
        Outcome::Failed => Some((index, contender, None)),
    })
}

/// The same for a contender in every panel.
fn colour(index: usize, contenders: &[Contender]) -> RGBColor {
    let role = contenders[index].role;
    let nth = contenders[..index].iter().filter(|contender| contender.role == role).count();
    match role {
        Role::Floor => FLOOR,
        Role::Ours => OURS[nth % OURS.len()],
        Role::Peer => PEERS[nth % PEERS.len()],
    }
}

fn font(size: i32) -> FontDesc<'static> {
    ("sans-serif", size).into_font()
}

fn write<'a>(
    picture: &Picture<'_>,
    text: &str,
    at: (i32, i32),
    to: HPos,
    style: impl Into<TextStyle<'a>>,
) -> Result<(), Box<dyn Error>> {
    let style = style.into().pos(Pos::new(to, VPos::Center));
    picture.draw(&Text::new(text, at, style))?;
    Ok(())
}

// In pixels.
const COLUMNS: usize = 2;
const MARGIN: i32 = 20;
const PANEL: i32 = 400;
const WIDTH: i32 = MARGIN + COLUMNS as i32 * (PANEL + MARGIN);
const HEAD: i32 = 48;
const FOOT: i32 = 32;
const BAR: i32 = 18;
const NAME: i32 = 140;
const BARS: i32 = 190;
const GAP: i32 = 6;

// Okabe and Ito's colours, which are told apart by those, too, who see few.
const FLOOR: RGBColor = RGBColor(0xB0, 0xB0, 0xB0);
const OURS: [RGBColor; 2] = [RGBColor(0xD5, 0x5E, 0x00), RGBColor(0xE6, 0x9F, 0x00)];
const PEERS: [RGBColor; 4] =
    [RGBColor(0x00, 0x72, 0xB2), RGBColor(0x00, 0x9E, 0x73), RGBColor(0xCC, 0x79, 0xA7), RGBColor(0x56, 0xB4, 0xE9)];
const GRAY: RGBColor = RGBColor(0x60, 0x60, 0x60);
