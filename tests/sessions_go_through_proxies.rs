//! Polling, WebSocket and the upgrade, through proxies of every kind, to `http` and `https` servers.

#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]

mod peers;

use std::{
    convert::Infallible,
    error::Error as _,
    future::ready,
    iter::successors,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use engineio_client::{
    Client, ClientBuilder, Error, Event, Protocol, Proxy, ProxyConnector, ProxyError, Stage, Tcp, Tls, TlsConnector,
    Transport,
};
use http::StatusCode;
use hyper_util::client::legacy::connect::{HttpConnector, dns::Name};
use rustls::CertificateError;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpSocket},
    process::Command,
    task::JoinSet,
};
use tower::service_fn;

use self::peers::{
    matrix::{Cell, Kind, Way},
    pki::{Authority, Terms},
    proxies::{NAME, ProxyServer, Rules, USER},
    reference::Reference,
    session::{Session, uri, within},
};

const WAYS: [Way; 3] = [Way::Polling, Way::WebSocket, Way::Upgrade];

/// A server for `http` and one for `https`, and what it takes to trust the second.
struct Servers {
    http: Reference,
    https: Reference,
    authority: Authority,
    tls: Tls,
}

impl Servers {
    async fn start() -> Self {
        let authority = Authority::new("ours");
        let identity = authority.server(&["127.0.0.1", "localhost", NAME]);
        let secured = json!({ "version": "6", "options": {}, "tls": Terms::default().for_node(&identity) });
        let (http, https) = tokio::join!(Reference::start(6, json!({})), Reference::start_with(secured));
        let tls = Tls::builder().ca(&authority.pem).build().expect("a sound certificate");
        Self { http, https, authority, tls }
    }

    /// Opens sessions with both, by every way, and checks that they serve.
    ///
    /// `host` is what the servers are called, and `asked` tells what their proxy has then been asked for: a check of it
    /// gets the way, the scheme, and the server's host and port.
    async fn serve(
        &mut self,
        host: &str,
        client: impl Fn(ClientBuilder) -> ClientBuilder,
        asked: impl Fn(Way, &str, &str),
    ) {
        for server in [&mut self.http, &mut self.https] {
            let url = server.url().replace("127.0.0.1", host);
            let (scheme, authority) = url.split_once("://").expect("it is a URL");
            for way in WAYS {
                let cell = Cell::new(Kind::EngineIo(6), Protocol::Auto, way);
                let client = client(cell.client()).tls(self.tls.clone()).query("way", format!("{way:?}"));
                let sid = serve(cell, client, &url).await;
                let headers = server.event_of(&sid, "connection").await["headers"].clone();
                assert_eq!(headers["proxy-authorization"], Value::Null, "{cell}: {url}");
                assert_eq!(headers["host"], authority, "{cell}");
                asked(way, scheme, authority);
            }
        }
    }
}

/// Opens a session, has it serve, and closes it. Returns its id.
async fn serve(cell: Cell, client: ClientBuilder, url: &str) -> String {
    let mut session = Session::connect(format!("{cell} at {url}"), client, url).await;
    let sid = session.id();
    if cell.way == Way::Upgrade {
        session.wait_for("the upgrade", |event| matches!(event, Event::Upgrade(_))).await;
    }
    session.echo("hello").await;
    session.echo(vec![0, 1, 2]).await;
    assert_eq!(session.server_transport().await, cell.way.ends_with().to_string().into(), "{cell} at {url}");
    session.close().await;
    sid
}

fn wants_user() -> Rules {
    Rules { wants_user: true, ..Rules::default() }
}

