//! What a client is told on the command line.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};
use engineio_client::{
    Client, ClientBuilder, PerMessageDeflate, Protocol, Proxy, ProxyError, Tls, TlsError, Transport, layers::CookieJar,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

use crate::values::seconds;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Client options")]
pub(crate) struct ClientArgs {
    /// The transports: the first opens the session, which then moves to the others
    #[arg(short, long, value_name = "NAMES", value_delimiter = ',', default_value = "polling,websocket")]
    pub(crate) transport: Vec<TransportName>,
    /// The version of the protocol
    #[arg(long, value_name = "VERSION", default_value = "auto")]
    protocol: Version,
    /// Stay on polling
    #[arg(long)]
    no_upgrade: bool,
    /// Add a header to every request
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Add a pair to the query of every request
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    query: Vec<(String, String)>,
    /// The path of the server, in the place of the URL's; /engine.io/ if neither is there
    #[arg(long)]
    path: Option<String>,
    /// Follow so many redirects
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    redirects: usize,
    /// Keep cookies; those of FILE, which is written at the end, if there is one
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    cookie_jar: Option<Option<PathBuf>>,
    /// Send and receive binary as base64
    #[arg(long)]
    base64: bool,
    /// Poll by JSONP
    #[arg(long)]
    jsonp: bool,
    /// Compress WebSocket messages, if the server does
    #[arg(long)]
    deflate: bool,
    /// How long the session may take to open
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "20")]
    timeout: Duration,
    /// Go through a proxy: http, https, socks5, socks5h, socks4 or socks4a; env for the one of the environment
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Connect to a Unix socket; the URL is what requests say
    #[cfg(unix)]
    #[arg(long, value_name = "PATH", conflicts_with = "proxy")]
    unix: Option<PathBuf>,
    /// Trust these certificate authorities (PEM or DER), and no others
    #[arg(long, value_name = "FILE")]
    cacert: Vec<PathBuf>,
    /// Show a client certificate (PEM or DER)
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of --cert
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Show a client certificate, from a PKCS#12 file with its key
    #[arg(long, value_name = "FILE", conflicts_with = "cert")]
    pfx: Option<PathBuf>,
    /// What opens --key or --pfx; the environment is not seen by other users
    #[arg(long, env = "EIO_PASSPHRASE", hide_env_values = true)]
    passphrase: Option<String>,
    /// Trust any certificate: for tests alone
    #[arg(long)]
    insecure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportName {
    Polling,
    Websocket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Version {
    Auto,
    #[value(name = "3")]
    V3,
    #[value(name = "4")]
    V4,
}

impl ClientArgs {
    /// The settings that these are, and the cookies that are kept with them.
    pub(crate) fn builder(&self) -> Result<(ClientBuilder, Cookies), ClientArgsError> {
        let cookies = self.cookies()?;
        let mut builder = Client::builder()
            .transports(self.transport.iter().map(|name| match name {
                TransportName::Polling => Transport::Polling,
                TransportName::Websocket => Transport::WebSocket,
            }))
            .protocol(match self.protocol {
                Version::Auto => Protocol::Auto,
                Version::V3 => Protocol::V3,
                Version::V4 => Protocol::V4,
            })
            .upgrade(!self.no_upgrade)
            .redirects(self.redirects)
            .force_base64(self.base64)
            .force_jsonp(self.jsonp)
            .connect_timeout(self.timeout)
            .handshake_timeout(self.timeout);
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.iter().cloned() {
            headers.append(name, value);
        }
        builder = builder.extra_headers(headers);
        for (name, value) in &self.query {
            builder = builder.query(name, value);
        }
        if let Some(path) = &self.path {
            builder = builder.path(path);
        }
        if self.deflate {
            builder = builder.per_message_deflate(PerMessageDeflate::new());
        }
        let tls = self.tls()?;
        if let Some(proxy) = &self.proxy {
            let proxy = if proxy == "env" { Proxy::from_env() } else { Proxy::all(proxy)? };
            builder = builder.proxy(match &tls {
                Some(tls) => proxy.tls(tls.clone()),
                None => proxy,
            });
        }
        #[cfg(unix)]
        if let Some(path) = &self.unix {
            builder = builder.unix_socket(path);
        }
        if let Some(tls) = tls {
            builder = builder.tls(tls);
        }
        if self.cookie_jar.is_some() {
            builder = builder.cookies(cookies.jar.clone());
        }
        Ok((builder, cookies))
    }

    fn cookies(&self) -> Result<Cookies, ClientArgsError> {
        let file = self.cookie_jar.clone().flatten();
        let jar = match &file {
            Some(path) => match fs::read_to_string(path) {
                Ok(json) => CookieJar::from_json(&json)
                    .map_err(|source| ClientArgsError::Cookies { path: path.clone(), source: Box::new(source) })?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => CookieJar::new(),
                Err(source) => return Err(ClientArgsError::Read { path: path.clone(), source }),
            },
            None => CookieJar::new(),
        };
        Ok(Cookies { jar, file })
    }

    /// Whether connections go nowhere else than to this machine.
    pub(crate) fn is_local(&self) -> bool {
        #[cfg(unix)]
        return self.unix.is_some();
        #[cfg(not(unix))]
        false
    }

    pub(crate) fn is_version_given(&self) -> bool {
        self.protocol != Version::Auto
    }

    fn tls(&self) -> Result<Option<Tls>, ClientArgsError> {
        if self.cacert.is_empty() && self.cert.is_none() && self.pfx.is_none() && !self.insecure {
            return Ok(None); // so that the platform's roots are looked for only where they are needed
        }
        let mut tls = Tls::builder().reject_unauthorized(!self.insecure);
        for path in &self.cacert {
            tls = tls.ca(read(path)?);
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            tls = tls.cert(read(cert)?).key(read(key)?);
        }
        if let Some(pfx) = &self.pfx {
            tls = tls.pfx(read(pfx)?);
        }
        if let Some(passphrase) = &self.passphrase {
            tls = tls.passphrase(passphrase);
        }
        Ok(Some(tls.build()?))
    }
}

/// Cookies, and the file that they are from, if they are from one.
#[derive(Debug)]
pub(crate) struct Cookies {
    jar: CookieJar,
    file: Option<PathBuf>,
}

impl Cookies {
    /// Writes them back, for nobody but the user to read.
    pub(crate) fn save(&self) -> io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        io::Write::write_all(&mut options.open(path)?, self.jar.to_json().as_bytes())
    }
}

