//! The page for those who come from JavaScript, against the names that the reference clients themselves know.

mod peers;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::peers::reference::names_of_clients;

/// Which names `peers/node/clients.js` has for which heading of the page.
const SECTIONS: [(&str, &str); 6] = [
    ("# Options", "options"),
    ("## Of a socket", "socket"),
    ("## Of a transport", "transport"),
    ("## Of what is handed over", "details"),
    ("# Events", "events"),
    ("# Exports", "exports"),
];

/// Looked up like options, but set by the reference itself: for its transports, and for the requests they make.
const INTERNAL_OPTIONS: &str =
    "async cookieJar data headers isBinary isReactNative method socket supportsBinary uri xd xdomain xs";

#[tokio::test]
async fn each_name_has_one_row_with_the_versions_that_know_it() {
    let clients = names_of_clients().await;
    for (heading, kind) in SECTIONS {
        let mut known = known(&clients, kind);
        known.retain(|name, _| !name.starts_with('_')); // private, as JavaScript says it
        if kind == "options" {
            for name in INTERNAL_OPTIONS.split(' ') {
                assert!(known.remove(name).is_some(), "{name} is not even looked up");
            }
        }
        let answered = answered(heading);
        let missing: Vec<_> = known.iter().filter(|(name, versions)| answered.get(*name) != Some(versions)).collect();
        let invented: Vec<_> = answered.iter().filter(|(name, versions)| known.get(*name) != Some(versions)).collect();
        assert!(missing.is_empty() && invented.is_empty(), "{heading}: rows lack {missing:?} and invent {invented:?}");
    }
}

#[test]
fn each_row_has_a_link_or_a_reason() {
    for Row { heading, names, here, note, .. } in rows() {
        assert!(SECTIONS.iter().any(|&(known, _)| known == heading), "{names} is under {heading:?}");
        let is_link = here.contains("[`");
        assert!(is_link || here == "–" && !note.is_empty(), "{names}: {here:?} is no link, and {note:?} no reason");
    }
}

/// Names, and in which versions they are.
type Names<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn known<'a>(clients: &'a Value, kind: &str) -> Names<'a> {
    let mut names = Names::new();
    for (version, client) in clients.as_object().expect("an object of versions") {
        for name in client[kind].as_array().expect("a list of names") {
            names.entry(name.as_str().expect("a name")).or_default().insert(version);
        }
    }
    names
}

fn answered(heading: &str) -> Names<'static> {
    let mut names = Names::new();
    for row in rows().filter(|row| row.heading == heading) {
        for name in row.names.split(", ").map(|name| name.trim_matches('`')) {
            let before = names.insert(name, row.versions.split(", ").collect());
            assert!(before.is_none(), "{heading}: {name} has two rows");
        }
    }
    names
}

struct Row {
    heading: &'static str,
    names: &'static str,
    versions: &'static str,
    here: &'static str,
    note: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    let page = include_str!("../src/docs/coming_from_javascript.md");
    let mut heading = "";
    page.lines().filter_map(move |line| {
        if line.starts_with('#') {
            heading = line;
        }
        let cells: Vec<_> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        let [names, versions, here, note, ""] = cells[..] else { panic!("not four cells: {line}") };
        let is_row = !["name", "---"].contains(&names);
        is_row.then_some(Row { heading, names, versions, here, note })
    })
}
