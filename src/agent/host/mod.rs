//! All operations on the files of a node, without decisions.
//!
//! Every path is relative to an opened directory. No link is followed on the way to a file that we
//! write, and nothing outside of `callgate` is written.

mod error;
mod file_state;
mod managed_dir;
mod place;
mod prepare;
mod released;
mod root;
mod walk;

use self::managed_dir::MODE;
pub use self::{
    error::HostError,
    file_state::FileState,
    managed_dir::ManagedDir,
    place::Place,
    prepare::{FORMER_OWNER, OWNER, prepare},
    root::Root,
    walk::Walk,
};
