use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};

use super::{Deflate, PerMessageDeflate};
use crate::websocket::error::UpgradeError;

/// What both ends have agreed on. RFC 7692, section 7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreement {
    pub(super) settings: PerMessageDeflate,
    pub(super) client_window_bits: u8,
    pub(super) client_takes_over: bool,
    pub(super) server_takes_over: bool,
}

impl PerMessageDeflate {
    /// The offer, as a header's value.
    pub(in crate::websocket) fn offer(&self) -> HeaderValue {
        let mut offer = NAME.to_owned();
        if self.client_no_context_takeover {
            offer += "; client_no_context_takeover";
        }
        if self.server_no_context_takeover {
            offer += "; server_no_context_takeover";
        }
        match self.client_max_window_bits {
            Some(bits) => offer += &format!("; client_max_window_bits={bits}"),
            None => offer += "; client_max_window_bits", // the server may choose
        }
        if let Some(bits) = self.server_max_window_bits {
            offer += &format!("; server_max_window_bits={bits}");
        }
        HeaderValue::try_from(offer).expect("letters, digits and a few signs")
    }

    /// What the answer agrees to, ready for use: nothing if it does not mention the extension, and an error if it does in
    /// other terms than were offered.
    pub(in crate::websocket) fn agree(
        &self,
        answer: &HeaderMap,
        max_message_size: usize,
    ) -> Result<Option<Deflate>, UpgradeError> {
        Ok(self.agreement(answer)?.map(|agreement| Deflate::new(agreement, max_message_size)))
    }

    fn agreement(&self, answer: &HeaderMap) -> Result<Option<Agreement>, UpgradeError> {
        let mut agreement = None;
        for line in answer.get_all(SEC_WEBSOCKET_EXTENSIONS) {
            let line = line.to_str().map_err(|_| UpgradeError::UnknownExtension)?;
            for extension in line.split(',').map(str::trim).filter(|extension| !extension.is_empty()) {
                let mut parts = extension.split(';').map(str::trim);
                if parts.next() != Some(NAME) {
                    return Err(UpgradeError::UnknownExtension);
                }
                let agreed = self.agree_to(parts).ok_or(UpgradeError::WrongDeflate)?;
                if agreement.replace(agreed).is_some() {
                    return Err(UpgradeError::WrongDeflate);
                }
            }
        }
        Ok(agreement)
    }

    fn agree_to<'a>(&self, mut parameters: impl Iterator<Item = &'a str>) -> Option<Agreement> {
        let mut answer = Answer::default();
        parameters.try_for_each(|parameter| answer.add(parameter))?;
        let Answer { client_no_context_takeover, server_no_context_takeover, client_bits, server_bits } = answer;
        // A server has to say so when it agrees to what limits it.
        let server_agrees = self.server_max_window_bits.is_none_or(|most| server_bits.is_some_and(|bits| bits <= most))
            && (server_no_context_takeover || !self.server_no_context_takeover);
        let client_bits_offered = self.client_max_window_bits.unwrap_or(15);
        let client_agrees = client_bits.is_none_or(|bits| bits <= client_bits_offered);
        (server_agrees && client_agrees).then_some(Agreement {
            settings: *self,
            client_window_bits: client_bits.unwrap_or(client_bits_offered),
            client_takes_over: !(client_no_context_takeover || self.client_no_context_takeover),
            server_takes_over: !server_no_context_takeover,
        })
    }
}

/// The parameters of an answer.
#[derive(Default)]
struct Answer {
    client_no_context_takeover: bool,
    server_no_context_takeover: bool,
    client_bits: Option<u8>,
    server_bits: Option<u8>,
}

impl Answer {
    /// Adds one, which must be known, whole, and not there yet.
    fn add(&mut self, parameter: &str) -> Option<()> {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquoted(value.trim_start()))),
            None => (parameter, None),
        };
        let is_new = match (name, value) {
            ("client_no_context_takeover", None) => !std::mem::replace(&mut self.client_no_context_takeover, true),
            ("server_no_context_takeover", None) => !std::mem::replace(&mut self.server_no_context_takeover, true),
            ("client_max_window_bits", Some(bits)) => self.client_bits.replace(window_bits(bits)?).is_none(),
            ("server_max_window_bits", Some(bits)) => self.server_bits.replace(window_bits(bits)?).is_none(),
            _ => false,
        };
        is_new.then_some(())
    }
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

