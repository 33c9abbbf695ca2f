//! The command-line client in a pseudo-terminal: colours, the spinner and keys.

#![cfg(unix)]

mod peers;

use std::{net::TcpListener, process::Command};

use peers::reference::Reference;
use rexpect::session::{PtySession, spawn_command};
use serde_json::json;

const PATIENCE: u64 = 20_000; // milliseconds

/// Runs it in a shell, which tells its exit code and is not ended by Ctrl-C itself.
fn eio(url: &str, no_color: bool) -> PtySession {
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap : INT; "$0" "$1"; echo "exit code $?""#, env!("CARGO_BIN_EXE_eio"), url]);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
    if no_color {
        command.env("NO_COLOR", "1");
    }
    spawn_command(command, Some(PATIENCE)).expect("a pseudo-terminal")
}

/// Waits for its end: what it has shown since, and its code.
fn end(mut eio: PtySession) -> (String, String) {
    let shown = eio.exp_string("exit code ").expect("it ends");
    (shown, eio.read_line().expect("the shell tells the code"))
}

#[tokio::test]
async fn messages_have_colours_and_ctrl_d_ends() {
    let server = Reference::start(6, json!({})).await;
    let mut eio = eio(&server.url(), false);
    eio.exp_string("open by").expect("it opens");
    eio.send_line("hello").expect("it takes lines");
    eio.exp_string("\u{1b}[32mhello\u{1b}[0m").expect("a green answer");
    eio.send_control('d').expect("it takes keys");
    let (shown, code) = end(eio);
    assert_eq!(code, "0", "{shown}");
}

#[tokio::test]
async fn no_color_is_respected() {
    let server = Reference::start(6, json!({})).await;
    let mut eio = eio(&server.url(), true);
    let before = eio.exp_string("open by").expect("it opens");
    eio.send_line("hello").expect("it takes lines");
    let between = eio.exp_string("hello").expect("an answer"); // what is typed is not shown in these terminals
    eio.send_control('d').expect("it takes keys");
    let (after, code) = end(eio);
    assert_eq!(code, "0");
    for shown in [before, between, after] {
        assert!(!shown.contains("\u{1b}[3") && !shown.contains("\u{1b}[1m"), "{shown:?}");
    }
}

#[tokio::test]
async fn a_spinner_shows_what_is_waited_for_and_ctrl_c_ends() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("it is bound"));
    let mut eio = eio(&url, false);
    eio.exp_string(&format!("connecting to {url}")).expect("it tells so");
    eio.send_control('c').expect("it takes keys");
    let (shown, code) = end(eio);
    assert_eq!(code, "3", "{shown}");
    assert!(shown.contains("ended before there was a session"), "{shown:?}");
}
