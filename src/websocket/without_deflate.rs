//! What stands in for permessage-deflate where its feature is off: types that have no values, so that nothing else has to
//! ask which it is.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tokio_tungstenite::tungstenite;

use super::error::UpgradeError;

#[derive(Clone, Copy, Debug)]
pub(crate) enum PerMessageDeflate {}

impl PerMessageDeflate {
    pub(super) fn offer(&self) -> HeaderValue {
        match *self {}
    }

    pub(super) fn agree(&self, _: &HeaderMap, _: usize) -> Result<Option<Deflate>, UpgradeError> {
        match *self {}
    }
}

#[derive(Debug)]
pub(super) enum Deflate {}

impl Deflate {
    pub(super) fn compress(&mut self, _: &[u8], _: &[u8]) -> Option<Vec<u8>> {
        match *self {}
    }

    pub(super) fn inflate(&mut self, _: &[u8]) -> Result<Bytes, tungstenite::Error> {
        match *self {}
    }

    pub(super) fn rest_sending(&mut self) {
        match *self {}
    }

    pub(super) fn rest_receiving(&mut self) {
        match *self {}
    }
}
