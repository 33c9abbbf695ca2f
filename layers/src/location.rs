//! Where a redirect leads.

use http::{
    HeaderValue, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

/// Reads a `Location` in a reply to a request to `base`: a whole URL, or one that is relative to `base`, as RFC 3986 has
/// it in section 5.2. The schemes of WebSockets stand for those of HTTP.
///
/// What is no part of a request is left out: the fragment, and user and password.
pub(crate) fn resolve(base: &Uri, location: &HeaderValue) -> Option<Uri> {
    let location = location.to_str().ok()?;
    let location = location.split_once('#').map_or(location, |(location, _fragment)| location);
    let (scheme, rest) = match split_scheme(location) {
        Some(("http" | "ws", rest)) => (Scheme::HTTP, rest),
        Some(("https" | "wss", rest)) => (Scheme::HTTPS, rest),
        Some(_) => return None,
        None => (base.scheme()?.clone(), location),
    };
    let (authority, rest) = match rest.strip_prefix("//") {
        Some(rest) => {
            let (host, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (authority(host, &scheme)?, rest)
        }
        None if rest.len() < location.len() => return None, // a scheme, and no host
        None => (base.authority()?.clone(), rest),
    };
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let (path, query) = match path {
        _ if path.starts_with('/') => (without_dots(path), query),
        "" if rest.len() < location.len() => ("/".to_owned(), query), // a host alone
        "" => (base.path().to_owned(), query.or(base.query())),
        _ => {
            let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            (without_dots(&format!("{folder}/{path}")), query)
        }
    };
    let path_and_query = query.map_or(path.clone(), |query| format!("{path}?{query}"));
    let path_and_query = PathAndQuery::try_from(path_and_query).ok()?;
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path_and_query).build().ok()
}

/// Scheme, host and port. They are what headers and cookies are given for.
pub(crate) fn origin(uri: &Uri) -> (Option<&Scheme>, Option<&Authority>) {
    (uri.scheme(), uri.authority())
}

/// The scheme in small letters, and what follows its colon.
fn split_scheme(location: &str) -> Option<(&'static str, &str)> {
    let (scheme, rest) = location.split_once(':')?;
    if scheme.contains(['/', '?']) {
        return None; // the colon is somewhere in a relative reference
    }
    let known = ["http", "https", "ws", "wss"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known));
    Some((known.unwrap_or("another"), rest))
}

/// Host and port, without a user, and without a port that goes without saying.
fn authority(given: &str, scheme: &Scheme) -> Option<Authority> {
    let host = given.rsplit_once('@').map_or(given, |(_userinfo, host)| host);
    let default_port = if *scheme == Scheme::HTTP { ":80" } else { ":443" };
    let host: Authority = host.strip_suffix(default_port).unwrap_or(host).parse().ok()?;
    let is_host_alone = host.as_str() == host.host();
    (!host.host().is_empty() && (is_host_alone || host.port_u16().is_some())).then_some(host)
}

/// A path with its `.` and `..` carried out.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            ".." => drop(kept.pop()),
            "." => {}
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if segments.peek().is_none() {
            kept.push(""); // a folder it is, so there is a slash at the end
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(base: &'static str, location: &str) -> Option<String> {
        let location = HeaderValue::from_str(location).unwrap();
        resolve(&Uri::from_static(base), &location).map(|uri| uri.to_string())
    }

    /// The examples of RFC 3986, section 5.4, that a path can have.
    #[test]
    fn relative_locations_are_resolved() {
        let table = [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            ("g?y#s", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"),
            ("./../g", "http://a/b/g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/../h", "http://a/b/c/h"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("g/a:b", "http://a/b/c/g/a:b"),
        ];
        for (location, expected) in table {
            assert_eq!(resolved("http://a/b/c/d;p?q", location).as_deref(), Some(expected), "{location}");
        }
    }

    #[test]
    fn whole_urls_are_taken_without_what_no_request_has() {
        let table = [
            ("http://b", "http://b/"),
            ("HTTPS://B:443/x?y=//z", "https://B/x?y=//z"),
            ("http://b:443/", "http://b:443/"),
            ("ws://b:80?x", "http://b/?x"),
            ("wss://[::1]:8443/x/../y#z", "https://[::1]:8443/y"),
            ("//user:secret@b:1/x", "https://b:1/x"),
        ];
        for (location, expected) in table {
            assert_eq!(resolved("https://a:1/b", location).as_deref(), Some(expected), "{location}");
        }
    }

    #[test]
    fn what_is_no_url_for_a_request_is_none() {
        let locations =
            ["ftp://b/", "mailto:b@c", "http:b", "http:///x", "//", "http://:1/", "http://b c/", "/x y", "//b:x/"];
        for location in locations {
            assert_eq!(resolved("http://a/", location), None, "{location}");
        }
        assert!(resolve(&Uri::from_static("http://a/"), &HeaderValue::from_bytes(b"/\xff").unwrap()).is_none());
        assert_eq!(resolved("/only/a/path", "/x"), None);
    }
}
