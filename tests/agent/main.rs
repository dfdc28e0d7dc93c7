//! The agent and the files of a node, without a cluster: real files, real
//! links, real file systems that are full, and a real SIGKILL.

mod denials;
mod drift;
mod hostile;
mod inventory;
mod killed;
mod large;
mod loadable;
mod node;
mod released;
mod replaced;
mod report;
mod scale;
mod together;
mod witness;
