//! Servers to test against: the reference implementation, and one written in Rust.

#![allow(dead_code, reason = "no test binary uses all of it")]

pub(crate) mod matrix;
pub(crate) mod oxide;
pub(crate) mod reference;
pub(crate) mod session;
