//! A relay that keeps what a server says.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Passes TCP on to a server, byte for byte, and keeps what comes back. Dropping it ends its connections.
pub(crate) struct Tap {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Tap {
    pub(crate) async fn start(server: &str) -> Self {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let heard = Arc::default();
        let task = tokio::spawn(serve(listener, server, Arc::clone(&heard)));
        Self { url, heard, task }
    }

    /// Whether the server has said this, in small or capital letters.
    pub(crate) fn heard(&self, words: &str) -> bool {
        let heard = self.heard.lock().expect("nobody panicked");
        heard.windows(words.len()).any(|bytes| bytes.eq_ignore_ascii_case(words.as_bytes()))
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, server: String, heard: Arc<Mutex<Vec<u8>>>) {
    let mut connections = JoinSet::new(); // ends them with this task
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(relay(client, server.clone(), Arc::clone(&heard)));
    }
}

async fn relay(client: TcpStream, server: String, heard: Arc<Mutex<Vec<u8>>>) -> std::io::Result<()> {
    let (mut from_server, mut to_server) = TcpStream::connect(server).await?.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    let back = async {
        let mut bytes = [0; 4096];
        loop {
            match from_server.read(&mut bytes).await? {
                0 => return to_client.shutdown().await,
                read => {
                    heard.lock().expect("nobody panicked").extend_from_slice(&bytes[..read]);
                    to_client.write_all(&bytes[..read]).await?;
                }
            }
        }
    };
    let there = async {
        copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    };
    tokio::try_join!(back, there).map(drop)
}
