use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::future::BoxFuture;
use http::{HeaderMap, Uri};

use crate::{BoxError, Error, Handshake, Transport, link::Open};

/// One attempt to open a session: where it goes, and what its requests carry.
///
/// [`ClientBuilder::prepare`](crate::ClientBuilder::prepare) may change it before the first request. It begins with what
/// the client was told for all its sessions.
#[derive(Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// The URL, as it was given for this session.
    pub uri: Uri,
    /// Pairs of the query beyond the URL's own, before the protocol's.
    pub query: Vec<(String, String)>,
    /// Headers of every request, which override what the client would say itself.
    pub headers: HeaderMap,
}

impl fmt::Debug for Attempt {
    /// Leaves out values, and what the URL has of them: they are not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query: Vec<&str> = self.query.iter().map(|(name, _)| name.as_str()).collect();
        let headers: Vec<&str> = self.headers.keys().map(|name| name.as_str()).collect();
        f.debug_struct("Attempt")
            .field("host", &self.uri.host())
            .field("path", &self.uri.path())
            .field("query", &query)
            .field("headers", &headers)
            .finish()
    }
}

/// What changes an attempt.
pub(super) type Prepare = Arc<dyn Fn(Attempt) -> BoxFuture<'static, Result<Attempt, BoxError>> + Send + Sync>;

/// Opens the transports of a session once its attempt is prepared.
pub(super) struct Prepared<O> {
    preparing: BoxFuture<'static, Result<O, Error>>,
    opener: Option<O>,
}

impl<O> Prepared<O> {
    pub(super) fn new(preparing: impl Future<Output = Result<O, Error>> + Send + 'static) -> Self {
        Self { preparing: Box::pin(preparing), opener: None }
    }
}

