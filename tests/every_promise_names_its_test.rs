//! The page "What you can rely on": each promise is one sentence and names the tests that hold it, and these exist.

use std::{fs, path::Path};

#[test]
fn each_promise_names_tests_that_exist() {
    let promises = promises(include_str!("../src/docs/what_you_can_rely_on.md")).unwrap();
    assert!(promises.len() >= 40, "there are only {} promises", promises.len());
    for Promise { words, tests } in promises {
        for (file, name) in tests {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file).with_extension("rs");
            let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(has_test(&source, &name), "{words}\n{file} has no test {name}");
        }
    }
}

#[test]
fn a_promise_without_its_test_is_found() {
    let sound =
        "Words.\n\n# A heading\n\n* It `holds`,\n  always. `tests/a: b,\n  c`, `src/d: e`\n* So it does. `src/d: f`\n";
    let test = |file: &str, name: &str| (file.to_owned(), name.to_owned());
    let expected = [
        Promise {
            words: "It `holds`, always.".to_owned(),
            tests: vec![test("tests/a", "b"), test("tests/a", "c"), test("src/d", "e")],
        },
        Promise { words: "So it does.".to_owned(), tests: vec![test("src/d", "f")] },
    ];
    assert_eq!(promises(sound).unwrap(), expected);

    let table = "# Table\n\n| a | tests |\n| --- | --- |\n| 1 s | `tests/a: b` |\n";
    let expected = Promise { words: "| 1 s |".to_owned(), tests: vec![test("tests/a", "b")] };
    assert_eq!(promises(table).unwrap(), [expected]);

    for unsound in [
        "* It holds.",
        "* It holds. `Socket`",
        "* It holds. `tests/a`",
        "* It holds. `tests/a: `",
        "* It holds. `tests/a: b` and more",
        "* It holds. `tests/a: b`, `Socket`",
        "* It holds `tests/a: b`",
        "* It holds. This does not. `tests/a: b`",
        "* It holds. `tests/a: b`\n* This does not.",
        "* It holds. `tests/a: b`\n\nThis does not.",
        "| 1 s | `tests/a: b` |\n| 2 s | |",
    ] {
        let page = format!("# A heading\n\n{unsound}\n");
        assert!(promises(&page).is_err(), "{unsound}");
    }
}

#[test]
fn a_name_of_no_test_is_found() {
    let source = "
        #[test]
        fn plain() {}

        /// Documented.
        #[tokio::test(start_paused = true)]
        #[cfg(feature = \"cookies\")]
        async fn with_attributes() {}

        #[test]
        #[ignore = \"it takes long\"]
        fn ignored() {}

        // #[test]
        fn commented_out() {}

        async fn helper() { plain(); }
        async fn made() {}
    ";
    let made = "async fn made() {}\nasync fn helper() {}\npeers::matrix::tests!(server, EngineIo(6), { made gone });\n";
    let listed =
        "ways! { other made }\nmacro_rules! ways {\n    (helper) => {};\n}\nasync fn made() {}\nfn helper() {}\n";
    let in_lines = "tests! {\n    reference: { made }\n}\nasync fn made() {\n    helper();\n}\nasync fn helper() {}\n";
    for (source, names) in
        [(source, &["plain", "with_attributes"][..]), (made, &["made"]), (listed, &["made"]), (in_lines, &["made"])]
    {
        for name in ["plain", "with_attributes", "ignored", "commented_out", "helper", "made", "gone", "other", "plai"]
        {
            assert_eq!(has_test(source, name), names.contains(&name), "{name} in {source}");
        }
    }
}

#[derive(Debug, PartialEq)]
struct Promise {
    words: String,
    tests: Vec<(String, String)>, // file and name
}

/// What stands below the first heading of a page: bullets, and rows of tables.
fn promises(page: &str) -> Result<Vec<Promise>, String> {
    let mut blocks: Vec<String> = Vec::new();
    for line in page.lines().skip_while(|line| !line.starts_with('#')) {
        match (line, blocks.last_mut()) {
            (line, Some(_)) if line.starts_with("| ---") => drop(blocks.pop()), // what was before is the table's head
            (line, _) if line.starts_with("* ") || line.starts_with('|') => blocks.push(line.to_owned()),
            (line, Some(block)) if line.starts_with("  ") => *block = format!("{block} {}", line.trim()),
            (line, _) if line.is_empty() || line.starts_with('#') => {}
            (line, _) => return Err(format!("this is no promise: {line}")),
        }
    }
    blocks.iter().map(|block| promise(block).map_err(|error| format!("{error}: {block}"))).collect()
}

fn promise(block: &str) -> Result<Promise, &'static str> {
    let begins = ["`src/", "`tests/", "`layers/"].iter().filter_map(|begin| block.find(begin)).min();
    let (words, tests) = block.split_at(begins.ok_or("it names no test")?);
    let words = words.trim_start_matches("* ").trim_end();
    let sentence: String = words.split('`').step_by(2).collect(); // without what is code
    if !words.starts_with('|') && (!sentence.ends_with('.') || sentence.contains(". ")) {
        return Err("it is not one sentence");
    }
    let tests = tests.trim_end_matches([' ', '|']).strip_prefix('`').and_then(|tests| tests.strip_suffix('`'));
    let mut named = Vec::new();
    for tests in tests.ok_or("it does not end with its tests")?.split("`, `") {
        let (file, names) = tests.split_once(": ").ok_or("a test is a file and a name")?;
        named.extend(names.split(", ").map(|name| (file.to_owned(), name.to_owned())));
    }
    let is_word = |name: &str| !name.is_empty() && name.chars().all(is_of_word);
    if named.iter().all(|(_, name)| is_word(name)) {
        Ok(Promise { words: words.to_owned(), tests: named })
    } else {
        Err("a test's name is one word")
    }
}

/// Whether there is a test of that name: a function marked as one, or one that a macro makes tests of.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    let functions = lines.iter().enumerate().filter(|(_, line)| line.trim_start_matches("async ").starts_with(&head));
    functions.into_iter().any(|(at, _)| {
        let marks = || lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("///"));
        let is_marked = marks().any(|mark| *mark == "#[test]" || mark.starts_with("#[tokio::test"));
        let is_ignored = marks().any(|mark| mark.starts_with("#[ignore"));
        is_marked && !is_ignored || is_listed(source, name)
    })
}

/// Whether a macro that makes tests of the functions in its list, at the top of a file, has this one there.
fn is_listed(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().collect();
    lines.iter().enumerate().any(|(at, line)| {
        let Some((path, list)) = line.split_once('!') else { return false };
        let makes_tests = ["tests", "ways"].contains(&path.rsplit("::").next().unwrap_or_default());
        let more = lines[at + 1..].iter().take_while(|line| line.starts_with(' '));
        let mut words = [list].into_iter().chain(more.copied()).flat_map(|line| line.split(|c| !is_of_word(c)));
        makes_tests && words.any(|word| word == name)
    })
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
