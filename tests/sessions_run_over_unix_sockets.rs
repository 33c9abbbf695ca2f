//! Sessions with reference servers that listen on Unix sockets.

#![cfg(unix)]

mod peers;

use std::{
    error::Error as _,
    fs,
    io::{self, ErrorKind},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use engineio_client::{Client, ClientBuilder, Error, Protocol, Stage, Tls, Transport};
use peers::{
    matrix::{Cell, Kind, Way, with_v3},
    pki::{Authority, Terms},
    reference::Reference,
    session::{Session, uri, within},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const WAYS: [Way; 3] = [Way::Polling, Way::WebSocket, Way::Upgrade];
/// Not the place, only the name.
const URL: &str = "http://engine.test:1234/engine.io/?token=1";

struct Server {
    reference: Reference,
    path: PathBuf,
    _folder: TempDir,
}

impl Server {
    async fn start(version: u8) -> Self {
        Self::start_with(version, Value::Null).await
    }

    async fn start_with(version: u8, tls: Value) -> Self {
        let folder = TempDir::new().expect("a folder of our own"); // a socket's path has to be short
        let path = folder.path().join("socket");
        let config = json!({
            "version": version.to_string(),
            "options": with_v3(version, json!({})),
            "log_requests": true,
            "unix_socket": path,
            "tls": tls,
        });
        Self { reference: Reference::start_with(config).await, path, _folder: folder }
    }

    /// Has a session, and checks that its requests say what the URL does.
    async fn serve(&mut self, cell: Cell, client: ClientBuilder, url: &str) {
        let mut session = cell.connect_by(client.unix_socket(&self.path), url).await;
        session.echo("hello").await;
        session.echo(vec![0, 1, 2]).await;
        let id = session.id();
        session.close().await;
        self.reference.event_of(&id, "close").await;
        let mut upgraded = false;
        self.reference.take_all("request", |request| {
            upgraded |= request["headers"]["upgrade"] == "websocket";
            assert_eq!(request["headers"]["host"], "engine.test:1234", "{cell}");
            let target = request["url"].as_str().expect("a target");
            assert!(target.starts_with("/engine.io/?token=1&EIO="), "{cell}: {target}");
        });
        assert_eq!(upgraded, cell.way.ends_with() == Transport::WebSocket, "{cell}");
    }
}

#[tokio::test]
async fn sessions_run_by_every_way_in_both_protocols() {
    for version in [3, 6] {
        let mut server = Server::start(version).await;
        for cell in Cell::all(Kind::EngineIo(version), &WAYS) {
            server.serve(cell, cell.client(), URL).await;
        }
    }
}

#[tokio::test]
#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
async fn an_https_url_means_tls_there_too() {
    let authority = Authority::new("ours");
    let tls = Terms::default().for_node(&authority.server(&["engine.test"]));
    let mut server = Server::start_with(6, tls).await;
    let tls = Tls::builder().ca(&authority.pem).build().unwrap();
    for way in WAYS {
        let cell = Cell::new(Kind::EngineIo(6), Protocol::V4, way);
        server.serve(cell, cell.client().tls(tls.clone()), &URL.replace("http:", "https:")).await;
    }
}

#[tokio::test]
async fn clients_of_different_sockets_share_no_connections() {
    let mut servers = [Server::start(6).await, Server::start(6).await];
    let clients = servers.each_ref().map(|server| {
        let client = Client::builder().unix_socket(&server.path).transports([Transport::Polling]);
        client.build().expect("there are transports")
    });
    for _ in 0..2 {
        for (client, server) in clients.iter().zip(&mut servers) {
            let name = server.path.to_string_lossy();
            let socket = within(&name, client.connect(uri(URL))).await.unwrap();
            let session = Session::new(name, socket);
            server.reference.event_of(&session.id(), "connection").await;
            session.close().await;
        }
    }
}

#[tokio::test]
async fn what_keeps_a_socket_from_being_connected_to_is_told() {
    let folder = TempDir::new().unwrap();
    let place = |name: &str| folder.path().join(name);

    assert_eq!(failure(&place("missing")).await, ErrorKind::NotFound);

    drop(UnixListener::bind(place("abandoned")).unwrap());
    assert_eq!(failure(&place("abandoned")).await, ErrorKind::ConnectionRefused);

    fs::set_permissions(place("abandoned"), fs::Permissions::from_mode(0o000)).unwrap();
    let forbidden = UnixStream::connect(place("abandoned")).unwrap_err().kind(); // unless one is root
    assert_eq!(failure(&place("abandoned")).await, forbidden);
}

/// Fails to open sessions at this socket, and returns what the system says of it.
async fn failure(path: &Path) -> ErrorKind {
    let mut kinds = Vec::new();
    for transport in [Transport::Polling, Transport::WebSocket] {
        let client = Client::builder().unix_socket(path).transports([transport]).build().expect("there are transports");
        let error = within(path.display(), client.connect(uri(URL))).await.expect_err("nobody listens");
        assert!(matches!(error, Error::Transport { stage: Stage::Opening, .. }), "{error:?}");
        let sources: Vec<_> = std::iter::successors(error.source(), |&error| error.source()).collect();
        let told = format!("cannot connect to the Unix socket {}", path.display());
        assert!(sources.iter().any(|source| source.to_string() == told), "{error:?}");
        let io = sources.iter().find_map(|source| source.downcast_ref::<io::Error>()).expect("the system's own error");
        kinds.push(io.kind());
    }
    assert_eq!(kinds[0], kinds[1]);
    kinds[0]
}
