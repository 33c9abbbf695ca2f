//! An HTTP server made of a service.

use std::future::Future;

use bytes::Bytes;
use engineio_client::BoxError;
use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tower::{Service, ServiceExt};

/// Serves what it is given. Dropping it ends the listener and its HTTP connections.
pub(crate) struct Front {
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Front {
    pub(crate) async fn start<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Future + Send,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new(); // ends them with this task
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                let serve = service_fn(move |request| service.clone().oneshot(request));
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), serve);
                connections.spawn(connection.with_upgrades());
            }
        });
        Self { url, task }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}
