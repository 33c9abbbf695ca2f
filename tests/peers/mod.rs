//! Servers to test against: the reference implementation, one written in Rust, one that misbehaves, and what may stand
//! in front of them. Beside them, what watches the client's side.

#![allow(dead_code, unused_imports, unused_macros, reason = "no test binary uses all of it")]

pub(crate) mod balancer;
pub(crate) mod books;
pub(crate) mod counting;
pub(crate) mod faults;
pub(crate) mod front;
pub(crate) mod matrix;
pub(crate) mod noting;
pub(crate) mod oxide;
pub(crate) mod pki;
pub(crate) mod proxies;
pub(crate) mod reference;
pub(crate) mod scripted;
pub(crate) mod session;
pub(crate) mod tap;
