//! Stores how long files have been kept, so that it survives a restart of the agent.
//!
//! A pod can name any file under the seccomp directory as its profile, and the runtime treats a
//! JSON object without `defaultAction` as a profile without a filter. So the note is not JSON, nor
//! is its beginning.

use std::{collections::BTreeMap, fmt::Write, fs::File, io::Read, time::Duration};

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};

use super::{HostError, ManagedDir};
use crate::agent::{name::Name, plan::Released};

/// The file of the note, beside the profiles; no profile can have this name.
const NOTE: &str = ".kept";

/// The note of earlier versions, which is JSON.
const OLD_NOTE: &str = ".released";

/// The first line of the note. No JSON text begins like this.
const HEAD: &str = "callgate: seconds for which files of deleted profiles have been kept\n";

/// In bytes; the agent never writes a longer note.
const LONGEST: u64 = 1024 * 1024;

impl ManagedDir {
    /// Reads the note. If it is missing or invalid, all times start at zero: files are then kept
    /// for longer than necessary, never for less.
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

    /// Removes the note of earlier versions if it is among the `names`. Its content is stored in
    /// the new note first. It is removed even if that fails: files are then kept for longer.
    pub fn replace_old_note(&self, names: &[String], old: &Released) -> Result<(), HostError> {
        if !names.iter().any(|it| it == OLD_NOTE) {
            return Ok(());
        }
        let noted = self.note(old);
        unlinkat(&self.0, OLD_NOTE, AtFlags::empty())
            .map_err(|it| HostError::OldNote { source: it.into() })
            .and(noted)
    }

    /// Writes the note as profiles are written: a reader sees either the old or the new one.
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
