//! How sessions are opened.

mod attempt;
mod builder;
mod connect;
mod options;
mod stack;
mod transport_options;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU32},
    task::{Context, Poll},
};

use http::Uri;
use tower::Service;

pub use self::{attempt::Attempt, builder::ClientBuilder, connect::Connect, transport_options::TransportOptions};
use self::{attempt::Prepared, options::Options, stack::Stack};
use crate::{
    BoxError, Error, Handshake, Socket,
    carrier::Carrier,
    http::HttpService,
    memory::Memory,
    upgrading::{Opener, Upgrading},
};

/// Opens sessions, and takes them over, all with the same settings and over the same HTTP service.
///
/// Cloning it is cheap. As a tower [`Service`] it makes a [`Socket`] from a [`Uri`], so that retries, timeouts and
/// limits of tower's apply to it.
///
/// ```
/// use engineio_client::{Client, Transport};
/// use tower_http::trace::TraceLayer;
///
/// let client = Client::builder()
///     .path("/realtime")
///     .transports([Transport::Polling])
///     .layer(TraceLayer::new_for_http())
///     .build()?;
/// # let _ = client;
/// # Ok::<_, engineio_client::Error>(())
/// ```
#[derive(Clone)]
pub struct Client {
    options: Arc<Options>,
    http: HttpService,
    jsonp_index: Arc<AtomicU32>, // JSONP's `j` counts the sessions
    memory: Memory,
}

impl Client {
    /// A client with settings of one's own.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Opens a session, and is done when it is open. The URL can be a string, or a [`Uri`].
    ///
    /// # Errors
    ///
    /// With what kept the session from opening, [`Error::Timeout`] after the handshake timeout at the latest;
    /// [`Error::InvalidRequest`] if the URL is none.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with its timer enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up. If the server had begun a session it goes away with its ping timeout.
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), engineio_client::Error> {
    /// use engineio_client::Client;
    ///
    /// let client = Client::builder().path("/realtime").header("x-room", "kitchen").build()?;
    /// let socket = client.connect("https://example.com").await?;
    /// println!("open by {}", socket.transport());
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect<U>(&self, uri: U) -> Connect
    where
        U: TryInto<Uri, Error: Into<BoxError>>,
    {
        Connect::new(parsed(uri).and_then(|uri| self.try_open(uri, None)))
    }

    /// Begins to open a session: what is sent is buffered until it is open, and a failure comes as
    /// [`Event::Error`](crate::Event::Error), then [`Event::Close`](crate::Event::Close).
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with its timer enabled.
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), engineio_client::Error> {
    /// use engineio_client::Client;
    /// use futures::SinkExt;
    ///
    /// let mut socket = Client::default().open("http://localhost:3000");
    /// socket.feed("goes out once it is open".into()).await?;
    /// socket.flush().await?; // which it is then; an error if it could not be opened
    /// # Ok(())
    /// # }
    /// ```
    pub fn open<U>(&self, uri: U) -> Socket
    where
        U: TryInto<Uri, Error: Into<BoxError>>,
    {
        parsed(uri).and_then(|uri| self.try_open(uri, None)).unwrap_or_else(Socket::failed)
    }

    /// Takes over a session that was opened elsewhere, by another HTTP client or process: by polling, from where it
    /// moves on as usual. [`Event::Open`](crate::Event::Open) comes first as always, and heartbeats count from now.
    ///
    /// No GET of the session may be under way any more. The handshake has to say which [protocol](Handshake::protocol)
    /// it is; [`Handshake::new`] or [`Handshake::parse`] make it. With protocol 3, a handshake that is thrown away shows
    /// whether the server is an engine.io 1.
    ///
    /// A session that the server does not know ends with [`Error::Status`], and so does one that is redirected: the URL
    /// has to be the one where it lives. None can be taken over where polling is not the first of the client's
    /// transports, as no server hands a WebSocket on, nor by JSONP, whose replies bear the number of the handshake's
    /// request: that, and a handshake that can't be used, is [`Error::InvalidRequest`]. These errors come as
    /// [`Event::Error`](crate::Event::Error), then [`Event::Close`](crate::Event::Close).
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with its timer enabled.
    pub fn resume<U>(&self, uri: U, handshake: Handshake) -> Socket
    where
        U: TryInto<Uri, Error: Into<BoxError>>,
    {
        parsed(uri).and_then(|uri| self.try_open(uri, Some(handshake))).unwrap_or_else(Socket::failed)
    }

    fn try_open(&self, uri: Uri, resumed: Option<Handshake>) -> Result<Socket, Error> {
        let options = &*self.options;
        let mut settings = options.engine.clone();
        let memory = options.remember_upgrade.then(|| self.memory.clone());
        if let Some(handshake) = &resumed {
            options.check_resumed(handshake)?;
            settings.try_all_transports = false; // another one would be another session
        } else if let Some(last) = memory.as_ref().and_then(Memory::recall) {
            settings.transports.sort_by_key(|&transport| transport != last);
        }
        let opener: Opener<Carrier> = match options.prepare.clone() {
            None => Box::new(self.stack(uri, Arc::clone(&self.options), resumed)?),
            Some(prepare) => {
                let client = self.clone();
                let attempt = Attempt { uri, query: options.query.clone(), headers: options.extra_headers.clone() };
                Box::new(Prepared::new(async move {
                    let Attempt { uri, query, headers } = prepare(attempt).await.map_err(Error::prepare)?;
                    let options = Options { query, extra_headers: headers, ..Options::clone(&client.options) };
                    client.stack(uri, Arc::new(options), resumed)
                }))
            }
        };
        Ok(Socket::new(Upgrading::new(settings, opener), memory))
    }

    fn stack(&self, uri: Uri, options: Arc<Options>, resumed: Option<Handshake>) -> Result<Stack, Error> {
        Stack::new(options, uri, &self.http, Arc::clone(&self.jsonp_index), resumed)
    }
}

impl fmt::Debug for Client {
    /// Leaves out headers and query, where credentials are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("path", &self.options.path)
            .field("transports", &self.options.engine.transports)
            .finish_non_exhaustive()
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::builder().build().expect("the default settings are sound")
    }
}

impl Service<Uri> for Client {
    type Response = Socket;
    type Error = Error;
    type Future = Connect;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connect {
        self.connect(uri)
    }
}

fn parsed<U: TryInto<Uri, Error: Into<BoxError>>>(uri: U) -> Result<Uri, Error> {
    uri.try_into().map_err(Error::invalid_request)
}

/// Opens a session with the default settings: polling first, then WebSocket; whichever protocol the server speaks.
///
/// # Errors
///
/// As [`Client::connect`].
///
/// # Cancel safety
///
/// As [`Client::connect`].
///
/// ```no_run
/// use engineio_client::Event;
/// use futures::{SinkExt, StreamExt};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), engineio_client::Error> {
/// let mut socket = engineio_client::connect("http://localhost:3000").await?;
/// socket.send("hello".into()).await?;
/// while let Some(event) = socket.next().await {
///     if let Event::Message(data) = event {
///         println!("{data:?}");
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub async fn connect<U>(uri: U) -> Result<Socket, Error>
where
    U: TryInto<Uri, Error: Into<BoxError>>,
{
    Client::default().connect(uri).await
}
