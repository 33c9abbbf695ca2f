//! The command-line client, as a process, against reference servers and its own.

#![cfg(unix)]

mod peers;

use std::{
    fs,
    net::TcpListener,
    process::{Command as Blocking, Stdio},
};

use http::{Request, Response, StatusCode, header::LOCATION, uri::PathAndQuery};
use hyper::body::Incoming;
use peers::{
    front::Front,
    pki::{Authority, Terms},
    proxies::{ProxyServer, Rules},
    reference::Reference,
    session::within,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
};
use tower::service_fn;

/// A running `eio`, which ends with this value.
struct Eio {
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    told: JoinHandle<String>, // all of standard error
}

/// How it ended.
struct Ended {
    code: Option<i32>,
    output: Vec<String>, // lines that nobody has read before
    told: String,
}

impl Eio {
    fn start(args: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_eio"))
            .args(args)
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("eio was built for this test");
        let output = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut errors = process.stderr.take().expect("it is piped");
        let told = tokio::spawn(async move {
            let mut told = String::new();
            errors.read_to_string(&mut told).await.expect("it writes UTF-8");
            told
        });
        Self { input: process.stdin.take(), process, output, told }
    }

    async fn write(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input has not ended");
        input.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
    }

    async fn read(&mut self) -> String {
        let line = within("a line of eio", self.output.next_line()).await;
        line.expect("it writes UTF-8").expect("it has not ended")
    }

