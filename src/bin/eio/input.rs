//! Standard input, line by line.

use std::{
    io::{self, BufRead, Read},
    thread,
};

use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    json,
    wish::{InputError, MAX_LINE, Wish},
};

/// A line, and what it asks for.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) wish: Result<Wish, InputError>,
}

/// Reads in a thread of its own, which no runtime waits for: a terminal may never say anything again. A line is read only
/// when there is room for it.
pub(crate) fn lines(is_json: bool) -> mpsc::Receiver<Line> {
    let (sender, lines) = mpsc::channel(ROOM);
    let runtime = Handle::current();
    thread::spawn(move || {
        let mut lines = Lines { input: io::stdin().lock(), number: 0, is_json };
        while let Ok(room) = runtime.block_on(sender.reserve()) {
            let Some(line) = lines.next() else { break };
            room.send(line);
        }
    });
    lines
}

struct Lines<R> {
    input: R,
    number: u64,
    is_json: bool,
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            self.number += 1;
            let mut line = Vec::new();
            let wish = match self.input.by_ref().take(MAX_LINE + 2).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) => match self.wish(line).transpose() {
                    Some(wish) => wish,
                    None => continue,
                },
                Err(error) => Err(InputError::Read(error)),
            };
            return Some(Line { number: self.number, wish });
        }
    }
}

impl<R> Lines<R> {
    /// What a line asks for. A blank one among objects is nothing.
    fn wish(&self, mut line: Vec<u8>) -> Result<Option<Wish>, InputError> {
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        if line.len() as u64 > MAX_LINE {
            return Err(InputError::TooLong);
        }
        if self.is_json {
            return if line.trim_ascii().is_empty() { Ok(None) } else { json::wish(&line).map(Some) };
        }
        let text = String::from_utf8(line).map_err(|_| InputError::Utf8)?;
        Ok(Some(Wish::Send(text.into())))
    }
}

/// Lines that are read ahead.
const ROOM: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], is_json: bool) -> Vec<(u64, Result<Wish, String>)> {
        let lines = Lines { input, number: 0, is_json };
        lines.map(|line| (line.number, line.wish.map_err(|error| error.to_string()))).collect()
    }

    fn send(text: &str) -> Result<Wish, String> {
        Ok(Wish::Send(text.into()))
    }

    #[test]
    fn each_line_is_a_message() {
        assert_eq!(all(b"", false), []);
        let lines = all(b"a\n\nb\r\n\xff\nlast", false);
        let bad = Err("the line is not UTF-8".to_owned());
        assert_eq!(lines, [(1, send("a")), (2, send("")), (3, send("b")), (4, bad), (5, send("last"))]);
    }

    #[test]
    fn objects_are_numbered_with_the_blank_lines_between() {
        let lines = all(b"\n{\"send\":{\"text\":\"a\"}}\n \nx\n{\"close\":true}", true);
        let bad = Err("the line is not what it should be".to_owned());
        assert_eq!(lines, [(2, send("a")), (4, bad), (5, Ok(Wish::Close))]);
    }

    #[test]
    fn a_line_has_an_end() {
        let fits = vec![b'x'; MAX_LINE as usize];
        for end in [&b""[..], b"\n", b"\r\n"] {
            let line = [&fits, end].concat();
            let mut lines = Lines { input: &*line, number: 0, is_json: false };
            assert!(lines.next().is_some_and(|line| line.wish.is_ok()), "{end:?}");
        }
        let endless = io::BufReader::new(io::repeat(b'x'));
        let line = Lines { input: endless, number: 0, is_json: false }.next().expect("a line");
        assert!(matches!(line.wish, Err(InputError::TooLong)), "nothing is read for ever");
    }
}
