//! Tests of the server over real sockets: real TLS, bytes written by hand.

mod admin;
mod attacks;
mod certificates;
mod clients;
mod commands;
mod deadlines;
mod descriptors;
mod drain;
mod flood;
mod limits;
mod log;
mod pki;
mod rig;
mod transport;
