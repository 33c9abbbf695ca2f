//! Servers to test against: the reference implementation, one written in Rust, and one that misbehaves.

#![allow(dead_code, reason = "no test binary uses all of it")]

pub(crate) mod matrix;
pub(crate) mod oxide;
pub(crate) mod pki;
pub(crate) mod reference;
pub(crate) mod scripted;
pub(crate) mod session;
