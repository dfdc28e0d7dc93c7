//! What the containers of a node run under, by the kernel: the seccomp mode of their processes,
//! beside the profile that their pod declares. From texts of `/proc` and of pods to a report,
//! nothing else.
//!
//! A process belongs to the container whose ID is in its cgroup. Processes of no container of the
//! node's pods are left out: those of the node itself are never reported.

mod cgroup;
#[cfg(test)]
pub(crate) mod fixture;
mod pods;
mod process;
mod report;
mod tally;

pub use self::{
    pods::{Container, Declared, PodOnNode, Pods},
    process::{Mode, Process},
    report::{Containers, Extent, MOST_LISTED, Place, Unfiltered},
    tally::Witness,
};
pub(crate) use cgroup::ids as container_ids;
