//! Remembers, across the lives of an agent, for how long files have been kept.
//!
//! A pod can name any file under the seccomp directory as its profile, and the
//! runtime takes a JSON object without `defaultAction` for a profile without a
//! filter. So the note is no JSON, not even its beginning.

use std::{collections::BTreeMap, fmt::Write, fs::File, io::Read, time::Duration};

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};

use super::{HostError, ManagedDir};
use crate::agent::{name::Name, plan::Released};

/// Beside the files that it is about; no profile can be called so.
const NOTE: &str = ".kept";

/// The note of versions before this one, which is JSON.
const OLD_NOTE: &str = ".released";

/// The first line of the note. No JSON begins so.
const HEAD: &str = "callgate: seconds for which files of deleted profiles have been kept\n";

/// A note of more is none of ours.
const LONGEST: u64 = 1024 * 1024;

impl ManagedDir {
    /// Reads the note. One that is not there or means nothing begins anew: then
    /// files are kept for longer than they had to be, never for less.
    pub fn released(&self) -> Released {
        let lines = self.read(NOTE).and_then(|it| Some(it.strip_prefix(HEAD)?.to_owned()));
        let Some(lines) = lines else { return self.released_before() };
        let line = |it: &str| {
            let (seconds, name) = it.split_once(' ')?;
            Some((Name::parse(name)?, Duration::from_secs(seconds.parse().ok()?)))
        };
        lines.lines().filter_map(line).collect()
    }

    fn released_before(&self) -> Released {
        let text = self.read(OLD_NOTE).unwrap_or_default();
        let seconds: BTreeMap<String, u64> = serde_json::from_str(&text).unwrap_or_default();
        let known = seconds
            .into_iter()
            .filter_map(|(name, it)| Some((Name::parse(&name)?, Duration::from_secs(it))));
        known.collect()
    }

    /// Removes the note of versions before this one, if it is among the `names`;
    /// what it said is noted first. Even if that fails it is removed: files are
    /// then kept for longer.
    pub fn replace_old_note(&self, names: &[String], said: &Released) -> Result<(), HostError> {
        if !names.iter().any(|it| it == OLD_NOTE) {
            return Ok(());
        }
        let noted = self.note(said);
        unlinkat(&self.0, OLD_NOTE, AtFlags::empty())
            .map_err(|it| HostError::OldNote { source: it.into() })
            .and(noted)
    }

    /// Writes the note as a profile is written: it is the old one or the new one.
    pub fn note(&self, released: &Released) -> Result<(), HostError> {
        let mut text = HEAD.to_owned();
        for (name, it) in released {
            writeln!(text, "{} {name}", it.as_secs()).expect("a string takes all");
        }
        let new = self.temporary("note");
        let write = || {
            self.write(&new, &text)?.sync_all()?;
            self.rename(&new, NOTE)
        };
        write().map_err(|source| {
            self.give_up(&new);
            HostError::Note { source }
        })
    }

    fn read(&self, note: &str) -> Option<String> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&self.0, note, flags, Mode::empty()).ok()?);
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text).ok()?;
        Some(text)
    }
}
