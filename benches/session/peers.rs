//! The clients that ours is compared with. Each is a program of its own in `benches/peers`, that is called with a scenario and
//! prints what it has measured; its head comment says how it is used. They are installed below `target`, by lock files.

use std::{
    env::consts::EXE_SUFFIX,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    RustEngineio,
    EngineIoClient,
    PythonEngineio,
}

impl Peer {
    pub(crate) const ALL: [Self; 3] = [Self::RustEngineio, Self::EngineIoClient, Self::PythonEngineio];

    /// What it is called in the table's head, such as `engine.io-client 6.6 (Node 20)`.
    pub(crate) fn name(self) -> String {
        match self {
            Self::RustEngineio => {
                let lock = include_str!("../peers/rust_engineio/Cargo.lock");
                let version = between(lock, "name = \"rust_engineio\"\nversion = \"", '"');
                format!("rust_engineio {}", short(version, 2))
            }
            Self::EngineIoClient => {
                let lock = include_str!("../peers/engine_io_client/package-lock.json");
                let lock: Value = serde_json::from_str(lock).expect("npm has written it");
                let version = lock["packages"]["node_modules/engine.io-client"]["version"].as_str();
                let name = format!("engine.io-client {}", short(version.expect("it is what is installed"), 2));
                with_runtime(name, "Node", version_of("node").map(|version| short(&version, 1)))
            }
            Self::PythonEngineio => {
                let lock = include_str!("../peers/python_engineio/requirements.txt");
                let name = format!("python-engineio {}", short(between(lock, "python-engineio==", ' '), 2));
                with_runtime(name, "Python", version_of("python3").map(|version| short(&version, 2)))
            }
        }
    }

    /// Whether it waits for the server's close frame as it closes a WebSocket.
    pub(crate) const fn waits_to_close(self) -> bool {
        !matches!(self, Self::RustEngineio)
    }

    /// Installs it, if that has not been done, and gives the command that takes a scenario; or says in one line what is
    /// missing.
    pub(crate) fn prepare(self) -> Result<Command, String> {
        match self {
            Self::RustEngineio => prepare_rust(),
            Self::EngineIoClient => prepare_node(),
            Self::PythonEngineio => prepare_python(),
        }
    }
}

/// Cargo itself knows whether there is something to build.
fn prepare_rust() -> Result<Command, String> {
    let (source, folder) = places("rust_engineio");
    eprintln!("building rust_engineio, which takes minutes the first time");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--release", "--locked", "--manifest-path"]).arg(source.join("Cargo.toml"));
    build.arg("--target-dir").arg(&folder);
    run(&mut build).map_err(|error| match error.to_lowercase().contains("openssl") {
        true => "rust_engineio needs pkg-config and OpenSSL's headers (Debian: pkg-config, libssl-dev)".to_owned(),
        false => format!("rust_engineio could not be built: {}", line_of(&error)),
    })?;
    Ok(Command::new(folder.join("release").join(format!("peer-rust-engineio{EXE_SUFFIX}"))))
}

fn prepare_node() -> Result<Command, String> {
    for tool in ["node", "npm"] {
        version_of(tool).ok_or(format!("engine.io-client needs {tool} on the PATH (Node 20 or newer)"))?;
    }
    let files = [".npmrc", "package.json", "package-lock.json", "peer.js"];
    let folder = install("engine_io_client", &files, "", |folder| {
        run(Command::new("npm").arg("ci").current_dir(folder))
            .map_err(|error| format!("engine.io-client could not be installed: {}", line_of(&error)))
    })?;
    let mut command = Command::new("node");
    command.arg("--expose-gc").arg(folder.join("peer.js")).env("NODE_ENV", "production");
    Ok(command)
}

fn prepare_python() -> Result<Command, String> {
    let version = version_of("python3").ok_or("python-engineio needs python3 on the PATH (3.10 or newer)")?;
    let python = |folder: &Path| folder.join("venv/bin/python");
    let folder = install("python_engineio", &["requirements.txt", "peer.py"], &version, |folder| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder.join("venv")))
            .map_err(|_| "python-engineio needs Python's venv (Debian: python3-venv)".to_owned())?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"];
        run(Command::new(python(folder)).args(pip).args(["-r", "requirements.txt"]).current_dir(folder))
            .map_err(|error| format!("python-engineio could not be installed: {}", line_of(&error)))
    })?;
    let mut command = Command::new(python(&folder));
    command.arg(folder.join("peer.py"));
    Ok(command)
}

/// Copies the files to below `target` and calls `fill` there, unless that was done with the same files and the same `tool`.
fn install(
    peer: &str,
    files: &[&str],
    tool: &str,
    fill: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let (source, folder) = places(peer);
    let failed = |error| format!("{} could not be written: {error}", folder.display());
    let stamp = folder.join("installed");
    let mut contents = tool.to_owned();
    for file in files {
        contents += &fs::read_to_string(source.join(file)).map_err(|error| format!("{peer}/{file}: {error}"))?;
    }
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == contents) {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).map_err(failed)?;
    for file in files {
        fs::copy(source.join(file), folder.join(file)).map_err(failed)?;
    }
    eprintln!("installing {peer}");
    fill(&folder)?;
    fs::write(stamp, contents).map_err(failed)?;
    Ok(folder)
}

/// Where it is in the source tree, and where it is installed.
fn places(peer: &str) -> (PathBuf, PathBuf) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(peer);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers").join(peer);
    (source, folder)
}

/// Gives what a command that fails has to say.
fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(format!("{:?} is not there", command.get_program())),
        Err(error) => Err(error.to_string()),
    }
}

/// The line to show: the first that speaks of an error, or else the last.
fn line_of(text: &str) -> &str {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let error = lines.clone().find(|line| line.to_lowercase().contains("error"));
    error.or_else(|| lines.next_back()).unwrap_or("it does not say why")
}

/// `20.20.2` of `v20.20.2`, or of `Python 20.20.2`.
fn version_of(tool: &str) -> Option<String> {
    let output = Command::new(tool).arg("--version").output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim_start_matches(|c: char| !c.is_ascii_digit()).trim_end().to_owned())
}

fn with_runtime(name: String, runtime: &str, version: Option<String>) -> String {
    match version {
        Some(version) => format!("{name} ({runtime} {version})"),
        None => name,
    }
}

/// Its first `parts` numbers.
fn short(version: &str, parts: usize) -> String {
    version.split('.').take(parts).collect::<Vec<_>>().join(".")
}

fn between<'a>(text: &'a str, start: &str, end: char) -> &'a str {
    let (_, rest) = text.split_once(start).expect("it is what is installed");
    rest.split(end).next().expect("there is always a first part")
}
