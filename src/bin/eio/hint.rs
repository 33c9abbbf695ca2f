//! What may help against an error.

use std::{error::Error as StdError, io, iter};

use engineio_client::{Error, Stage};
use http::StatusCode;
use rustls::CertificateError;

use crate::client::ClientArgs;

/// What to try, where there is something.
pub(crate) fn hint(error: &Error, args: &ClientArgs) -> Option<String> {
    let hint = match error {
        Error::UnsupportedProtocol if args.is_version_given() => {
            "the server speaks another version of the protocol; --protocol auto takes the one that it speaks"
        }
        Error::Status { code: Some(code), .. } => match code.code {
            0 => "the server does not have that transport; try --transport polling, or --transport websocket",
            1 => "requests may reach different servers behind a load balancer; --cookie-jar keeps its cookies",
            3 => "the server may miss something in the request; -H adds a header, and --query a parameter",
            4 => "the server wants to know who you are; -H adds a header, and --query a parameter",
            5 if args.is_version_given() => "--protocol auto takes the version of the protocol that the server speaks",
            _ => return None,
        },
        Error::Status { status, stage: Stage::Opening, .. } => match *status {
            StatusCode::NOT_FOUND => "there is no Engine.IO at that path; --path sets it: Socket.IO's is /socket.io/",
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "the server wants to know who you are; -H adds a header, and --query a parameter"
            }
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => "the proxy wants a user: --proxy http://user:password@host",
            status if status.is_redirection() => "the server is elsewhere; --redirects 3 follows it there",
            _ => return None,
        },
        Error::Timeout { stage: Stage::Opening, .. } => "--timeout lets it take longer",
        Error::Decode { .. } => "what answers there may not be an Engine.IO server: look at the URL and --path",
        _ => return beneath(error).map(str::to_owned),
    };
    Some(hint.to_owned())
}

/// What the network or TLS says, however deep.
fn beneath(error: &Error) -> Option<&'static str> {
    iter::successors(StdError::source(error), |&cause| cause.source()).find_map(|cause| {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Some(match tls {
                rustls::Error::InvalidCertificate(CertificateError::NotValidForName)
                | rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }) => {
                    "the certificate is for another name than the URL's; --insecure trusts it all the same, for tests"
                }
                rustls::Error::InvalidCertificate(CertificateError::Expired)
                | rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { .. }) => {
                    "the certificate has expired; --insecure trusts it all the same, for tests"
                }
                rustls::Error::InvalidCertificate(_) => {
                    "--cacert FILE trusts the authority of that certificate, --insecure any, for tests"
                }
                rustls::Error::AlertReceived(_) => "the server may want a certificate: --cert and --key, or --pfx",
                rustls::Error::InvalidMessage(_) => "the server may speak no TLS: try http in the place of https",
                _ => return None,
            });
        }
        match cause.downcast_ref::<io::Error>()?.kind() {
            io::ErrorKind::ConnectionRefused => Some("nobody listens there; `eio serve` is a server to try with"),
            io::ErrorKind::NotFound => Some("there is no such socket"),
            _ if cause.to_string().starts_with("failed to lookup") => {
                Some("is the host's name written as it should be?")
            }
            _ => None,
        }
    })
}
