//! A Node process that speaks JSON lines.

use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
};

use super::install::install;

/// Is killed when dropped.
pub(super) struct Process {
    child: Child,
    stdin: ChildStdin,
    lines: mpsc::UnboundedReceiver<Value>,
}

impl Process {
    pub(super) fn spawn(script: &str, args: &[&str]) -> Self {
        let mut child = Command::new("node")
            .arg("--no-deprecation") // the oldest servers call what Node has long advised against
            .arg(script)
            .args(args)
            .current_dir(install())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node was there a moment ago");
        let stdin = child.stdin.take().expect("stdin is piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();

        // Reads all the time: Node stands still while its stdout is full.
        let (sender, lines) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(line)) = stdout.next_line().await {
                let value = serde_json::from_str(&line).expect("a line of JSON");
                if sender.send(value).is_err() {
                    break;
                }
            }
        });
        Self { child, stdin, lines }
    }

    pub(super) async fn write(&mut self, value: &Value) {
        let written = self.stdin.write_all(format!("{value}\n").as_bytes()).await;
        written.expect("node is still there");
    }

    /// The next line, or `None` when the process has ended.
    pub(super) async fn read(&mut self) -> Option<Value> {
        self.lines.recv().await
    }

    pub(super) fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("node is still there");
        let status = std::process::Command::new("kill").args([signal, &pid.to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill {signal} {pid} failed");
    }

    pub(super) async fn kill(&mut self) {
        self.child.kill().await.expect("a process of ours can be killed");
    }
}
