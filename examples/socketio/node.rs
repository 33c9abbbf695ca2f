//! npm's socket.io in a process of its own.

use std::{env, fs, process::Stdio};

use engineio_client::BoxError;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

pub(crate) struct Server {
    pub(crate) url: String,
    _process: Child, // is killed when dropped
}

impl Server {
    /// Installs what the lock file says, beside the example's executable, and starts it.
    pub(crate) async fn start() -> Result<Self, BoxError> {
        let folder = env::current_exe()?.with_file_name("socketio-node");
        fs::create_dir_all(&folder)?;
        for (name, content) in FILES {
            fs::write(folder.join(name), content)?;
        }
        let mut npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
        let npm = npm.arg("ci").current_dir(&folder).kill_on_drop(true).output().await.map_err(missing)?;
        if !npm.status.success() {
            return Err(format!("npm ci failed: {}", String::from_utf8_lossy(&npm.stderr)).into());
        }
        let mut node = Command::new("node");
        node.arg("server.js").current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = node.spawn().map_err(missing)?;
        let stdout = process.stdout.take().ok_or("stdout is piped")?;
        let port = BufReader::new(stdout).lines().next_line().await?.ok_or("socket.io did not start")?;
        Ok(Self { url: format!("http://127.0.0.1:{port}"), _process: process })
    }
}

fn missing(error: std::io::Error) -> BoxError {
    format!("this example needs node and npm on the PATH, install Node.js 20 or later: {error}").into()
}

const FILES: [(&str, &str); 4] = [
    (".npmrc", include_str!(".npmrc")),
    ("package.json", include_str!("package.json")),
    ("package-lock.json", include_str!("package-lock.json")),
    ("server.js", include_str!("server.js")),
];
