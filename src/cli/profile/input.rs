//! The profiles that commands read: files, standard input, and default profiles of runtimes.

use std::path::Path;

use anyhow::{Context, anyhow, bail};

use crate::{
    cli::{
        file::{self, shown},
        profile::object::{self, Object},
    },
    position::Position,
    profile::{
        self, Amended, Architecture, Broken, DecodedProfile, Defect, Document, Filter, Hollow,
        MAX_BYTES, NodeId, Observed, Reason, RuntimeDefault, SourceLocation,
    },
};

/// A profile as it is read.
pub(super) struct Input {
    /// Its name in messages.
    pub(super) name: String,
    pub(super) text: Vec<u8>,
    /// The `SeccompProfile` of the text that it is, if it is one.
    object: Option<Object>,
}

/// A profile from which the runtime makes a filter.
pub(super) struct Loaded {
    name: String,
    text: Vec<u8>,
    pub(super) profile: DecodedProfile,
    /// Whether it is that of a `SeccompProfile`.
    is_object: bool,
    /// What is in force where the runtime switches seccomp off.
    instead: Option<Document>,
}

impl Input {
    /// Reads a file or, for a name such as `containerd@2.4`, a default profile.
    ///
    /// # Errors
    /// There is not one profile, but several objects.
    pub(super) fn of(word: &Path) -> anyhow::Result<Self> {
        let mut all = Self::all(word)?;
        match (all.pop(), all.len()) {
            (Some(only), 0) => Ok(only),
            (_, others) => {
                bail!("{}: there are {} SeccompProfiles, expected one", shown(word), others + 1)
            }
        }
    }

    /// As [`of`](Self::of), where a file may have several objects.
    pub(super) fn all(word: &Path) -> anyhow::Result<Vec<Self>> {
        let name = word.to_string_lossy();
        if RuntimeDefault::is_name(&name) && !word.exists() {
            let found: RuntimeDefault = name.parse().map_err(|error: String| anyhow!(error))?;
            let text = found.text.as_bytes().to_vec();
            return Ok(vec![Self { name: found.to_string(), text, object: None }]);
        }
        let (name, text) = (shown(word), read(word)?);
        let objects = object::all(&name, &text)?;
        if objects.is_empty() {
            return Ok(vec![Self { name, text, object: None }]);
        }
        let of = |it| Self { name: name.clone(), text: text.clone(), object: Some(it) };
        Ok(objects.into_iter().map(of).collect())
    }

    /// The profile of an object; `None` if the text is a profile itself.
    pub(super) fn object(&self) -> Option<&Object> {
        self.object.as_ref()
    }

    /// What the runtime makes of it on nodes of an architecture.
    ///
    /// # Errors
    /// The runtime refuses it.
    pub(super) fn load(self, native: Architecture) -> anyhow::Result<Loaded> {
        let Self { name, text, object } = self;
        let refused = |why: &Broken| {
            anyhow!(
                "{name}: no container starts under it: {why} (`callgate profile lint` says more)"
            )
        };
        let is_object = object.is_some();
        let profile = match object {
            Some(it) => it.profile,
            None => DecodedProfile::parse(&text).map_err(|it| refused(&it))?,
        };
        let document = profile.document().map_err(|it| refused(&it))?;
        let instead = match document.defect_on(native) {
            Some(Defect::Broken(broken)) => return Err(refused(&broken)),
            Some(Defect::Hollow(Hollow::Disabled { .. })) => Some(Document::allowing(native)),
            _ => None,
        };
        Ok(Loaded { name, text, profile, is_object, instead })
    }
}

impl Loaded {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the runtime switches seccomp off.
    pub(super) fn is_disabled(&self) -> bool {
        self.instead.is_some()
    }

    pub(super) fn filter(&self, native: Architecture) -> anyhow::Result<Filter<'_>> {
        let document = self.instead.as_ref().unwrap_or(&self.profile.document);
        document.filter(native).with_context(|| format!("{}: there is no filter", self.name()))
    }

    /// Path, line and column of a rule.
    pub(super) fn place(&self, rule: NodeId) -> (String, Position) {
        let SourceLocation { path, span } = self.profile.json.location(rule);
        (path, Position::of(span.unwrap_or_default().start, &self.text))
    }

    /// The first rule that hands calls over to an agent.
    pub(super) fn supervised(&self) -> Option<(String, Position)> {
        let mut rules = self.profile.document.syscalls.iter();
        let rule = rules.find(|it| it.action.it == "SCMP_ACT_NOTIFY")?;
        Some(self.place(rule.node))
    }

    /// The text with some more calls allowed.
    ///
    /// # Errors
    /// It is that of an object.
    pub(super) fn amended<'a>(
        &self,
        native: Architecture,
        observed: impl Iterator<Item = &'a Observed>,
    ) -> anyhow::Result<Amended> {
        if self.is_object {
            bail!("{}: --write takes a profile file, not a SeccompProfile", self.name());
        }
        Ok(profile::amended(&self.text, native, observed))
    }

    /// What decides: places in the profile, or something else.
    pub(super) fn decided_by(
        &self,
        reason: &Reason,
    ) -> (Vec<(String, Position)>, Option<&'static str>) {
        match reason {
            Reason::NotCovered => (vec![], Some("the profile does not list the architecture")),
            Reason::Newer => (
                vec![],
                Some("runc takes the call for newer than the profile, which names no later one"),
            ),
            Reason::Default if self.is_disabled() => {
                (vec![], Some("the runtime switches seccomp off"))
            }
            Reason::Default => (vec![self.place_of_default()], None),
            Reason::Rules(rules) => (rules.iter().map(|it| self.place(*it)).collect(), None),
        }
    }

    /// As [`place`](Self::place), of the default action.
    fn place_of_default(&self) -> (String, Position) {
        self.place(self.profile.document.default_action.node)
    }
}

pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let read = file::read(file, MAX_BYTES);
    let Some(text) = read.with_context(|| format!("cannot read {:?}", shown(file)))? else {
        bail!("{:?} is larger than {MAX_BYTES} bytes, it cannot be a profile", shown(file));
    };
    Ok(text)
}
