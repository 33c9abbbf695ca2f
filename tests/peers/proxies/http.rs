use std::{
    convert::Infallible,
    future::{Future, ready},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderValue, Request, Response, StatusCode, Uri, header::PROXY_AUTHORIZATION, uri::Authority};
use hudsucker::{
    Body, HttpContext, HttpHandler, Proxy, RequestOrResponse, certificate_authority::CertificateAuthority,
};
use hyper::Method;
use hyper_util::client::legacy::connect::{HttpConnector, dns::Name};
use percent_encoding::percent_decode_str;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tower::service_fn;

use super::{NAME, State, USER};

pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let all_are_here = service_fn(|_: Name| {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); // the port is the URL's
        ready(Ok::<_, Infallible>([here].into_iter()))
    });
    let proxy = Proxy::builder()
        .with_listener(listener)
        .with_ca(NoAuthority)
        .with_http_connector(HttpConnector::new_with_resolver(all_are_here))
        .with_http_handler(Handler { state })
        .build()
        .expect("a sound proxy");
    proxy.start().await.expect("it listens");
}

#[derive(Clone)]
struct Handler {
    state: Arc<State>,
}

impl HttpHandler for Handler {
    async fn handle_request(&mut self, _: &HttpContext, mut request: Request<Body>) -> RequestOrResponse {
        self.state.note(format!("{} {}", request.method(), request.uri()));
        let shown = request.headers_mut().remove(PROXY_AUTHORIZATION);
        if self.state.rules.wants_user && shown.is_none_or(|shown| shown != credentials()) {
            return answer(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        }
        if request.method() == Method::CONNECT {
            if let Some(status) = self.state.rules.refuses_tunnels {
                return answer(status);
            }
            let here = request.uri().to_string().replacen(NAME, "127.0.0.1", 1);
            *request.uri_mut() = here.parse::<Uri>().expect("an authority still");
        }
        request.into()
    }

    /// Tunnels stay closed to this proxy.
    fn should_intercept_connect(&mut self, _: &HttpContext, _: &Request<Body>) -> impl Future<Output = bool> + Send {
        ready(false)
    }
}

fn answer(status: StatusCode) -> RequestOrResponse {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.into()
}

fn credentials() -> HeaderValue {
    let plain = percent_decode_str(USER).decode_utf8().expect("UTF-8");
    format!("Basic {}", BASE64_STANDARD.encode(&*plain)).parse().expect("base64 is ASCII")
}

struct NoAuthority;

impl CertificateAuthority for NoAuthority {
    async fn gen_server_config(&self, _: &Authority) -> Arc<ServerConfig> {
        unreachable!("nothing is intercepted")
    }
}
