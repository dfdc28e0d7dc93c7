//! A profile as containerd decodes it.
//!
//! containerd calls Go's `json.Unmarshal` on the file with the OCI runtime
//! specification's `LinuxSeccomp` (contrib/seccomp/seccomp.go): unknown keys
//! are dropped, keys are compared without case, the last of two equal keys
//! wins, and `null` leaves a value as it was (L4). What it makes of a file is
//! what counts, so this reads the file in the same way.

use crate::profile::{
    Broken, Defect,
    json::{Json, same_key},
};

/// The largest file that is looked into. The largest real profile, the default
/// of the Docker engine, is 20 KB.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// The parts of `LinuxSeccomp` that decide whether anything is filtered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    pub(super) default_action: String,
    pub(super) architectures: Vec<String>,
    pub(super) flags: Vec<String>,
    pub(super) listener_path: String,
    pub(super) syscalls: Vec<Syscall>,
    /// Keys of the top level that the runtime drops.
    pub(super) unknown_keys: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Syscall {
    pub(super) names: Vec<String>,
    pub(super) action: String,
    pub(super) args: Vec<Arg>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Arg {
    pub(super) index: u64,
    pub(super) op: String,
}

impl Document {
    /// Reads a profile file; an error is what makes the runtime refuse it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Broken> {
        let mut document = Self::default();
        match Json::parse(bytes)? {
            // `null` decodes into anything, and changes nothing.
            Json::Null => {}
            Json::Object(entries) => document.decode(&entries)?,
            other => return Err(wrong("it".to_owned(), &other, "an object")),
        }
        Ok(document)
    }

    /// Reads a profile file and says what is wrong with it, if anything.
    pub fn inspect(bytes: &[u8]) -> Option<Defect> {
        match Self::parse(bytes) {
            Err(broken) => Some(broken.into()),
            Ok(document) => document.defect(),
        }
    }

    const FIELDS: &[&str] = &[
        "defaultAction",
        "defaultErrnoRet",
        "architectures",
        "flags",
        "listenerPath",
        "listenerMetadata",
        "syscalls",
    ];

    fn decode(&mut self, entries: &[(String, Json)]) -> Result<(), Broken> {
        for (key, value) in entries {
            match field(key, Self::FIELDS) {
                Some("defaultAction") => string(&mut self.default_action, key, value)?,
                Some("defaultErrnoRet") => unsigned(&mut 0, key, value)?,
                Some("architectures") => {
                    list(&mut self.architectures, key, value, string)?;
                }
                Some("flags") => list(&mut self.flags, key, value, string)?,
                Some("listenerPath") => string(&mut self.listener_path, key, value)?,
                Some("listenerMetadata") => string(&mut String::new(), key, value)?,
                Some("syscalls") => {
                    list(&mut self.syscalls, key, value, Syscall::decode)?;
                }
                _ => self.unknown_keys.push(key.clone()),
            }
        }
        Ok(())
    }
}

impl Syscall {
    const FIELDS: &[&str] = &["names", "action", "errnoRet", "args"];

    fn decode(&mut self, at: &str, value: &Json) -> Result<(), Broken> {
        for (key, value) in fields(at, value)? {
            let at = format!("{at}.{key}");
            match field(key, Self::FIELDS) {
                Some("names") => list(&mut self.names, &at, value, string)?,
                Some("action") => string(&mut self.action, &at, value)?,
                Some("errnoRet") => unsigned(&mut 0, &at, value)?,
                Some("args") => list(&mut self.args, &at, value, Arg::decode)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Arg {
    const FIELDS: &[&str] = &["index", "value", "valueTwo", "op"];

    fn decode(&mut self, at: &str, value: &Json) -> Result<(), Broken> {
        for (key, value) in fields(at, value)? {
            let at = format!("{at}.{key}");
            match field(key, Self::FIELDS) {
                Some("index") => unsigned(&mut self.index, &at, value)?,
                Some("value") => unsigned(&mut 0, &at, value)?,
                Some("valueTwo") => unsigned(&mut 0, &at, value)?,
                Some("op") => string(&mut self.op, &at, value)?,
                _ => {}
            }
        }
        Ok(())
    }
}

// Decoders write into what is there already, as Go's do: `null` leaves a value
// alone, and the second of two equal keys is laid over the first.

fn string(into: &mut String, at: &str, value: &Json) -> Result<(), Broken> {
    match value {
        Json::Null => {}
        Json::String(value) => into.clone_from(value),
        other => return Err(wrong(at.to_owned(), other, "a string")),
    }
    Ok(())
}

fn unsigned(into: &mut u64, at: &str, value: &Json) -> Result<(), Broken> {
    match value {
        Json::Null => {}
        Json::Unsigned(value) => *into = *value,
        other => return Err(wrong(at.to_owned(), other, "a whole number from 0 to 2^64-1")),
    }
    Ok(())
}

fn list<T: Default>(
    into: &mut Vec<T>,
    at: &str,
    value: &Json,
    element: impl Fn(&mut T, &str, &Json) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let items = match value {
        Json::Null => &[],
        Json::Array(items) => items.as_slice(),
        other => return Err(wrong(at.to_owned(), other, "a list")),
    };
    into.resize_with(items.len(), T::default);
    for (index, (slot, item)) in into.iter_mut().zip(items).enumerate() {
        element(slot, &format!("{at}[{index}]"), item)?;
    }
    Ok(())
}

fn fields<'a>(at: &str, value: &'a Json) -> Result<&'a [(String, Json)], Broken> {
    match value {
        Json::Null => Ok(&[]),
        Json::Object(entries) => Ok(entries),
        other => Err(wrong(at.to_owned(), other, "an object")),
    }
}

/// The field that Go decodes `key` into.
fn field<'a>(key: &str, names: &[&'a str]) -> Option<&'a str> {
    names.iter().copied().find(|it| same_key(key, it))
}

fn wrong(at: String, found: &Json, expected: &'static str) -> Broken {
    Broken::WrongType { at, found: found.type_name(), expected }
}
