//! The server as its clients see it: real sockets, real TLS, bytes written by hand.

mod admin;
mod certificates;
mod client;
mod deadlines;
mod drain;
mod limits;
mod pki;
mod rig;
mod transport;
