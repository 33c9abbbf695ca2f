//! The reference servers, their parsers as an oracle, and the names in their clients. All need Node.

mod install;
mod process;

use std::{collections::VecDeque, time::Duration};

use serde_json::{Value, json};
use tokio::time::timeout;

use self::process::Process;

/// A reference server in a process of its own, which ends with this value.
///
/// `node/server.js` tells which commands its sessions obey.
pub(crate) struct Reference {
    process: Process,
    scheme: &'static str,
    port: Option<u64>,        // none on a Unix socket
    skipped: VecDeque<Value>, // events that nobody has asked for yet
}

impl Reference {
    /// Starts engine.io `version`, from 1 to 6, with its own `options`.
    pub(crate) async fn start(version: u8, options: Value) -> Self {
        Self::start_with(json!({ "version": version.to_string(), "options": options })).await
    }

    /// Starts a server from all that `node/server.js` takes: also `greet`, `quiet`, `log_requests`, `log_messages`, `tls`,
    /// `http2` and `unix_socket`.
    pub(crate) async fn start_with(config: Value) -> Self {
        Self::start_script("server.js", config).await
    }

    /// Starts servers for every one of these settings for permessage-deflate; `node/deflate.js` tells where each is.
    pub(crate) async fn start_deflate(settings: &[Value]) -> Self {
        Self::start_script("deflate.js", json!({ "settings": settings })).await
    }

    async fn start_script(script: &str, config: Value) -> Self {
        let process = Process::spawn(script, &[&config.to_string()]);
        let scheme = if config["tls"].is_object() { "https" } else { "http" };
        let mut server = Self { process, scheme, port: None, skipped: VecDeque::new() };
        let listening = server.event_within(START, "listening", |_| true).await;
        server.port = listening["port"].as_u64();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port())
    }

    pub(crate) fn port(&self) -> u64 {
        self.port.expect("it listens for TCP")
    }

    /// The next event of that name. Those before it stay for calls that ask for them.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        self.event_within(EVENT, name, |_| true).await
    }

    /// The next event of that name in the session `sid`.
    pub(crate) async fn event_of(&mut self, sid: &str, name: &str) -> Value {
        self.event_within(EVENT, name, |event| event["sid"] == sid).await
    }

    /// Shows all events of that name which came before one that was asked for, and forgets them.
    pub(crate) fn take_all(&mut self, name: &str, mut show: impl FnMut(&Value)) {
        self.skipped.retain(|event| {
            let is_it = event["event"] == name;
            if is_it {
                show(event);
            }
            !is_it
        });
    }

    /// Gives an order, such as `{"do": "burst", "count": 9}`.
    pub(crate) async fn command(&mut self, order: Value) {
        self.process.write(&order).await;
    }

    /// Freezes the server: its connections stay open, and nothing is answered.
    pub(crate) fn stop_process(&self) {
        self.process.signal("-STOP");
    }

    pub(crate) fn continue_process(&self) {
        self.process.signal("-CONT");
    }

    /// Kills the server. Gives what it had to tell, but for what was asked for before.
    pub(crate) async fn kill(mut self) -> VecDeque<Value> {
        self.process.kill().await;
        while let Some(event) = self.process.read().await {
            self.skipped.push_back(event);
        }
        self.skipped
    }

    async fn event_within(&mut self, limit: Duration, name: &str, meant: impl Fn(&Value) -> bool) -> Value {
        let is_it = |event: &Value| event["event"] == name && meant(event);
        if let Some(at) = self.skipped.iter().position(is_it) {
            return self.skipped.remove(at).expect("it was found there");
        }
        let found = timeout(limit, async {
            while let Some(event) = self.process.read().await {
                if is_it(&event) {
                    return Some(event);
                }
                self.skipped.push_back(event);
            }
            None
        });
        match found.await {
            Ok(Some(event)) => event,
            Ok(None) => panic!("the server ended before any {name:?}; seen: {:?}", self.skipped),
            Err(_) => panic!("no {name:?} within {limit:?}; seen: {:?}", self.skipped),
        }
    }
}

/// The parsers of protocols 3 and 4. `node/parsers.js` tells what can be asked.
pub(crate) struct Parsers {
    process: Process,
}

impl Parsers {
    pub(crate) async fn start() -> Self {
        Self { process: Process::spawn("parsers.js", &[]) }
    }

    pub(crate) async fn ask(&mut self, question: Value) -> Value {
        self.process.write(&question).await;
        let answer = timeout(EVENT, self.process.read()).await;
        let answer = answer.expect("an answer in time").expect("the parsers are still there");
        assert_eq!(answer["id"], question["id"], "answers come in the order of the questions");
        answer
    }
}

/// The names that the reference clients make known. `node/clients.js` tells what is in it.
pub(crate) async fn names_of_clients() -> Value {
    let names = timeout(START, Process::spawn("clients.js", &[]).read()).await;
    names.expect("the names in time").expect("a line of names")
}

const START: Duration = Duration::from_secs(30);
const EVENT: Duration = Duration::from_secs(15);
