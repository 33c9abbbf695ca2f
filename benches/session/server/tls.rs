//! TLS, in front of the server without.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, crypto::ring};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// Hands on what comes to a free port of loopback, which it gives, and the certificate to be trusted.
pub(super) async fn serve(behind: SocketAddr) -> io::Result<(u16, String)> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([Ipv4Addr::LOCALHOST.to_string()]).map_err(io::Error::other)?;
    let key = signing_key.serialize_der().try_into().map_err(io::Error::other)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key));
    let acceptor = TlsAcceptor::from(Arc::new(config.map_err(io::Error::other)?));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::task::spawn_local(async move {
                let mut server = TcpStream::connect(behind).await?;
                for stream in [&stream, &server] {
                    stream.set_nodelay(true)?;
                }
                let mut client = acceptor.accept(stream).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    Ok((port, cert.pem()))
}
