//! Values on the command line.

use std::time::Duration;

use http::Uri;

/// Reads a URL, whose scheme may be left out where it can't be taken for anything else.
pub(crate) fn url(text: &str) -> Result<Uri, String> {
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false if text.contains(['.', ':', '/']) || text == "localhost" => format!("http://{text}"),
        false => return Err(format!("that is no URL; http://{text} would be one")),
    };
    let uri: Uri = whole.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
    match uri.scheme_str() {
        Some("http" | "https" | "ws" | "wss") => Ok(uri),
        _ => Err("the scheme has to be http, https, ws or wss".to_owned()),
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "that is no number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_may_be_left_out_of_what_is_plainly_a_url() {
        assert_eq!(url("localhost").expect("a URL"), "http://localhost/");
        assert_eq!(url("[::1]:80/x").expect("a URL"), "http://[::1]:80/x");
        assert_eq!(url("wss://example.com").expect("a URL"), "wss://example.com/");
        assert!(url("server").expect_err("a word").contains("http://server"));
        for wrong in ["ftp://example.com", "", "http://", "a b.c"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seconds_may_be_broken_and_not_negative() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for wrong in ["-1", "x", "inf", "NaN", "1e99"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
