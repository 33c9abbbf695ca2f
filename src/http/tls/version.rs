use rustls::{
    SupportedProtocolVersion,
    version::{TLS12, TLS13},
};

/// A version of TLS. There is none below 1.2 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    pub(super) fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            TlsVersion::Tls12 => const { &[&TLS13, &TLS12] },
            TlsVersion::Tls13 => const { &[&TLS13] },
        }
    }
}
