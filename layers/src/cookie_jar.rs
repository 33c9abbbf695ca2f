//! Holds cookies, and knows where each may go.

use std::{
    cmp::Reverse,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cookie_store::{Cookie, CookieDomain, CookieStore};
use http::{HeaderValue, Uri};
use thiserror::Error;
use url::Url;

/// Cookies, as [RFC 6265] has them: each goes back where its `Domain`, `Path` and `Secure` allow, until it expires.
///
/// A clone is the same jar, so that clients can share it. Nothing is written to disk, but by who stores
/// [`to_json`](Self::to_json).
///
/// * Of one domain there are at most 50 cookies, of all together 1,000; whatever is more takes the place of old ones.
///   A cookie of more than 4,096 bytes, attributes included, is not taken.
/// * There is no list of public suffixes. A `Domain` without a dot is refused unless it is the host itself, but one
///   like `co.uk` is not: do not share a jar between servers that must not know of each other.
/// * `ws` and `wss` are the same as `http` and `https`. `Secure` cookies go by `https`, and to `localhost`.
///
/// `Debug` shows names only, since values are secrets.
///
/// [RFC 6265]: https://www.rfc-editor.org/rfc/rfc6265
///
/// ```
/// use engineio_layers::CookieJar;
///
/// let jar = CookieJar::new();
/// let url = "https://example.com/engine.io/".parse()?;
/// jar.add("lb=3; Path=/engine.io", &url)?;
/// assert_eq!(jar.cookies_for(&url).unwrap(), "lb=3");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct CookieJar {
    store: Arc<Mutex<CookieStore>>,
}

impl CookieJar {
    /// Creates an empty jar.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a cookie, written as in a `Set-Cookie` header, as if `url` had sent it. One that has expired removes the
    /// one it would have replaced.
    ///
    /// ```
    /// use engineio_layers::CookieJar;
    ///
    /// let jar = CookieJar::new();
    /// jar.add("lb=3; Path=/; Max-Age=3600", &"http://example.com".parse()?)?;
    /// assert_eq!(jar.cookies_for(&"http://example.com/engine.io/".parse()?).unwrap(), "lb=3");
    /// assert_eq!(jar.cookies_for(&"http://example.org/engine.io/".parse()?), None);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// With the reason why the cookie is not taken.
    pub fn add(&self, set_cookie: &str, url: &Uri) -> Result<(), CookieError> {
        let url = cookie_url(url).ok_or(CookieError::Url)?;
        self.take(set_cookie.as_bytes(), &url)
    }

    /// The `Cookie` header of a request for `url`, if there are any cookies for it.
    pub fn cookies_for(&self, url: &Uri) -> Option<HeaderValue> {
        self.header(&cookie_url(url)?)
    }

    /// How many cookies there are, for whatever URL.
    pub fn len(&self) -> usize {
        self.lock().iter_unexpired().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all cookies.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// All cookies that have not expired, those of this session too, to be stored: for
    /// [`from_json`](Self::from_json) alone, and full of secrets.
    ///
    /// ```
    /// use engineio_layers::CookieJar;
    ///
    /// let url = "http://example.com".parse()?;
    /// let jar = CookieJar::new();
    /// jar.add("lb=3", &url)?;
    /// let another = CookieJar::from_json(&jar.to_json())?;
    /// assert_eq!(another.cookies_for(&url).unwrap(), "lb=3");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_json(&self) -> String {
        let cookies: Vec<_> = self.lock().iter_unexpired().cloned().collect();
        serde_json::to_string(&cookies).expect("cookies always serialize")
    }

    /// Creates a jar with the cookies of [`to_json`](Self::to_json).
    ///
    /// # Errors
    ///
    /// [`CookieError::Malformed`] if that is not what it is.
    pub fn from_json(json: &str) -> Result<Self, CookieError> {
        let cookies: Vec<Cookie<'static>> = serde_json::from_str(json).map_err(|_| CookieError::Malformed)?;
        let cookies = cookies.into_iter().map(Ok::<_, CookieError>);
        let mut store = CookieStore::from_cookies(cookies, false)?;
        shrink(&mut store, MAX, |_| true);
        Ok(Self { store: Arc::new(Mutex::new(store)) })
    }

