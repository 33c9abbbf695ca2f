//! OpenSSL's lists of ciphers, over the suites that rustls has.

use rustls::{CipherSuite, SupportedCipherSuite};

use super::TlsError;

/// Picks from `all` what a list names, in the list's order. [`TlsBuilder::ciphers`](super::TlsBuilder::ciphers) tells
/// what may be in it.
pub(super) fn pick(list: &str, all: &[SupportedCipherSuite]) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let mut wanted = Vec::new();
    let mut excluded = Vec::new();
    for word in list.split([':', ',', ' ']).filter(|word| !word.is_empty()) {
        let unknown = || TlsError::UnknownCipher(word.to_owned());
        match word.strip_prefix('!') {
            Some(name) if ABSENT.contains(&name) => {}
            Some(name) => excluded.push(suite(name).ok_or_else(unknown)?),
            None if KEYWORDS.contains(&word) => wanted.extend(all.iter().map(|suite| suite.suite())),
            None => wanted.push(suite(word).ok_or_else(unknown)?),
        }
    }
    let mut picked = Vec::new();
    for name in wanted {
        let suite = all.iter().find(|suite| suite.suite() == name);
        picked.extend(suite.filter(|suite| !excluded.contains(&name) && !picked.contains(*suite)));
    }
    if picked.is_empty() { Err(TlsError::NoCiphers) } else { Ok(picked) }
}

fn suite(name: &str) -> Option<CipherSuite> {
    SUITES.iter().find(|(known, _)| *known == name).map(|(_, suite)| *suite)
}

/// OpenSSL's names.
const SUITES: [(&str, CipherSuite); 9] = [
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// All that rustls has is as strong as OpenSSL's `HIGH`.
const KEYWORDS: [&str; 3] = ["DEFAULT", "ALL", "HIGH"];

/// What rustls has none of.
const ABSENT: [&str; 18] = [
    "3DES", "ADH", "AECDH", "CAMELLIA", "DES", "DSS", "EXP", "EXPORT", "IDEA", "LOW", "MD5", "MEDIUM", "NULL", "PSK",
    "RC4", "SRP", "aNULL", "eNULL",
];

#[cfg(all(test, any(feature = "ring", feature = "aws-lc-rs")))]
mod tests {
    use super::*;
    use crate::http::tls::provider::provider;

    fn picked(list: &str) -> Result<Vec<CipherSuite>, TlsError> {
        let all = provider().expect("there is one").cipher_suites;
        Ok(pick(list, &all)?.iter().map(|suite| suite.suite()).collect())
    }

    #[test]
    fn every_suite_of_rustls_has_a_name() {
        let all = provider().expect("there is one").cipher_suites;
        assert_eq!(all.len(), SUITES.len());
        for (name, suite) in SUITES {
            assert_eq!(picked(name).unwrap(), [suite], "{name}");
        }
    }

    #[test]
    fn a_list_is_in_the_order_of_preference() {
        let two = [SUITES[8].1, SUITES[0].1];
        for separator in [":", ",", " ", ", ", "::"] {
            let list = ["ECDHE-RSA-CHACHA20-POLY1305", "TLS_AES_256_GCM_SHA384", "ECDHE-RSA-CHACHA20-POLY1305"];
            assert_eq!(picked(&list.join(separator)).unwrap(), two);
        }
        let rest = picked("TLS_CHACHA20_POLY1305_SHA256:DEFAULT").unwrap();
        assert_eq!((rest.len(), rest[0]), (9, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256));
    }

    #[test]
    fn exclusion_holds_wherever_it_stands() {
        let all = SUITES.map(|(_, suite)| suite);
        assert_eq!(picked("HIGH:!aNULL:!MD5:!RC4").unwrap(), all);
        assert_eq!(picked("!TLS_AES_256_GCM_SHA384:ALL").unwrap(), all[1..]);
        assert_eq!(picked("TLS_AES_256_GCM_SHA384:ALL:!TLS_AES_256_GCM_SHA384").unwrap(), all[1..]);
    }

    #[test]
    fn what_is_unknown_is_named_and_what_is_empty_refused() {
        for word in [
            "AES128-SHA",
            "DHE-RSA-AES128-GCM-SHA256",
            "tls_aes_256_gcm_sha384",
            "!AES128-SHA",
            "+HIGH",
            "-HIGH",
            "!HIGH",
            "@STRENGTH",
            "RC4",
            "!",
        ] {
            let error = picked(&format!("DEFAULT:{word}")).unwrap_err();
            assert!(matches!(&error, TlsError::UnknownCipher(named) if named == word), "{error:?}");
        }
        for list in ["", " : ", "!RC4", "TLS_AES_128_GCM_SHA256:!TLS_AES_128_GCM_SHA256"] {
            assert!(matches!(picked(list), Err(TlsError::NoCiphers)), "{list}");
        }
    }
}