impl<O: Open<L>, L> Open<L> for Prepared<O> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.opener.is_none() {
            self.opener = Some(ready!(self.preparing.as_mut().poll(cx))?);
        }
        Poll::Ready(Ok(()))
    }

    fn open(&mut self, transport: Transport, session: Option<&Handshake>) -> L {
        self.opener.as_mut().expect("it was ready").open(transport, session)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::{
            Mutex,
            atomic::{AtomicU32, Ordering},
        },
        time::Duration,
    };

    use bytes::Bytes;
    use futures::{FutureExt, SinkExt, StreamExt};
    use http::{HeaderName, Request, Response};
    use http_body_util::Full;
    use tokio::{
        sync::oneshot,
        time::{Instant, sleep},
    };
    use tower::service_fn;

    use super::*;
    use crate::{Client, ClientBuilder, Event, RequestBody, Stage, State, Transport, TransportOptions};

    const TOKEN: HeaderName = HeaderName::from_static("token");

    fn uri() -> Uri {
        Uri::from_static("http://a")
    }

    /// URLs and tokens.
    type Notes = Arc<Mutex<Vec<(String, String)>>>;

    /// A client whose requests are noted, and refused.
    fn noting() -> (ClientBuilder, Notes) {
        let noted = Notes::default();
        let notes = Arc::clone(&noted);
        let refuse = service_fn(move |request: Request<RequestBody>| {
            let (uri, headers) = (request.uri().to_string(), request.headers());
            let token = headers.get(TOKEN).map_or("", |token| token.to_str().unwrap()).to_owned();
            notes.lock().unwrap().push((uri, token));
            async { Response::builder().status(403).body(Full::<Bytes>::default()) }
        });
        (Client::builder().http_service(refuse).timestamp_requests(false), noted)
    }

    #[tokio::test]
    async fn each_attempt_is_prepared_anew_with_what_the_client_was_told() {
        let (client, noted) = noting();
        let count = AtomicU32::new(0);
        let client = client
            .query("x", "1")
            .extra_headers([(TOKEN, "old".parse().unwrap())].into_iter().collect())
            .transports([Transport::Polling, Transport::WebSocket])
            .try_all_transports(true)
            .prepare(move |mut attempt| {
                let count = count.fetch_add(1, Ordering::Relaxed);
                async move {
                    assert_eq!((&attempt.uri, &attempt.headers[TOKEN]), (&uri(), &"old".parse()?));
                    attempt.uri = "http://b/path".parse()?;
                    attempt.query.push(("count".to_owned(), count.to_string()));
                    attempt.headers.insert(TOKEN, count.into());
                    Ok(attempt)
                }
            });
        let client = client.build().unwrap();
        for _ in 0..2 {
            client.connect(uri()).await.unwrap_err();
        }
        let expected = [("0", "polling"), ("0", "websocket"), ("1", "polling"), ("1", "websocket")];
        let expected = expected.map(|(count, transport)| {
            (format!("http://b/path/?x=1&count={count}&EIO=4&transport={transport}"), count.to_owned())
        });
        assert_eq!(*noted.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn what_a_transport_has_of_its_own_holds_there() {
        let (client, noted) = noting();
        let own = TransportOptions::new().query("own", "1");
        let client = client
            .transports([Transport::Polling, Transport::WebSocket])
            .try_all_transports(true)
            .transport_options(Transport::WebSocket, own)
            .prepare(|mut attempt| async move {
                attempt.query.push(("all".to_owned(), "1".to_owned()));
                attempt.headers.insert(TOKEN, "fresh".parse()?);
                Ok(attempt)
            });
        client.build().unwrap().connect(uri()).await.unwrap_err();
        let expected = ["all=1&EIO=4&transport=polling", "own=1&EIO=4&transport=websocket"];
        let expected = expected.map(|query| (format!("http://a/engine.io/?{query}"), "fresh".to_owned()));
        assert_eq!(*noted.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn a_failure_is_told_and_nothing_is_sent() {
        let (client, noted) = noting();
        let client = client.try_all_transports(true).prepare(|_| async { Err("no token".into()) }).build().unwrap();
        match client.connect(uri()).await.unwrap_err() {
            Error::Prepare(source) => assert_eq!(source.to_string(), "no token"),
            error => panic!("{error:?}"),
        }
        let told: Vec<Event> = client.open(uri()).collect().await;
        assert!(matches!(told[..], [Event::Error(Error::Prepare(_)), Event::Close(_)]), "{told:?}");

        let (client, _) = noting();
        let lost = client.prepare(|attempt| async { Ok(Attempt { uri: "/nowhere".parse()?, ..attempt }) });
        let error = lost.build().unwrap().connect(uri()).await.unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
        assert!(noted.lock().unwrap().is_empty());
    }

    /// Something that never ends, and tells when it is dropped.
    fn endless(client: ClientBuilder) -> (Client, oneshot::Receiver<()>) {
        let (kept, dropped) = oneshot::channel::<()>();
        let kept = Mutex::new(Some(kept));
        let client = client.prepare(move |_| {
            let kept = kept.lock().unwrap().take();
            async move {
                let _kept = kept;
                pending().await
            }
        });
        (client.build().unwrap(), dropped)
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_ends_times_out_once() {
        let begun = Instant::now();
        let (client, dropped) = endless(Client::builder().try_all_transports(true));
        let error = client.connect(uri()).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { stage: Stage::Preparing, .. }), "{error:?}");
        assert_eq!(begun.elapsed(), Duration::from_secs(20));
        assert!(dropped.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn its_time_is_part_of_the_handshakes() {
        let begun = Instant::now();
        let server = service_fn(|_: Request<RequestBody>| pending::<Result<Response<Full<Bytes>>, BoxError>>());
        let client = Client::builder().http_service(server).prepare(|attempt| async {
            sleep(Duration::from_secs(15)).await;
            Ok(attempt)
        });
        let error = client.build().unwrap().connect(uri()).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { stage: Stage::Opening, .. }), "{error:?}");
        assert_eq!(begun.elapsed(), Duration::from_secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn who_closes_meanwhile_is_done_at_once() {
        let (client, mut dropped) = endless(Client::builder());
        let mut socket = client.open(uri());
        socket.feed("hi".into()).await.unwrap();
        assert!(socket.next().now_or_never().is_none());
        assert_eq!(socket.state(), State::Opening);
        assert!(dropped.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        assert!(socket.close().now_or_never().is_some());
        assert!(dropped.now_or_never().is_some());
        match socket.next().await {
            Some(Event::Close(close)) => assert_eq!(close.unsent(), ["hi".into()]),
            event => panic!("{event:?}"),
        }
    }

    #[test]
    fn debug_shows_no_values() {
        let attempt = Attempt {
            uri: "http://user:secret@a/path?token=secret".parse().unwrap(),
            query: vec![("key".to_owned(), "secret".to_owned())],
            headers: [(TOKEN, "secret".parse().unwrap())].into_iter().collect(),
        };
        let shown = r#"Attempt { host: Some("a"), path: "/path", query: ["key"], headers: ["token"] }"#;
        assert_eq!(format!("{attempt:?}"), shown);
    }
}