    /// As [`cookies_for`](Self::cookies_for).
    pub(crate) fn header(&self, url: &Url) -> Option<HeaderValue> {
        let store = self.lock();
        let mut cookies = store.matches(url);
        cookies.sort_by_key(|cookie| Reverse(cookie.path.len())); // the most specific first, then the oldest
        let pairs: Vec<_> = cookies.iter().map(|cookie| format!("{}={}", cookie.name(), cookie.value())).collect();
        if pairs.is_empty() {
            return None;
        }
        let mut header = HeaderValue::try_from(pairs.join("; ")).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// Takes a cookie that came in a `Set-Cookie` header.
    pub(crate) fn take(&self, set_cookie: &[u8], url: &Url) -> Result<(), CookieError> {
        if set_cookie.len() > MAX_SIZE {
            return Err(CookieError::TooLarge);
        }
        let cookie = parse(set_cookie, url)?;
        let domain = String::from(&cookie.domain);

        let mut store = self.lock();
        // It can only be one that has expired, for it matches the URL: `parse` has checked that.
        let _ = store.insert(cookie, url);
        shrink(&mut store, 0, Cookie::is_expired);
        shrink(&mut store, MAX_PER_DOMAIN, |cookie| cookie.domain.as_cow().as_deref() == Some(&domain));
        shrink(&mut store, MAX, |_| true);
        Ok(())
    }

    /// What may have panicked was in the middle of one cookie; the others are sound.
    fn lock(&self) -> MutexGuard<'_, CookieStore> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieJar ")?;
        f.debug_list().entries(self.lock().iter_unexpired().map(|cookie| cookie.name())).finish()
    }
}

/// Why a [`CookieJar`] did not take a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CookieError {
    /// The URL is none that has cookies.
    #[error("the URL is none that has cookies")]
    Url,
    /// The cookie has more than 4,096 bytes.
    #[error("the cookie has more than {MAX_SIZE} bytes")]
    TooLarge,
    /// What should be a cookie is none.
    #[error("the cookie is malformed")]
    Malformed,
    /// The cookie's `Domain` is not one that the URL may set cookies for.
    #[error("the cookie is for another domain")]
    OtherDomain,
}

/// What cookies care about: no port, no query, and WebSockets are HTTP.
pub(crate) fn cookie_url(uri: &Uri) -> Option<Url> {
    let scheme = match uri.scheme_str()? {
        "http" | "ws" => "http",
        "https" | "wss" => "https",
        _ => return None,
    };
    Url::parse(&format!("{scheme}://{}{}", uri.host()?, uri.path())).ok()
}

/// Reads a cookie that can go back to where it came from, and in a header.
fn parse(set_cookie: &[u8], url: &Url) -> Result<Cookie<'static>, CookieError> {
    let text = HeaderValue::from_bytes(set_cookie).ok().and(std::str::from_utf8(set_cookie).ok());
    let text = text.ok_or(CookieError::Malformed)?;
    let cookie = Cookie::parse(text, url).map_err(|error| match error {
        cookie_store::CookieError::DomainMismatch => CookieError::OtherDomain,
        _ => CookieError::Malformed,
    })?;
    match &cookie.domain {
        CookieDomain::Suffix(domain) if !domain.contains('.') && url.host_str() != Some(domain) => {
            Err(CookieError::OtherDomain) // a whole top-level domain
        }
        _ => Ok(cookie.into_owned()),
    }
}

