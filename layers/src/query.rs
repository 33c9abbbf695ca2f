//! Sets one pair of a URI's query.

use std::mem;

use http::{Uri, uri::PathAndQuery};

/// Replaces the pair called `name`, or appends one. Everything else stays as it was, to the byte.
///
/// A URI that has no place for a query (`*`, `host:port`) or no room left for it is not touched.
pub(crate) fn set_query(uri: &mut Uri, name: &str, value: &str) {
    let query = uri.query().filter(|query| !query.is_empty());
    // One allocation, unless the pair has to be encoded: this is done for each request.
    let len = uri.path().len() + query.map_or(0, str::len) + name.len() + value.len();
    let mut changed = Vec::with_capacity(len + "?&=".len());
    changed.extend_from_slice(uri.path().as_bytes());
    let mut separator = b'?';
    let mut is_set = false;
    for other in query.into_iter().flat_map(|query| query.as_bytes().split(|&byte| byte == b'&')) {
        let is_it = is_called(other, name);
        if is_it && is_set {
            continue; // it was there twice
        }
        changed.push(mem::replace(&mut separator, b'&'));
        if is_it {
            push_pair(&mut changed, name, value);
            is_set = true;
        } else {
            changed.extend_from_slice(other);
        }
    }
    if !is_set {
        changed.push(separator);
        push_pair(&mut changed, name, value);
    }
    if let Some(changed) = with_path_and_query(uri, changed) {
        *uri = changed;
    }
}

fn push_pair(query: &mut Vec<u8>, name: &str, value: &str) {
    push_encoded(query, name);
    query.push(b'=');
    push_encoded(query, value);
}

fn push_encoded(query: &mut Vec<u8>, part: &str) {
    form_urlencoded::byte_serialize(part.as_bytes()).for_each(|piece| query.extend_from_slice(piece.as_bytes()));
}

pub(crate) fn is_called(pair: &[u8], name: &str) -> bool {
    let other = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
    if other.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return form_urlencoded::parse(pair).any(|(other, _)| other == name);
    }
    other == name.as_bytes() && !pair.is_empty()
}

fn with_path_and_query(uri: &Uri, path_and_query: Vec<u8>) -> Option<Uri> {
    if !path_and_query.starts_with(b"/") {
        return None;
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BoxError;

    fn set(uri: &str, name: &str, value: &str) -> Result<String, BoxError> {
        let mut uri: Uri = uri.parse()?;
        set_query(&mut uri, name, value);
        Ok(uri.to_string())
    }

    #[test]
    fn one_pair_changes_and_nothing_else() -> Result<(), BoxError> {
        let table = [
            ("http://h:1/p/", "http://h:1/p/?t=1"),
            ("http://h", "http://h/?t=1"),
            ("http://h?", "http://h/?t=1"),
            ("http://h?a=b", "http://h/?a=b&t=1"),
            ("http://u:p@[::1]:1/p?", "http://u:p@[::1]:1/p?t=1"),
            ("/p", "/p?t=1"),
            ("/p?a=b+c%20%2f&&d&=e", "/p?a=b+c%20%2f&&d&=e&t=1"),
            ("/p?t=0&a=t", "/p?t=1&a=t"),
            ("/p?a&t&T=2&tt=3&b", "/p?a&t=1&T=2&tt=3&b"),
            ("/p?a&t=8&b&%74=9", "/p?a&t=1&b"),
        ];
        for (before, after) in table {
            assert_eq!(set(before, "t", "1")?, after, "{before}");
        }
        Ok(())
    }

    #[test]
    fn names_and_values_are_encoded() -> Result<(), BoxError> {
        assert_eq!(set("/?a=b", "ä&", "1=2 #")?, "/?a=b&%C3%A4%26=1%3D2+%23");
        assert_eq!(set("/?%C3%A4%26=0&a=b", "ä&", "1")?, "/?%C3%A4%26=1&a=b");
        Ok(())
    }

    #[test]
    fn a_uri_without_a_place_for_it_is_left_alone() -> Result<(), BoxError> {
        let long = format!("/{}", "x".repeat(65_000));
        for uri in ["*", "example.com:80", &long] {
            assert_eq!(set(uri, "t", &"y".repeat(1_000))?, uri);
        }
        Ok(())
    }
}
