//! What callgate says of a container under a profile.

use callgate::profile::{Architecture, Defect, Document, Finding, Hollow, lint};

use super::seen::Seen;

/// The verdict on a profile, as far as the start of a container shows whether it is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    /// It cannot be loaded.
    DoesNotLoad,
    /// callgate has not read it all (`Broken::is_of_the_runtime`).
    NotJudged,
    /// `no-execve`.
    NoStart,
    /// `notify`, with a program that decides.
    Depends,
    /// `newer-runc`.
    NeedsNewerRunc,
    /// `missing-startup-calls`.
    MayNotStart,
    /// It is no filter at all.
    SwitchesOff,
    /// It is a filter that lets everything through.
    DeniesNothing,
    /// Nothing of this.
    Filters,
}

impl Said {
    pub(super) const ALL: [Self; 9] = [
        Self::DoesNotLoad,
        Self::NotJudged,
        Self::NoStart,
        Self::Depends,
        Self::NeedsNewerRunc,
        Self::MayNotStart,
        Self::SwitchesOff,
        Self::DeniesNothing,
        Self::Filters,
    ];

    pub(super) fn of(profile: &[u8]) -> Self {
        let native = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        let native = Architecture::of_node(native).expect("it is one of nodes");
        let defect = Document::inspect_on(profile, native);
        if let Some(Defect::Broken(why)) = &defect {
            return if why.is_of_the_runtime() { Self::DoesNotLoad } else { Self::NotJudged };
        }
        let findings = lint(profile);
        let finds = |id: &str| findings.iter().any(|it: &Finding| it.lint.id == id);
        match defect {
            Some(Defect::Hollow(Hollow::Disabled { .. })) => Self::SwitchesOff,
            _ if finds("no-execve") => Self::NoStart,
            _ if finds("notify") => Self::Depends,
            _ if finds("newer-runc") => Self::NeedsNewerRunc,
            _ if finds("missing-startup-calls") => Self::MayNotStart,
            Some(Defect::Hollow(_)) => Self::DeniesNothing,
            _ => Self::Filters,
        }
    }

    /// Whether that is what has happened.
    pub(super) fn agrees(self, seen: &Seen) -> bool {
        match self {
            Self::NotJudged | Self::Depends => true,
            Self::DoesNotLoad => matches!(seen, Seen::Refused(_) | Seen::Failed(_)),
            Self::NoStart => !matches!(seen, Seen::Runs { .. } | Seen::Refused(_)),
            Self::NeedsNewerRunc | Self::MayNotStart => {
                !matches!(seen, Seen::Runs { filtered: false } | Seen::Refused(_))
            }
            Self::SwitchesOff => *seen == Seen::Runs { filtered: false },
            Self::DeniesNothing | Self::Filters => *seen == Seen::Runs { filtered: true },
        }
    }

    /// In the words of the page.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::DoesNotLoad => "does not load",
            Self::NotJudged => "not judged",
            Self::NoStart => "does not start (`no-execve`)",
            Self::Depends => "depends on a program (`notify`)",
            Self::NeedsNewerRunc => "may not start (`newer-runc`)",
            Self::MayNotStart => "may not start (`missing-startup-calls`)",
            Self::SwitchesOff => "hollow: switches seccomp off",
            Self::DeniesNothing => "hollow: denies nothing",
            Self::Filters => "filters",
        }
    }
}
