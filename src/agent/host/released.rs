//! Remembers, across the lives of an agent, for how long files have been kept.

use std::{collections::BTreeMap, fs::File, io::Read, time::Duration};

use rustix::fs::{Mode, OFlags, openat};

use super::{HostError, Own};
use crate::agent::{name::Name, plan::Released};

/// Beside the files that it is about; no profile can be called so.
const NOTE: &str = ".released";

const NEW_NOTE: &str = ".new-note";

/// A note of more is none of ours.
const LONGEST: u64 = 1024 * 1024;

impl Own {
    /// Reads the note. One that is not there or means nothing begins anew: then
    /// files are kept for longer than they had to be, never for less.
    pub fn released(&self) -> Released {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut text = String::new();
        let read = openat(&self.0, NOTE, flags, Mode::empty()).map(File::from);
        if !read.is_ok_and(|it| it.take(LONGEST).read_to_string(&mut text).is_ok()) {
            return Released::new();
        }
        let seconds: BTreeMap<String, u64> = serde_json::from_str(&text).unwrap_or_default();
        let known = seconds
            .into_iter()
            .filter_map(|(name, it)| Some((Name::parse(&name)?, Duration::from_secs(it))));
        known.collect()
    }

    /// Writes the note as a profile is written: it is the old one or the new one.
    pub fn note(&self, released: &Released) -> Result<(), HostError> {
        let seconds: BTreeMap<_, _> =
            released.iter().map(|(name, it)| (name.as_str(), it.as_secs())).collect();
        let text = serde_json::json!(seconds).to_string();
        let write = || {
            self.write(NEW_NOTE, &text)?.sync_all()?;
            self.rename(NEW_NOTE, NOTE)
        };
        write().map_err(|source| {
            self.give_up(NEW_NOTE);
            HostError::Note { source }
        })
    }
}