    /// The next event of that name; others are passed over.
    async fn event(&mut self, name: &str) -> Value {
        loop {
            let event: Value = serde_json::from_str(&self.read().await).expect("a line of JSON");
            if event["event"] == name {
                return event;
            }
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().expect("it still runs").to_string();
        let status = Blocking::new("kill").args([signal, &id]).status();
        assert!(status.expect("there is kill").success());
    }

    /// Waits for its end, with its input ended if it was not.
    async fn end(mut self) -> Ended {
        drop(self.input.take());
        let mut output = Vec::new();
        while let Some(line) = within("eio's output", self.output.next_line()).await.expect("it writes UTF-8") {
            output.push(line);
        }
        let status = within("the end of eio", self.process.wait()).await.expect("it can be waited for");
        Ended { code: status.code(), output, told: self.told.await.expect("its errors are read") }
    }
}

async fn run(args: &[&str]) -> Ended {
    Eio::start(args).end().await
}

#[tokio::test]
async fn lines_go_and_come_back() {
    for version in [3, 6] {
        let mut server = Reference::start(version, json!({})).await;
        let mut eio = Eio::start(&[&server.url()]);
        for line in ["hello", "", "grüße"] {
            eio.write(line).await;
            assert_eq!(eio.read().await, line);
        }
        let ended = eio.end().await;
        assert_eq!(ended.code, Some(0), "{}", ended.told);
        let protocol = if version == 3 { 3 } else { 4 };
        assert!(ended.told.contains(&format!("open by polling, protocol {protocol}")), "{}", ended.told);
        assert!(!ended.told.contains('\u{1b}'), "no colours without a terminal");
        server.event("close").await;
    }
}

#[tokio::test]
async fn all_that_was_read_goes_out_before_the_end() {
    let server = Reference::start_with(json!({ "version": "6", "options": {}, "log_messages": true }));
    let mut server = server.await;
    let mut eio = Eio::start(&[&server.url(), "--quiet"]);
    for number in 0..300 {
        eio.write(&number.to_string()).await;
    }
    let ended = eio.end().await;
    assert_eq!((ended.code, ended.told.as_str()), (Some(0), ""));
    for number in 0..300 {
        assert_eq!(server.event("message").await["text"], number.to_string());
    }
}

#[tokio::test]
async fn objects_go_and_come_back() {
    let server = Reference::start(6, json!({})).await;
    let mut eio = Eio::start(&[&server.url(), "--json", "--deflate"]);
    let handshake = eio.event("handshake").await;
    assert_eq!((&handshake["protocol"], &handshake["transport"]), (&json!(4), &json!("polling")));
    assert_eq!(eio.event("upgrade").await["transport"], "websocket");
    eio.write(r#"{"send":{"text":"a\nb"}}"#).await;
    assert_eq!(eio.event("message").await, json!({ "event": "message", "text": "a\nb" }));
    eio.write(r#"{"send":{"base64":"AQID","compress":false}}"#).await;
    assert_eq!(eio.event("message").await, json!({ "event": "message", "base64": "AQID" }));
    eio.write(r#"{"close":true}"#).await;
    assert_eq!(eio.event("close").await, json!({ "event": "close", "reason": "forced close" }));
    let ended = eio.end().await;
    assert_eq!((ended.code, ended.told.as_str()), (Some(0), ""));
    assert!(ended.output.is_empty(), "the close is the last event");
}

#[tokio::test]
async fn a_line_that_can_t_be_obeyed_is_told_with_its_number() {
    let server = Reference::start(6, json!({})).await;
    let mut eio = Eio::start(&[&server.url(), "--json"]);
    for line in [r#"{"send":{"text":"one"}}"#, "two", r#"{"send":{"text":"three"}}"#] {
        eio.write(line).await;
    }
    assert_eq!(eio.event("message").await["text"], "one");
    assert_eq!(eio.event("message").await["text"], "three");
    let ended = eio.end().await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.told.contains("error: line 2 of standard input: the line is not what it should be"),
        "{}",
        ended.told
    );
}

#[tokio::test]
async fn a_transport_can_be_chosen() {
    let server = Reference::start(6, json!({})).await;
    let url = server.url();
    for (args, first) in [
        (&["--transport", "polling"][..], "polling"),
        (&["--no-upgrade"], "polling"),
        (&["--transport", "websocket"], "websocket"),
        (&["--transport", "websocket", "--base64"], "websocket"),
    ] {
        let mut eio = Eio::start(&[args, &["--json", &url]].concat());
        assert_eq!(eio.event("handshake").await["transport"], first);
        eio.write(r#"{"send":{"base64":"AQID"}}"#).await;
        let answer: Value = serde_json::from_str(&eio.read().await).expect("a line of JSON");
        assert_eq!(answer, json!({ "event": "message", "base64": "AQID" }), "{args:?}: and no upgrade before");
        assert_eq!(eio.end().await.code, Some(0));
    }
}

#[tokio::test]
async fn jsonp_polls_an_old_server() {
    let server = Reference::start(3, json!({})).await;
    let mut eio = Eio::start(&[&server.url(), "--jsonp", "--no-upgrade"]);
    eio.write("hello").await;
    assert_eq!(eio.read().await, "hello");
    assert_eq!(eio.end().await.code, Some(0));
}

#[tokio::test]
async fn ctrl_c_and_sigterm_close_the_session() {
    for signal in ["-INT", "-TERM"] {
        let mut server = Reference::start(6, json!({})).await;
        let mut eio = Eio::start(&[&server.url(), "--json"]);
        eio.event("upgrade").await;
        eio.signal(signal);
        assert_eq!(eio.event("close").await["reason"], "forced close");
        server.event("close").await; // which would take 45 s if nobody had said goodbye
        let ended = eio.end().await;
        assert_eq!((ended.code, ended.told.as_str()), (Some(0), ""));
    }
}

#[tokio::test]
async fn what_was_not_sent_is_told() {
    let server = Reference::start(6, json!({})).await;
    let mut eio = Eio::start(&[&server.url(), "--json", "--verbose", "--transport", "polling"]);
    eio.event("handshake").await;
    server.stop_process();
    eio.write(r#"{"send":{"text":"into the void"}}"#).await;
    eio.event("packet_create").await;
    server.kill().await;
    let close = eio.event("close").await;
    let lost = ["unsent", "in_doubt"].map(|name| close[name][0]["text"] == "into the void");
    assert_ne!(lost, [false, false], "{close}");
    let ended = eio.end().await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.told.contains("1 message\n  into the void"), "{}", ended.told);
}

#[tokio::test]
async fn a_server_s_end_is_no_success() {
    let server = Reference::start(6, json!({})).await;
    let mut eio = Eio::start(&[&server.url(), "--json"]);
    eio.event("upgrade").await;
    server.kill().await;
    eio.event("close").await;
    let ended = eio.end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.told);
    assert!(!ended.told.is_empty());
}

#[tokio::test]
async fn what_keeps_a_session_from_opening_has_a_code_and_a_hint() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it is bound").to_string();
    let (old, new) = (Reference::start(3, json!({})).await, Reference::start(6, json!({})).await);
    for (args, hint) in [
        (&[&*free][..], "hint: nobody listens there"),
        (&[&old.url(), "--protocol", "4"], "--protocol auto"),
        (&[&new.url(), "--protocol", "3"], "--protocol auto"),
        (&[&new.url(), "--path", "/elsewhere"], "--path sets it"),
    ] {
        let ended = run(args).await;
        assert_eq!(ended.code, Some(3), "{args:?}: {}", ended.told);
        assert!(ended.told.contains("error: ") && ended.told.contains(hint), "{args:?}: {}", ended.told);
        assert!(!ended.told.contains("closed"), "what never was does not end: {args:?}: {}", ended.told);
        assert!(ended.output.is_empty(), "standard output has messages alone");
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("it is bound").to_string();
    let ended = run(&[&address, "--timeout", "0.1"]).await;
    assert_eq!(ended.code, Some(3));
    assert!(ended.told.contains("hint: --timeout lets it take longer"), "{}", ended.told);
}

#[tokio::test]
async fn a_command_line_that_makes_no_sense_is_refused() {
    for args in [
        &[][..],
        &["localhost", "--protocol", "5"],
        &["localhost", "--json", "--quiet"],
        &["server", "3000"],
        &["localhost:99999"],
        &["localhost:port"],
        &["localhost", "--cacert", "/nowhere.pem"],
        &["bench", "http://192.0.2.1"],
        &["man", "nothing"],
    ] {
        let ended = run(args).await;
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.told);
        assert!(ended.told.contains("error: "), "{args:?}: {}", ended.told);
    }
}

#[tokio::test]
async fn certificates_are_judged_as_it_is_told() {
    let authority = Authority::new("ours");
    let tls = Terms::default().for_node(&authority.server(&["127.0.0.1"]));
    let server = Reference::start_with(json!({ "version": "6", "options": {}, "tls": tls })).await;
    let folder = TempDir::new().expect("a folder");
    let pem = folder.path().join("ca.pem");
    fs::write(&pem, &authority.pem).expect("it can be written");

    let ended = run(&[&server.url()]).await;
    assert_eq!(ended.code, Some(3));
    assert!(ended.told.contains("hint: --cacert FILE trusts the authority"), "{}", ended.told);
    for args in [&["--cacert", pem.to_str().expect("UTF-8")][..], &["--insecure"]] {
        let mut eio = Eio::start(&[args, &[&server.url()]].concat());
        eio.write("hello").await;
        assert_eq!(eio.read().await, "hello");
        assert_eq!(eio.end().await.code, Some(0));
    }
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_told_and_may_be_trusted() {
    let authority = Authority::new("ours");
    let tls = Terms::default().for_node(&authority.expired_server(&["127.0.0.1"]));
    let server = Reference::start_with(json!({ "version": "6", "options": {}, "tls": tls })).await;
    let folder = TempDir::new().expect("a folder");
    let pem = folder.path().join("ca.pem");
    fs::write(&pem, &authority.pem).expect("it can be written");

    let ended = run(&["--cacert", pem.to_str().expect("UTF-8"), &server.url()]).await;
    assert_eq!(ended.code, Some(3));
    assert!(ended.told.contains("hint: the certificate has expired; --insecure"), "{}", ended.told);
    assert_eq!(run(&["--insecure", &server.url()]).await.code, Some(0));
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_that_of_an_archive() {
    let authority = Authority::new("ours");
    let terms = Terms { clients: Some(include_str!("peers/pkcs12/root.pem")), ..Terms::default() };
    let tls = terms.for_node(&authority.server(&["127.0.0.1"]));
    let server = Reference::start_with(json!({ "version": "6", "options": {}, "tls": tls })).await;
    let archive = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/pkcs12/modern.p12");

    let ended = run(&["--insecure", &server.url()]).await;
    assert_eq!(ended.code, Some(3));
    assert!(ended.told.contains("hint: the server may want a certificate"), "{}", ended.told);
    let mut eio = Eio::start(&["--insecure", "--pfx", archive, "--passphrase", "secret", &server.url()]);
    eio.write("hello").await;
    assert_eq!(eio.read().await, "hello");
    assert_eq!(eio.end().await.code, Some(0));
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_it_is_told() {
    let server = Reference::start(6, json!({})).await;
    let there = server.url();
    let front = Front::start(service_fn(move |request: Request<Incoming>| {
        let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let response = Response::builder().status(StatusCode::TEMPORARY_REDIRECT);
        let response = response.header(LOCATION, format!("{}{target}", there.trim_end_matches('/')));
        async { response.body(String::new()) }
    }))
    .await;

    let ended = run(&[&front.url]).await;
    assert_eq!(ended.code, Some(3));
    assert!(ended.told.contains("hint: the server is elsewhere; --redirects 3"), "{}", ended.told);
    let mut eio = Eio::start(&["--redirects", "1", &front.url]);
    eio.write("hello").await;
    assert_eq!(eio.read().await, "hello");
    assert_eq!(eio.end().await.code, Some(0));
}

#[tokio::test]
async fn sessions_go_through_proxies_and_unix_sockets() {
    let folder = TempDir::new().expect("a folder");
    let socket = folder.path().join("socket");
    let config = json!({ "version": "6", "options": {}, "unix_socket": socket });
    let _behind = Reference::start_with(config).await;
    let server = Reference::start(6, json!({})).await;
    let proxy = ProxyServer::http(Rules::default()).await;

    let socket = socket.to_str().expect("UTF-8").to_owned();
    for args in [&["--unix", &socket, "localhost"][..], &["--proxy", &proxy.url("http"), &server.url()]] {
        let mut eio = Eio::start(args);
        eio.write("hello").await;
        assert_eq!(eio.read().await, "hello");
        let ended = eio.end().await;
        assert_eq!(ended.code, Some(0), "{}", ended.told);
    }
    assert!(!proxy.asked().is_empty(), "the proxy was gone through");
}

#[tokio::test]
async fn cookies_are_kept_in_a_file() {
    let server = Reference::start(6, json!({ "cookie": { "name": "where" } })).await;
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("cookies");
    let jar = format!("--cookie-jar={}", file.display());
    for _ in 0..2 {
        let ended = run(&[&server.url(), &jar]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.told);
    }
    assert!(fs::read_to_string(&file).expect("it was written").contains("where"));
}

#[tokio::test]
async fn a_server_to_try_with_is_there_and_can_be_measured() {
    let mut server = Eio::start(&["serve", "0"]);
    let url = server.read().await;
    for transport in ["polling", "websocket", "polling,websocket"] {
        let args =
            ["bench", "--json", "--connections", "3", "--messages", "7", "--size", "100", "--transport", transport];
        let ended = run(&[&args[..], &[&url]].concat()).await;
        assert_eq!((ended.code, ended.told.as_str()), (Some(0), ""));
        let report: Value = serde_json::from_str(&ended.output.concat()).expect("JSON");
        for (name, count) in [("opened", 3), ("failed", 0), ("sent", 21), ("received", 21), ("unexpected", 0)] {
            assert_eq!(report[name], count, "{name}");
        }
        assert_eq!((&report["latency_us"]["count"], &report["size"]), (&json!(21), &json!(100)));
    }
    let ended = run(&["bench", "--messages", "2", &url]).await;
    assert!(ended.output.iter().any(|line| line.starts_with("latency")), "{:?}", ended.output);

    server.signal("-INT");
    assert_eq!(server.end().await.code, Some(0));
}

#[tokio::test]
async fn completions_and_pages_are_made() {
    for (args, part) in [
        (&["--completions", "bash"][..], "complete -F _eio"),
        (&["--completions", "zsh"], "#compdef eio"),
        (&["man"], ".TH eio 1"),
        (&["man", "bench"], "load"),
        (&["--help"], "Exit codes:"),
    ] {
        let ended = run(args).await;
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.told);
        assert!(ended.output.join("\n").contains(part), "{args:?}: {:?}", ended.output);
    }
}