/// What is wrong with the options.
#[derive(Debug, Error)]
pub(crate) enum ClientArgsError {
    #[error("{} can't be read", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} holds no cookies", .path.display())]
    Cookies { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the certificates can't be used")]
    Tls(#[from] TlsError),
    #[error("the proxy can't be used")]
    Proxy(#[from] ProxyError),
}

fn read(path: &Path) -> Result<Vec<u8>, ClientArgsError> {
    fs::read(path).map_err(|source| ClientArgsError::Read { path: path.to_owned(), source })
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("there is no colon after the name")?;
    let name = name.trim().parse().map_err(|_| "the name has characters that can't be in one")?;
    let value = value.trim().parse().map_err(|_| "the value has characters that can't be in one")?;
    Ok((name, value))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("there is no = after the name")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use clap::Parser;
    use engineio_client::BoxError;
    use http::{Request, Response};
    use http_body_util::Full;
    use tower::service_fn;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        client: ClientArgs,
    }

    fn parse(line: &[&str]) -> Result<ClientArgs, clap::Error> {
        Line::try_parse_from([&["eio"], line].concat()).map(|line| line.client)
    }

    /// The first request of a client that is told this.
    async fn first_request(line: &[&str]) -> Request<()> {
        let seen = Arc::new(Mutex::new(None));
        let note = Arc::clone(&seen);
        let service = service_fn(move |request: Request<engineio_client::RequestBody>| {
            note.lock().expect("nobody panicked").get_or_insert(request.map(|_| ()));
            async { Ok::<_, BoxError>(Response::builder().status(404).body(Full::<Bytes>::default())?) }
        });
        let args = parse(line).expect("a sound line");
        let client = args.builder().expect("sound options").0.http_service(service).build().expect("sound settings");
        client.connect("http://localhost").await.expect_err("it is answered 404");
        seen.lock().expect("nobody panicked").take().expect("there was a request")
    }

    #[tokio::test]
    async fn requests_are_as_they_were_asked_for() {
        let plain = first_request(&[]).await;
        let uri = plain.uri().to_string();
        assert!(uri.starts_with("http://localhost/engine.io/?EIO=4&transport=polling&t="), "{uri}");

        let told =
            ["--path", "/x", "--query", "a=b=c", "--query", "d=", "-H", "X-One: 1", "-H", "x-one:2", "--protocol=3"];
        let told = first_request(&[&told[..], &["--base64"]].concat()).await;
        let uri = told.uri().to_string();
        assert!(uri.starts_with("http://localhost/x/?a=b%3Dc&d=&EIO=3&transport=polling&b64=1&t="), "{uri}");
        assert_eq!(told.headers().get_all("x-one").iter().collect::<Vec<_>>(), ["1", "2"]);

        let jsonp = first_request(&["--jsonp"]).await;
        assert!(jsonp.uri().query().expect("a query").contains("&j=0"), "{}", jsonp.uri());

        let websocket = first_request(&["--transport", "websocket", "--protocol", "4", "--deflate"]).await;
        assert!(websocket.uri().query().expect("a query").contains("transport=websocket"), "{}", websocket.uri());
        let offer = &websocket.headers()["sec-websocket-extensions"];
        assert!(offer.to_str().expect("ASCII").starts_with("permessage-deflate"), "{offer:?}");
    }

    #[test]
    fn what_can_t_be_meant_is_refused() {
        for line in [
            &["--transport", "pigeon"][..],
            &["--protocol", "5"],
            &["-H", "no colon"],
            &["-H", "b√d: x"],
            &["--query", "no sign"],
            &["--cert", "x"],
            &["--key", "x"],
            &["--timeout", "-1"],
            #[cfg(unix)]
            &["--unix", "x", "--proxy", "http://localhost"],
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn files_and_proxies_that_can_t_be_used_are_told() {
        let told = |line: &[&str]| {
            let args = parse(line).expect("a sound line");
            args.builder().map(|_| ()).expect_err("it can't be used").to_string()
        };
        assert_eq!(told(&["--cacert", "/nowhere/ca.pem"]), "/nowhere/ca.pem can't be read");
        assert_eq!(told(&["--cacert", "Cargo.toml"]), "the certificates can't be used");
        assert_eq!(told(&["--proxy", "pigeon://localhost"]), "the proxy can't be used");
        assert_eq!(told(&["--cookie-jar=Cargo.toml"]), "Cargo.toml holds no cookies");
    }
}
