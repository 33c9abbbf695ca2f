//! What a client can be told.

mod http;
mod limits;
mod requests;
mod transports;

use std::{fmt, sync::Arc};

pub(super) use self::limits::bounded;
use super::{Client, options::Options};
use crate::{
    Error,
    http::{Connections, HttpService},
    memory::Memory,
};

/// Settings of a [`Client`] to be.
///
/// ```
/// use std::time::Duration;
///
/// use engineio_client::{Client, Protocol};
///
/// let client = Client::builder()
///     .path("/realtime")
///     .protocol(Protocol::V4)
///     .handshake_timeout(Duration::from_secs(5))
///     .build()?;
/// # let _ = client;
/// # Ok::<_, engineio_client::Error>(())
/// ```
#[derive(Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct ClientBuilder {
    options: Options,
    connections: Connections,
    http: Option<HttpService>,
    layers: Vec<Box<dyn FnOnce(HttpService) -> HttpService + Send>>,
    invalid: Option<Error>, // the first setting that can't be
}

impl ClientBuilder {
    /// Makes the client.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransports`] if the list of transports is empty, [`Error::DuplicateTransport`] if one is in it twice,
    /// [`Error::UnknownTransport`] if a [custom](crate::Transport::Custom) one was not added;
    /// [`Error::InvalidRequest`] if a [header](Self::header) can't be one.
    pub fn build(self) -> Result<Client, Error> {
        if let Some(invalid) = self.invalid {
            return Err(invalid);
        }
        let mut options = self.options;
        options.engine.jsonp = options.force_jsonp;
        options.base64 |= options.force_jsonp;
        options.check_transports()?;
        options.engine.base64 = options.base64_ones();
        options.engine.unfit = options.unfit();
        let http = self.http.unwrap_or_else(|| self.connections.client());
        let http = self.layers.into_iter().fold(http, |http, layer| layer(http));
        Ok(Client { options: Arc::new(options), http, jsonp_index: Arc::default(), memory: Memory::default() })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}
