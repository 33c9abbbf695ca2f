use std::{error::Error as StdError, fmt};

use super::Error;

/// An error's message and then those of its sources.
pub(super) struct Report<'a>(pub(super) &'a Error);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        f.write_str(&told)?;
        let mut next = self.0.source();
        while let Some(source) = next {
            let text = source.to_string();
            // Some errors repeat their source in their own words.
            if !told.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            told = text;
            next = source.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{BoxError, Stage, Transport};

    #[test]
    fn all_sources_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct Repeating(#[source] io::Error);

        let error = |source: BoxError| Error::transport_failed(Transport::Polling, Stage::Opening, source);
        let refused = || io::Error::other("refused");
        for source in [refused().into(), Repeating(refused()).into()] {
            let error = error(source);
            let cause = error.source().expect("it has one").to_string();
            let whole = format!("the polling transport failed while opening: {cause}");
            assert_eq!(error.report().to_string(), whole);
            assert!(error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::Other), "{error:?}");
        }
        assert_eq!(Error::Closed.report().to_string(), "the session is closed");
        assert!(Error::Closed.io_error().is_none());
    }
}
