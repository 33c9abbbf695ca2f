//! Connections to a Unix socket.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::UnixStream;
use tower::{Service, service_fn};

/// Connects to the socket at `path`, whatever the URL's host is.
pub(super) fn connector(
    path: PathBuf,
) -> impl Service<Uri, Response = TokioIo<UnixStream>, Error = CannotConnect, Future: Send> + Clone + Send + Sync {
    let path: Arc<Path> = path.into();
    service_fn(move |_| {
        let path = Arc::clone(&path);
        async move {
            match UnixStream::connect(&path).await {
                Ok(stream) => Ok(TokioIo::new(stream)),
                Err(source) => Err(CannotConnect { path, source }),
            }
        }
    })
}

/// Adds to what the system says where it happened.
#[derive(Debug, Error)]
#[error("cannot connect to the Unix socket {}", .path.display())]
pub(super) struct CannotConnect {
    path: Arc<Path>,
    source: io::Error,
}
