//! The table of the benches, what it is checked against, and its picture.

#[path = "../benches/session/picture.rs"]
mod picture;
#[path = "../benches/session/report.rs"]
mod report;

use std::{error::Error, fs};

use report::{Bar, Better, Contender, Role, Row, check, number, table};

fn contenders() -> [Contender; 4] {
    let contender = |name: &str, role| Contender { name: name.to_owned(), role };
    [
        contender("floor", Role::Floor),
        contender("ours", Role::Ours),
        contender("theirs 1.2 (Node 20)", Role::Peer),
        contender("another's", Role::Peer),
    ]
}

fn row(scenario: &str, better: Better, samples: &[(&str, &[f64])]) -> Row {
    let mut row = Row::new(scenario, "messages/s", better);
    for (contender, samples) in samples {
        samples.iter().for_each(|sample| row.record(contender, Some(*sample)));
    }
    row
}

/// The machine was three times as slow in the third round, for everybody.
fn rows() -> [Row; 2] {
    let samples: [(&str, &[f64]); 3] = [
        ("floor", &[60_000., 60_000., 20_000.]),
        ("ours", &[54_000., 57_000., 19_000.]),
        ("theirs 1.2 (Node 20)", &[12_345., 12_345., 12_345.]),
    ];
    let mut echo = row("echo", Better::Higher, &samples);
    echo.record("another's", Some(1.));
    echo.record("another's", None);
    echo.record("another's", Some(1.)); // once it has failed, that is what is told
    let idle = row("idle", Better::Lower, &[("floor", &[4.]), ("ours", &[8.]), ("another's", &[0.04567])]);
    [echo, idle]
}

#[test]
fn the_table_has_medians_spread_and_ratios() {
    let expected = "\
| scenario | unit       |        floor |                  ours | theirs 1.2 (Node 20) |   another's |
| -------- | ---------- | -----------: | --------------------: | -------------------: | ----------: |
| echo     | messages/s | 60,000 ±17 % | 54,000 ±18 % (0.95 ×) |          12,300 ±0 % |       fails |
| idle     | messages/s |    4.00 ±0 % |    8.00 ±0 % (2.00 ×) |                      | 0.0457 ±0 % |

";
    let table = table(&rows(), &contenders());
    assert!(table.starts_with(expected), "{table}");
}

#[test]
fn bars_that_are_missed_are_told() {
    let bar =
        |scenario, contender, against: &str, ratio| Bar { scenario, contender, against: against.to_owned(), ratio };
    let bars = [
        bar("echo", "ours", "floor", 0.95),
        bar("echo", "ours", "floor", 0.96),
        bar("idle", "ours", "floor", 2.),
        bar("idle", "ours", "floor", 1.5),
        bar("echo", "ours", "another's", 1.),
        bar("connect", "ours", "floor", 1.),
    ];
    assert_eq!(
        check(&rows(), &bars),
        [
            "echo: ours has 0.95 × floor, wanted at least 0.96 ×",
            "idle: ours has 2.00 × floor, wanted at most 1.50 ×",
            "echo: ours was not measured against another's",
            "connect: ours was not measured against floor",
        ]
    );
}

#[test]
fn numbers_have_three_digits_and_commas() {
    let numbers = [0., 0.000_123_4, 0.999_9, 3.8, 24., 99.96, 123.4, 999.6, 12_345., 1_234_567., -4_321.];
    let texts = ["0.00", "0.000123", "1.00", "3.80", "24.0", "100", "123", "1,000", "12,300", "1,230,000", "-4,320"];
    assert_eq!(numbers.map(number), texts);
}

#[test]
fn the_picture_is_the_same_for_the_same_numbers() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let draw = |name| {
        let path = directory.path().join(name);
        picture::draw(&path, "messages & more", &rows(), &contenders(), "a machine")?;
        Ok::<_, Box<dyn Error>>(fs::read_to_string(path)?)
    };
    let picture = draw("one.svg")?;
    assert_eq!(picture, draw("another.svg")?);
    for text in ["messages &amp; more", "60,000", "fails", "theirs 1.2\n", "0.0457", "a machine"] {
        assert!(picture.contains(text), "{text}");
    }
    Ok(())
}