fn window_bits(value: &str) -> Option<u8> {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
    value.parse().ok().filter(|bits| is_plain && (8..=15).contains(bits))
}

const NAME: &str = "permessage-deflate";

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: PerMessageDeflate = PerMessageDeflate::new();

    fn answered(offer: PerMessageDeflate, answer: &[&'static str]) -> Result<Option<Agreement>, UpgradeError> {
        let values = answer.iter().map(|answer| (SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(answer)));
        offer.agreement(&values.collect())
    }

    /// The client's window bits, and whether client and server take their context over.
    fn terms(offer: PerMessageDeflate, answer: &'static str) -> (u8, bool, bool) {
        let agreement = answered(offer, &[answer]).unwrap().expect("it is agreed");
        (agreement.client_window_bits, agreement.client_takes_over, agreement.server_takes_over)
    }

    #[test]
    fn the_offer_says_what_was_set() {
        assert_eq!(NEW.offer(), "permessage-deflate; client_max_window_bits");
        let all = NEW
            .client_max_window_bits(3)
            .server_max_window_bits(99)
            .client_no_context_takeover(true)
            .server_no_context_takeover(true);
        assert_eq!(
            all.offer(),
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover; client_max_window_bits=9; \
             server_max_window_bits=15"
        );
    }

    #[test]
    fn an_answer_without_extensions_agrees_to_none() {
        for answer in [&[][..], &[""], &[" , "]] {
            assert_eq!(answered(NEW, answer), Ok(None));
        }
    }

    #[test]
    fn terms_are_the_answer_s_within_the_offer_s() {
        assert_eq!(terms(NEW, "permessage-deflate"), (15, true, true));
        assert_eq!(terms(NEW, "permessage-deflate; client_max_window_bits=8"), (8, true, true));
        assert_eq!(terms(NEW, "permessage-deflate;server_max_window_bits=\"10\""), (15, true, true));
        assert_eq!(terms(NEW, " permessage-deflate ; server_no_context_takeover "), (15, true, false));
        assert_eq!(terms(NEW, "permessage-deflate; client_no_context_takeover"), (15, false, true));
        let small = NEW.client_max_window_bits(10).client_no_context_takeover(true);
        assert_eq!(terms(small, "permessage-deflate"), (10, false, true), "we keep to less than we may");
        assert_eq!(terms(small, "permessage-deflate; client_max_window_bits = 9"), (9, false, true));
        let asked = NEW.server_max_window_bits(12).server_no_context_takeover(true);
        let answer = "permessage-deflate; server_max_window_bits=11; server_no_context_takeover";
        assert_eq!(terms(asked, answer), (15, true, false));
    }

    #[test]
    fn other_terms_than_were_offered_are_refused() {
        for answer in [
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=09",
            "permessage-deflate; client_max_window_bits=+9",
            "permessage-deflate; client_max_window_bits=",
            "permessage-deflate; client_max_window_bits=9; client_max_window_bits=9",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=256",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=true",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; level=9",
            "permessage-deflate;",
            "permessage-deflate; ; server_no_context_takeover",
            "permessage-deflate, permessage-deflate",
        ] {
            assert_eq!(answered(NEW, &[answer]), Err(UpgradeError::WrongDeflate), "{answer}");
        }
        let too_large = answered(NEW.client_max_window_bits(10), &["permessage-deflate; client_max_window_bits=11"]);
        assert_eq!(too_large, Err(UpgradeError::WrongDeflate));
        for answer in ["permessage-deflate", "permessage-deflate; server_max_window_bits=13"] {
            assert_eq!(answered(NEW.server_max_window_bits(12), &[answer]), Err(UpgradeError::WrongDeflate));
        }
        let not_agreed = answered(NEW.server_no_context_takeover(true), &["permessage-deflate"]);
        assert_eq!(not_agreed, Err(UpgradeError::WrongDeflate));
        assert_eq!(answered(NEW, &["permessage-deflate"; 2]), Err(UpgradeError::WrongDeflate));
    }

    #[test]
    fn extensions_that_were_not_offered_are_refused() {
        for answer in
            ["permessage-bzip2", "permessage-deflate, x-other", "x-webkit-deflate-frame", "Permessage-Deflate"]
        {
            assert_eq!(answered(NEW, &[answer]), Err(UpgradeError::UnknownExtension), "{answer}");
        }
    }
}
