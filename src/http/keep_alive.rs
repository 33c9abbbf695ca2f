//! The connections that a session keeps between its requests.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use http::{
    HeaderValue, Method, Request, Response, Uri, Version,
    header::{Entry, HOST},
    uri::PathAndQuery,
};
use hyper::{
    client::conn::TrySendError,
    rt::{Read, Write},
};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep_until},
};
use tower::{Service, ServiceExt};

use super::{
    RequestBody,
    connection::{Connection, Reply},
};
use crate::BoxError;

/// Among a request's extensions: the connections of its session. A request takes one that is idle or opens one, and gives
/// it back with its reply. The one that has begun the session becomes its WebSocket's, as long as no poll has taken it.
#[derive(Clone, Default)]
pub(crate) struct KeepAlive(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    idle: Vec<(Connection, Instant)>, // and until when
    closer: Option<AbortHandle>,      // of the task that closes those that stay idle
}

impl KeepAlive {
    /// Sends a request to a server itself, and moves its connection on.
    pub(super) async fn send<C>(
        self,
        connector: C,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Reply>, BoxError>
    where
        C: Service<Uri, Response: Read + Write + Unpin + Send + 'static, Error: Into<BoxError>>,
    {
        let server = request.uri().clone();
        if let (Entry::Vacant(header), Some(host)) = (request.headers_mut().entry(HOST), host(&server)) {
            header.insert(HeaderValue::from_str(host)?);
        }
        *request.version_mut() = Version::HTTP_11; // whatever a layer has made of it
        *request.uri_mut() = server.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")).into();
        if let Some(connection) = self.take(&server) {
            match connection.send(request, self.clone()).await {
                Ok(response) => return Ok(response),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent, // it was closed just then
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let io = connector.oneshot(origin(&server)?).await.map_err(Into::into)?;
        let connection = Connection::new(io, server).await?;
        Ok(connection.send(request, self).await.map_err(TrySendError::into_error)?)
    }

    /// Takes a connection to this server. Those that turn out to be of no use are closed.
    fn take(&self, server: &Uri) -> Option<Connection> {
        let mut kept = self.kept();
        while let Some((mut connection, until)) = kept.idle.pop() {
            if until > Instant::now() && connection.is_ready_for(server) {
                return Some(connection);
            }
            connection.close();
        }
        None
    }

    /// Keeps a connection for the next request. After a GET that follows at once, after a POST it may be long.
    pub(super) fn keep(&self, connection: Connection, after: &Method) {
        let mut kept = self.kept();
        if !connection.is_idle() || kept.idle.len() == MAX_KEPT {
            return connection.close();
        }
        kept.idle.push((connection, Instant::now() + IDLE_TIMEOUT));
        if after == Method::POST && kept.closer.is_none() {
            let closer = tokio::spawn(close_idle(Arc::downgrade(&self.0)));
            kept.closer = Some(closer.abort_handle());
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAlive").field("idle", &self.kept().idle.len()).finish_non_exhaustive()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(closer) = &self.closer {
            closer.abort();
        }
        self.idle.drain(..).for_each(|(connection, _)| connection.close());
    }
}

/// Closes connections once they have been idle for long.
async fn close_idle(kept: Weak<Mutex<Kept>>) {
    let mut at = Instant::now() + IDLE_TIMEOUT;
    loop {
        sleep_until(at).await;
        let Some(kept) = kept.upgrade().map(KeepAlive) else { return };
        let mut kept = kept.kept();
        let (old, idle) = mem::take(&mut kept.idle).into_iter().partition(|(_, until)| *until <= Instant::now());
        kept.idle = idle;
        Vec::into_iter(old).for_each(|(connection, _)| connection.close());
        match kept.idle.iter().map(|&(_, until)| until).min() {
            Some(next) => at = next,
            None => {
                kept.closer = None;
                return;
            }
        }
    }
}

/// How many connections are kept: one for GETs, one for POSTs.
const MAX_KEPT: usize = 2;
/// Node's HTTP server closes an idle connection after 5 s; a POST that meets that moment can't be repeated.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// What a connector has to know: a session's ID is not its business.
fn origin(server: &Uri) -> Result<Uri, http::Error> {
    let mut parts = server.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    Ok(Uri::from_parts(parts)?)
}

/// What the `Host` header says: no user, and no port that goes without saying.
fn host(uri: &Uri) -> Option<&str> {
    match (uri.scheme_str(), uri.port_u16()) {
        (_, None) | (Some("http"), Some(80)) | (Some("https"), Some(443)) => uri.host(),
        (_, Some(_)) => uri.authority()?.as_str().rsplit('@').next(),
    }
}

#[cfg(test)]
mod tests;