/// Removes the first of the cookies `among`, until `limit` are left of them. Within a path the oldest come first.
fn shrink(store: &mut CookieStore, limit: usize, among: impl Fn(&Cookie<'static>) -> bool) {
    let count = store.iter_any().filter(|cookie| among(cookie)).count();
    let excess: Vec<_> = store
        .iter_any()
        .filter(|cookie| among(cookie))
        .take(count.saturating_sub(limit))
        .map(|cookie| (String::from(&cookie.domain), String::from(&cookie.path), cookie.name().to_owned()))
        .collect();
    for (domain, path, name) in excess {
        store.remove(&domain, &path, &name);
    }
}

// The first two are the least that RFC 6265, section 6.1 asks for, and about what browsers do.
const MAX_SIZE: usize = 4096;
const MAX_PER_DOMAIN: usize = 50;
const MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "http://a.example.com/engine.io/";

    fn uri(uri: &str) -> Uri {
        uri.parse().expect("a URI")
    }

    /// A jar with cookies that came from [`HERE`].
    fn jar(set_cookies: &[&str]) -> CookieJar {
        let jar = CookieJar::new();
        for set_cookie in set_cookies {
            jar.add(set_cookie, &uri(HERE)).unwrap_or_else(|error| panic!("{set_cookie}: {error}"));
        }
        jar
    }

    fn sent(jar: &CookieJar, url: &str) -> String {
        jar.cookies_for(&uri(url)).map(|header| header.to_str().expect("ASCII").to_owned()).unwrap_or_default()
    }

    #[test]
    fn a_cookie_goes_where_domain_path_and_secure_allow() {
        let table = [
            // without a domain, to this host alone, and below this path
            ("a=1", HERE, true),
            ("a=1", "http://a.example.com/engine.io", true),
            ("a=1", "http://a.example.com:3000/engine.io/?b", true),
            ("a=1", "https://a.example.com/engine.io/", true),
            ("a=1", "ws://a.example.com/engine.io/", true),
            ("a=1; HttpOnly", "wss://a.example.com/engine.io/", true),
            ("a=1", "http://a.example.com/", false),
            ("a=1", "http://a.example.com/engine.ioo/", false),
            ("a=1", "http://b.a.example.com/engine.io/", false),
            ("a=1", "http://example.com/engine.io/", false),
            ("a=1", "ftp://a.example.com/engine.io/", false),
            ("a=1; Path=/", "http://a.example.com/", true),
            ("a=1; Path=/other", HERE, false),
            ("a=1; Path=other", HERE, true), // no path at all
            ("a=1; Domain=example.com", HERE, true),
            ("a=1; Domain=.Example.com; Path=/", "http://example.com", true),
            ("a=1; Domain=example.com; Path=/", "http://b.example.com", true),
            ("a=1; Domain=example.com; Path=/", "http://notexample.com", false),
            ("a=1; Domain=", HERE, true),
            ("a=1; Secure", HERE, false),
            ("a=1; Secure", "https://a.example.com/engine.io/", true),
            ("a=1; Secure", "wss://a.example.com/engine.io/", true),
            ("a=1; Max-Age=60", HERE, true),
            ("a=1; Max-Age=99999999999999999999", HERE, true),
            ("a=1; Max-Age=0", HERE, false),
            ("a=1; Max-Age=-99999999999999999999", HERE, false),
            ("a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT", HERE, false),
            ("a=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT", HERE, true),
            ("a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Max-Age=60", HERE, true),
            ("a=1; Expires=soon; Max-Age=soon; Unknown; ;", HERE, true),
        ];
        for (set_cookie, url, goes) in table {
            assert_eq!(sent(&jar(&[set_cookie]), url), if goes { "a=1" } else { "" }, "{set_cookie:?} to {url}");
        }
    }

    #[test]
    fn hosts_may_be_addresses() {
        for host in ["127.0.0.1:3000", "[::1]:3000", "localhost:3000", "xn--bcher-kva.example", "EXAMPLE.com."] {
            let url = format!("http://{host}/");
            let jar = CookieJar::new();
            jar.add("a=1", &uri(&url)).expect("a sound cookie");
            assert_eq!(sent(&jar, &url), "a=1", "{url}");
        }
        let jar = CookieJar::new();
        jar.add("a=1; Domain=localhost; Secure", &uri("http://localhost")).expect("the host itself");
        jar.add("b=2; Secure", &uri("http://127.0.0.1")).expect("this machine");
        assert_eq!([sent(&jar, "http://localhost"), sent(&jar, "http://127.0.0.1")], ["a=1", "b=2"]);
    }

    #[test]
    fn a_cookie_is_replaced_and_removed_by_one_of_its_name_and_path() {
        let jar = jar(&["a=1; Path=/", "b=2; Path=/", "a=3", "a=4; Path=/"]);
        assert_eq!(sent(&jar, HERE), "a=3; a=4; b=2", "the longest path is first, then the oldest");
        jar.add("a=; Path=/; Max-Age=0", &uri(HERE)).expect("it was there");
        assert_eq!(sent(&jar, HERE), "a=3; b=2");
        assert_eq!(jar.len(), 2);
        assert_eq!(jar.lock().iter_any().count(), 2, "what has expired takes no room");
        jar.clone().clear();
        assert!(jar.is_empty());
    }

    #[test]
    fn values_go_back_as_they_came() {
        for pair in ["a=", r#"a="q q""#, "a=b=c", "a=%20%zz", "a=[1,2]{}", "a=\u{fc}"] {
            let header = jar(&[pair]).cookies_for(&uri(HERE)).expect("a cookie");
            assert_eq!(header.as_bytes(), pair.as_bytes());
        }
    }

    #[test]
    fn what_is_no_cookie_of_that_url_is_refused() {
        let large = format!("a={}", "x".repeat(4095));
        let table = [
            ("", HERE, CookieError::Malformed),
            ("a", HERE, CookieError::Malformed),
            ("=1", HERE, CookieError::Malformed),
            ("a=1\r\nb: 2", HERE, CookieError::Malformed),
            ("a=\0", HERE, CookieError::Malformed),
            ("a=1; Domain=b.example.com", HERE, CookieError::OtherDomain),
            ("a=1; Domain=ample.com", HERE, CookieError::OtherDomain),
            ("a=1; Domain=com", HERE, CookieError::OtherDomain),
            ("a=1; Domain=0.0.1", "http://127.0.0.1/", CookieError::OtherDomain),
            (&large, HERE, CookieError::TooLarge),
            ("a=1", "/engine.io/", CookieError::Url),
            ("a=1", "ftp://example.com/", CookieError::Url),
        ];
        for (set_cookie, url, error) in table {
            let jar = CookieJar::new();
            assert_eq!(jar.add(set_cookie, &uri(url)), Err(error), "{set_cookie:?} from {url}");
            assert!(jar.is_empty());
        }
        let jar = jar(&[&large[..4096]]);
        let here = cookie_url(&uri(HERE)).expect("it has a host");
        assert_eq!(jar.take(b"b=\xff", &here), Err(CookieError::Malformed));
        assert_eq!(jar.len(), 1);
    }

    #[test]
    fn no_cookie_makes_it_panic() {
        let parts = [
            "a",
            "=",
            ";",
            " Path",
            " Domain",
            " Max-Age",
            " Expires",
            "/",
            ".",
            "example.com",
            "[::",
            "xn--",
            "\u{fc}",
            "-",
            "9",
            "Fri, 31 Dec 99999 23:59:60 GMT",
        ];
        let hosts = ["a.example.com", "127.0.0.1", "[::1]", "localhost", "xn--bcher-kva.example", "."];
        let urls = hosts.map(|host| uri(&format!("http://{host}/engine.io/%C3%BC")));
        let jar = CookieJar::new();
        let mut seed = 1_u64;
        for i in 0..2_000 {
            let mut next = |bound: usize| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (seed >> 33) as usize % bound
            };
            let set_cookie: String = (0..next(16)).map(|_| parts[next(parts.len())]).collect();
            let _ = jar.add(&format!("a={i};{set_cookie}"), &urls[i % urls.len()]);
            let _ = jar.add(&set_cookie, &urls[i % urls.len()]);
            let _ = jar.cookies_for(&urls[next(urls.len())]);
        }
        assert!(!jar.is_empty());
    }

    #[test]
    fn a_server_fills_its_own_places_and_no_more() {
        let jar = CookieJar::new();
        jar.add("kept=1", &uri("http://other.example.com/")).expect("a sound cookie");
        for i in 0..200 {
            let path = ["/", "/engine.io", "/elsewhere"][i % 3];
            jar.add(&format!("a{i}=1; Path={path}"), &uri(HERE)).expect("a sound cookie");
            assert!(jar.len() <= 51);
            assert!(format!("{jar:?}").contains(&format!("\"a{i}\"")), "the newest is there");
        }
        assert_eq!(jar.len(), 51);
        assert_eq!(sent(&jar, "http://other.example.com/"), "kept=1");

        for i in 0..1100 {
            jar.add("a=1", &uri(&format!("http://{i}.example.com/"))).expect("a sound cookie");
        }
        assert_eq!(jar.len(), 1000);
        assert_eq!(sent(&jar, "http://1099.example.com/"), "a=1");
    }

    #[test]
    fn debug_shows_names_only() {
        let jar = jar(&["name=secret"]);
        let shown = format!("{jar:?} {:?}", jar.cookies_for(&uri(HERE)));
        assert_eq!(shown, r#"CookieJar ["name"] Some(Sensitive)"#);
    }

    #[test]
    fn a_jar_can_be_shared_between_threads() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        shared::<CookieJar>();
    }
}