/// Checks what an HTTP proxy was asked for: polling for `http` in whole URLs, everything else by `CONNECT`.
fn forwarded_or_tunnelled(mut asked: Vec<String>, way: Way, scheme: &str, authority: &str) {
    // The last poll of a session may come after its end.
    asked.retain(|asked| !asked.contains("way=") || asked.contains(&format!("way={way:?}")));
    let tunnel = format!("CONNECT {authority}");
    let forwarded =
        |asked: &&String| asked.contains(&format!(" http://{authority}/engine.io/?")) && asked.contains("=polling");
    let (tunnels, rest): (Vec<_>, Vec<_>) = asked.iter().partition(|asked| **asked == tunnel);
    assert!(rest.iter().all(forwarded), "{way:?}, {scheme}: {asked:?}");
    let forwards = scheme == "http" && way != Way::WebSocket;
    assert_eq!(!rest.is_empty(), forwards, "{way:?}, {scheme}: {asked:?}");
    assert_eq!(!tunnels.is_empty(), scheme == "https" || way != Way::Polling, "{way:?}, {scheme}: {asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_proxy_forwards_polling_and_tunnels_the_rest() {
    let proxy = ProxyServer::http(wants_user()).await;
    let through = Proxy::all(proxy.url("http")).unwrap();
    let check = |way, scheme: &str, authority: &str| forwarded_or_tunnelled(proxy.asked(), way, scheme, authority);
    Servers::start().await.serve(NAME, |client| client.proxy(through.clone()), check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_proxy_may_speak_tls() {
    let mut servers = Servers::start().await;
    let identity = servers.authority.server(&["127.0.0.1"]);
    let proxy = ProxyServer::https(wants_user(), Terms::default().for_rustls(&identity)).await;
    let through = Proxy::all(proxy.url("https")).unwrap().tls(servers.tls.clone());
    let check = |way, scheme: &str, authority: &str| forwarded_or_tunnelled(proxy.asked(), way, scheme, authority);
    servers.serve(NAME, |client| client.proxy(through.clone()), check).await;

    let other = Tls::builder().ca(&Authority::new("another").pem).build().unwrap();
    for way in WAYS {
        let through = Proxy::all(proxy.url("https")).unwrap().tls(other.clone());
        let error = failure(&servers.http.url(), way, through).await;
        assert!(matches!(cause(&error), Some(ProxyError::Unreachable(_))), "{error:?}");
        let rustls::Error::InvalidCertificate(reason) = cause(&error).expect("rustls says it") else {
            panic!("{error:?}");
        };
        assert_eq!(*reason, CertificateError::UnknownIssuer);
    }
    assert_eq!(proxy.asked(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socks5_proxy_resolves_names_or_is_given_addresses() {
    let mut servers = Servers::start().await;
    let proxy = ProxyServer::socks5(wants_user()).await;
    for (scheme, host, seen) in
        [("socks5h", NAME, NAME), ("socks5", "localhost", "127.0.0.1"), ("socks5h", "127.0.0.1", "127.0.0.1")]
    {
        let through = Proxy::all(proxy.url(scheme)).unwrap();
        let client = |client: ClientBuilder| client.proxy(through.clone());
        servers
            .serve(host, client, |_, _, authority| {
                assert_only(&proxy.asked(), &format!("SOCKS5 {}", authority.replace(host, seen)));
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socks4_proxy_resolves_names_or_is_given_addresses() {
    let mut servers = Servers::start().await;
    let proxy = ProxyServer::socks4().await;
    for (scheme, host, seen) in
        [("socks4a", NAME, NAME), ("socks4", "localhost", "127.0.0.1"), ("socks4a", "127.0.0.1", "127.0.0.1")]
    {
        let through = Proxy::all(proxy.url(scheme)).unwrap();
        let client = |client: ClientBuilder| client.proxy(through.clone());
        servers
            .serve(host, client, |_, _, authority| {
                assert_only(&proxy.asked(), &format!("SOCKS4 {}", authority.replace(host, seen)));
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_resolved_here_have_the_addresses_that_were_set() {
    let server = Reference::start(6, json!({})).await;
    let (socks5, socks4) = tokio::join!(ProxyServer::socks5(wants_user()), ProxyServer::socks4());
    let resolver = service_fn(|name: Name| {
        assert_eq!(name.as_str(), "looked-up.test", "nothing else has to be");
        ready(Ok::<_, Infallible>([SocketAddr::from(([127, 0, 0, 1], 1))])) // another port
    });
    let tcp = Tcp::new().resolver(resolver).resolve("set.test", [Ipv4Addr::LOCALHOST]);
    for (proxy, scheme, asks) in [(&socks5, "socks5", "SOCKS5"), (&socks4, "socks4", "SOCKS4")] {
        let through = Proxy::all(proxy.url(scheme)).unwrap();
        for host in ["set.test", "looked-up.test", "127.0.0.1"] {
            for way in WAYS {
                let cell = Cell::new(Kind::EngineIo(6), Protocol::Auto, way);
                let client = cell.client().proxy(through.clone()).tcp(tcp.clone());
                serve(cell, client, &server.url().replace("127.0.0.1", host)).await;
                assert_only(&proxy.asked(), &format!("{asks} 127.0.0.1:{}", server.port()));
            }
        }
    }
}

/// Checks that there was one thing asked for, however often.
fn assert_only(asked: &[String], wanted: &str) {
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked == wanted), "{asked:?} instead of {wanted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_io_3_is_reached_through_a_proxy() {
    let server = Reference::start(3, json!({})).await;
    let (http, socks5) = tokio::join!(ProxyServer::http(wants_user()), ProxyServer::socks5(wants_user()));
    for url in [http.url("http"), socks5.url("socks5h")] {
        for way in WAYS {
            let cell = Cell::new(Kind::EngineIo(3), Protocol::Auto, way);
            let client = cell.client().proxy(Proxy::all(&url).unwrap());
            serve(cell, client, &server.url().replace("127.0.0.1", NAME)).await;
        }
    }
    assert!(!http.asked().is_empty() && !socks5.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_wrap_any_other() {
    let mut servers = Servers::start().await;
    let (http, socks5) = tokio::join!(ProxyServer::http(wants_user()), ProxyServer::socks5(wants_user()));
    let tls = servers.tls.clone();
    for (proxy, scheme, asks) in [(&http, "http", "CONNECT"), (&socks5, "socks5h", "SOCKS5")] {
        let client = |client: ClientBuilder| {
            let mut tcp = HttpConnector::new();
            tcp.enforce_http(false);
            let proxied = ProxyConnector::new(tcp, Proxy::all(proxy.url(scheme)).unwrap());
            client.connector(TlsConnector::new(proxied, tls.clone()))
        };
        servers
            .serve(NAME, client, |_, _, authority| assert_only(&proxy.asked(), &format!("{asks} {authority}")))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scheme_has_its_proxy_and_exceptions_have_none() {
    let mut servers = Servers::start().await;
    let (http, https) = tokio::join!(ProxyServer::http(wants_user()), ProxyServer::socks5(wants_user()));
    let proxies = || Proxy::builder().http(http.url("http")).https(https.url("socks5h"));

    let both = proxies().build().unwrap();
    let check = |_, scheme: &str, _: &str| {
        let [for_http, for_https] = [http.asked(), https.asked()].map(|asked| !asked.is_empty());
        assert_eq!((for_http, for_https), (scheme == "http", scheme == "https"));
    };
    servers.serve(NAME, |client| client.proxy(both.clone()), check).await;

    let none_asked = |_, _: &str, _: &str| assert_eq!([http.asked(), https.asked()], [[""; 0]; 2]);
    let exempt = proxies().no_proxy("example.com, 127.0.0.0/8").build().unwrap();
    servers.serve("127.0.0.1", |client| client.proxy(exempt.clone()), none_asked).await;
    let exempt = proxies().no_proxy("localhost").build().unwrap();
    servers.serve("localhost", |client| client.proxy(exempt.clone()), none_asked).await;
    servers.serve("127.0.0.1", |client| client.proxy(both.clone()).no_proxy(), none_asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_refused_and_never_shown() {
    let servers = Servers::start().await;
    let (http, socks5) = tokio::join!(ProxyServer::http(wants_user()), ProxyServer::socks5(wants_user()));
    for (proxy, scheme) in [(&http, "http"), (&socks5, "socks5h"), (&socks5, "socks5")] {
        for url in [servers.http.url(), servers.https.url()] {
            for way in WAYS {
                let error = failure(&url, way, Proxy::all(proxy.wrong_url(scheme)).unwrap()).await;
                match (cause(&error), &error) {
                    (Some(ProxyError::Refused(StatusCode::PROXY_AUTHENTICATION_REQUIRED)), _) => {}
                    (Some(ProxyError::Socks(why)), _) => {
                        assert_eq!(why.to_string(), "SOCKS error: credentials not accepted");
                    }
                    (None, Error::Status { status, .. }) => {
                        assert_eq!((*status, scheme), (StatusCode::PROXY_AUTHENTICATION_REQUIRED, "http"));
                        assert!(url.starts_with("http:") && way != Way::WebSocket, "{error:?}");
                    }
                    _ => panic!("{error:?}"),
                }
                let sources = successors(Some(&error as &dyn std::error::Error), |&error| error.source());
                let shown: String = sources.map(|error| format!("{error:?} {error}\n")).collect();
                assert!(!shown.contains("wrong-secret") && !shown.contains("d3Jvbmct"), "{shown}");
            }
        }
    }
    let missing = http.url("http").replace(&format!("{USER}@"), "");
    let error = failure(&servers.https.url(), Way::Upgrade, Proxy::all(missing).unwrap()).await;
    let refused = matches!(cause(&error), Some(ProxyError::Refused(StatusCode::PROXY_AUTHENTICATION_REQUIRED)));
    assert!(refused, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_by_polling_where_a_proxy_opens_no_tunnel() {
    let server = Reference::start(6, json!({})).await;
    for status in [StatusCode::FORBIDDEN, StatusCode::BAD_GATEWAY] {
        let proxy = ProxyServer::http(Rules { refuses_tunnels: Some(status), ..Rules::default() }).await;
        let client = Client::builder().proxy(Proxy::all(proxy.url("http")).unwrap());
        let mut session = Session::connect(status, client, &server.url()).await;
        let failed = loop {
            match session.next("the failed upgrade").await {
                Event::UpgradeError(error) => break error,
                Event::Upgrading(_) => {}
                event => panic!("{event:?}"),
            }
        };
        assert_eq!(failed.transport(), Some(Transport::WebSocket));
        assert!(matches!(cause(&failed), Some(ProxyError::Refused(refused)) if *refused == status), "{failed:?}");
        session.echo("still here").await;
        session.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_proxy_is_an_error_that_names_it() {
    let server = Reference::start(6, json!({})).await;
    for scheme in ["http", "https", "socks5", "socks5h", "socks4", "socks4a"] {
        let deaf = TcpSocket::new_v4().unwrap();
        deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = deaf.local_addr().unwrap();
        for way in WAYS {
            let error = failure(&server.url(), way, Proxy::all(format!("{scheme}://{address}")).unwrap()).await;
            assert!(matches!(cause(&error), Some(ProxyError::Unreachable(_))), "{scheme}: {error:?}");
            let refused = cause::<std::io::Error>(&error).expect("the system says it");
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_proxy_is_waited_for_no_longer_than_connecting_may_take() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap(); // the system accepts, nobody reads
    let address = silent.local_addr().unwrap();
    let short = Duration::from_millis(300);
    let mut attempts = JoinSet::new();
    for scheme in ["http", "https", "socks5h", "socks4a"] {
        for target in ["http", "https"] {
            for way in WAYS {
                let proxy = Proxy::all(format!("{scheme}://{address}")).unwrap();
                let client = Cell::new(Kind::EngineIo(6), Protocol::Auto, way).client().proxy(proxy);
                // A forwarded request has its connection: the handshake is what takes too long.
                let forwards = scheme == "http" && target == "http" && way != Way::WebSocket;
                let client = if forwards { client.handshake_timeout(short) } else { client.connect_timeout(short) };
                let opening = client.build().unwrap().connect(uri(&format!("{target}://{NAME}")));
                attempts.spawn(async move {
                    let error = within("a silent proxy", opening).await.expect_err("there is no server");
                    let expected = match cause(&error) {
                        Some(ProxyError::Timeout) => !forwards,
                        _ => forwards && matches!(error, Error::Timeout { stage: Stage::Opening, .. }),
                    };
                    assert!(expected, "{scheme}, {target}, {way:?}: {error:?}");
                });
            }
        }
    }
    attempts.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_knows_is_an_error() {
    for (scheme, target) in [("socks5", "http"), ("socks4", "https")] {
        let proxy = ProxyServer::socks5(Rules::default()).await;
        let error = failure(&format!("{target}://{NAME}"), Way::Upgrade, Proxy::all(proxy.url(scheme)).unwrap()).await;
        assert!(matches!(cause(&error), Some(ProxyError::Unresolved(_))), "{error:?}");
    }
    let proxy = ProxyServer::socks5(Rules::default()).await;
    let error = failure("http://unknown.test", Way::Upgrade, Proxy::all(proxy.url("socks5h")).unwrap()).await;
    let Some(ProxyError::Socks(why)) = cause(&error) else { panic!("{error:?}") };
    assert_eq!(why.to_string(), "SOCKS error: host unreachable");
    let proxy = ProxyServer::socks4().await;
    let error = failure("http://unknown.test", Way::Upgrade, Proxy::all(proxy.url("socks4a")).unwrap()).await;
    assert!(matches!(cause(&error), Some(ProxyError::Socks(_))), "{error:?}");
}

/// Fails to open a session.
async fn failure(url: &str, way: Way, proxy: Proxy) -> Error {
    let client = Cell::new(Kind::EngineIo(6), Protocol::Auto, way).client().proxy(proxy);
    let client = client.build().expect("there are transports");
    let error = within(url, client.connect(uri(url))).await.expect_err("the proxy lets nobody through");
    assert_eq!(error.transport(), Some(way.begins_with()), "{error:?}");
    error
}

/// The error of that type among the sources.
fn cause<E: std::error::Error + 'static>(error: &Error) -> Option<&E> {
    successors(error.source(), |&error| error.source()).find_map(|error| error.downcast_ref())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_read_when_that_is_asked_for() {
    if let Ok(url) = std::env::var(CHILD) {
        return in_the_environment(&url).await;
    }
    let server = Reference::start(6, json!({})).await;
    let proxy = ProxyServer::http(wants_user()).await;
    let url = server.url();
    for (variables, sees) in [
        (vec![("ALL_PROXY", proxy.url("http"))], true),
        (vec![("HTTP_PROXY", proxy.url("http"))], true),
        (vec![("http_proxy", proxy.url("http"))], true),
        (vec![("HTTPS_PROXY", proxy.url("http"))], false),
        (vec![("ALL_PROXY", proxy.url("http")), ("NO_PROXY", "127.0.0.1".to_owned())], false),
        (vec![], false),
    ] {
        let test = "the_environment_is_read_when_that_is_asked_for";
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([test, "--exact"]).env_clear().env(CHILD, &url).envs(variables.clone());
        let output = within("the child", child.kill_on_drop(true).output()).await.unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
        let asked = proxy.asked();
        let got = asked.iter().any(|asked| asked.starts_with("CONNECT"));
        assert_eq!((!asked.is_empty(), got), (sees, sees), "{variables:?}: {asked:?}");
        let ignored = asked.iter().any(|asked| asked.contains("by_default"));
        assert!(!ignored, "the environment was read unasked: {asked:?}");
    }
}

/// The child's part: one session as the environment has it, one that knows nothing of it.
async fn in_the_environment(url: &str) {
    let cell = Cell::new(Kind::EngineIo(6), Protocol::Auto, Way::Upgrade);
    serve(cell, cell.client().proxy(Proxy::from_env()), url).await;
    serve(cell, cell.client().query("by_default", "1"), url).await;
}

const CHILD: &str = "ENGINEIO_CLIENT_TEST_URL";
