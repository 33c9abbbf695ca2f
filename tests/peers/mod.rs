//! Servers to test against: the reference implementation, one written in Rust, and one that misbehaves.

#![allow(dead_code, unused_imports, unused_macros, reason = "no test binary uses all of it")]

pub(crate) mod matrix;
pub(crate) mod oxide;
pub(crate) mod reference;
pub(crate) mod scripted;
pub(crate) mod session;
