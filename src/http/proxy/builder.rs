use std::fmt;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use super::{Proxy, ProxyError};

/// Settings of a [`Proxy`] to be. The URLs are those of proxies, as its docs say.
#[derive(Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct ProxyBuilder {
    all: String,
    http: String,
    https: String,
    no_proxy: String,
}

impl ProxyBuilder {
    /// Sets the proxy for all that has none of its own.
    pub fn all(mut self, url: impl Into<String>) -> Self {
        self.all = url.into();
        self
    }

    /// Sets the proxy to `http` servers.
    pub fn http(mut self, url: impl Into<String>) -> Self {
        self.http = url.into();
        self
    }

    /// Sets the proxy to `https` servers.
    pub fn https(mut self, url: impl Into<String>) -> Self {
        self.https = url.into();
        self
    }

    /// Sets who is connected to without a proxy, in a list with commas: names, each for those below it too, IP
    /// addresses, networks such as `10.0.0.0/8`, and `*` for all names.
    pub fn no_proxy(mut self, hosts: impl Into<String>) -> Self {
        self.no_proxy = hosts.into();
        self
    }

    /// Reads and checks all that was given.
    ///
    /// # Errors
    ///
    /// [`ProxyError::InvalidUrl`].
    pub fn build(self) -> Result<Proxy, ProxyError> {
        for (option, url) in [("all", &self.all), ("http", &self.http), ("https", &self.https)] {
            if !url.is_empty() && !is_proxy(url) {
                return Err(ProxyError::InvalidUrl(option));
            }
        }
        let Self { all, http, https, no_proxy } = self;
        Ok(Proxy::new(Matcher::builder().all(all).http(http).https(https).no(no_proxy).build()))
    }
}

impl fmt::Debug for ProxyBuilder {
    /// Leaves out the URLs, where credentials are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyBuilder").field("no_proxy", &self.no_proxy).finish_non_exhaustive()
    }
}

/// The matcher itself passes over what is none.
fn is_proxy(url: &str) -> bool {
    let proxy = Proxy::new(Matcher::builder().all(url).build()).to(&Uri::from_static("http://any"));
    proxy.is_some_and(|proxy| {
        let has_port = proxy.uri().authority().is_some_and(|authority| authority.as_str() != authority.host());
        let is_port = !has_port || proxy.uri().port_u16().is_some(); // or it would be the default one
        is_port && proxy.raw_auth().is_none_or(|(user, password)| user.len().max(password.len()) <= 255)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy_to(proxy: &Proxy, target: &'static str) -> Option<String> {
        proxy.to(&Uri::from_static(target)).map(|proxy| proxy.uri().to_string())
    }

    #[test]
    fn each_scheme_has_its_proxy_and_exceptions_have_none() {
        let builder = Proxy::builder().all("socks5://all:1").https("https://user@tls:2");
        let proxy = builder.no_proxy("exempt.test, 10.0.0.0/8,[::1], ::2").build().unwrap();
        for (target, expected) in [
            ("http://a", Some("socks5://all:1/")),
            ("https://a", Some("https://tls:2/")),
            ("https://exempt.test", None),
            ("http://below.exempt.test:3000", None),
            ("http://notexempt.test", Some("socks5://all:1/")),
            ("http://10.1.2.3", None),
            ("http://11.1.2.3", Some("socks5://all:1/")),
            ("http://[::2]:80", None),
        ] {
            assert_eq!(proxy_to(&proxy, target).as_deref(), expected, "{target}");
        }
        let only_http = Proxy::builder().http("proxy:3128").build().unwrap();
        assert_eq!(proxy_to(&only_http, "http://a").as_deref(), Some("http://proxy:3128/"));
        assert_eq!(proxy_to(&only_http, "https://a"), None);
    }

    #[test]
    fn requests_are_forwarded_by_http_proxies_to_http_servers() {
        let forwards = |proxy: &str, target| Proxy::all(proxy).unwrap().forwards(&Uri::from_static(target)).is_some();
        assert!(forwards("http://proxy", "http://a"));
        assert!(forwards("https://proxy", "http://a"));
        assert!(!forwards("http://proxy", "https://a"));
        assert!(!forwards("socks5://proxy", "http://a"));
    }

    #[test]
    fn other_urls_are_refused() {
        let long = "x".repeat(256);
        for url in
            ["ftp://a", "/path", "http://", "http://a b", "http://a:65536", "socks6://a", &format!("socks5://{long}@a")]
        {
            assert!(matches!(Proxy::all(url), Err(ProxyError::InvalidUrl("all"))), "{url}");
        }
        assert!(matches!(Proxy::builder().https(":").build(), Err(ProxyError::InvalidUrl("https"))));
        assert!(Proxy::all("").is_ok());
    }

    #[test]
    fn credentials_are_not_shown() {
        for url in ["http://us%3Aer:secret@proxy", "socks5://us%3Aer:secret@proxy"] {
            let builder = Proxy::builder().all(url);
            let shown = format!("{builder:?} {:?}", Proxy::all(url).unwrap());
            assert!(!shown.contains("secret") && !shown.contains("us"), "{shown}");
        }
        let error = Proxy::all("http://user:secret@pro xy").unwrap_err();
        let shown = format!("{error:?} {error}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}
