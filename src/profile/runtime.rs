//! What runc makes of a profile once it is decoded.

use crate::profile::{
    Broken, Defect, Hollow,
    document::{Document, Placed, Syscall},
    syscalls,
};

/// What a rule or the default does to a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Kill,
    KillProcess,
    KillThread,
    Trap,
    Errno,
    Trace,
    Allow,
    Log,
    Notify,
}

/// libcontainer/seccomp/config.go of runc.
pub(super) const ACTIONS: &[(&str, Action)] = &[
    ("SCMP_ACT_KILL", Action::Kill),
    ("SCMP_ACT_KILL_PROCESS", Action::KillProcess),
    ("SCMP_ACT_KILL_THREAD", Action::KillThread),
    ("SCMP_ACT_TRAP", Action::Trap),
    ("SCMP_ACT_ERRNO", Action::Errno),
    ("SCMP_ACT_TRACE", Action::Trace),
    ("SCMP_ACT_ALLOW", Action::Allow),
    ("SCMP_ACT_LOG", Action::Log),
    ("SCMP_ACT_NOTIFY", Action::Notify),
];

/// libcontainer/seccomp/config.go of runc.
pub(super) const OPERATORS: &[&str] = &[
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
];

/// libcontainer/seccomp/config.go of runc.
pub(super) const ARCHITECTURES: &[&str] = &[
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_LOONGARCH64",
];

/// libcontainer/seccomp/config.go of runc.
pub(super) const FLAGS: &[&str] = &[
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

impl Action {
    pub(super) fn parse(name: &str) -> Option<Self> {
        ACTIONS.iter().find(|it| it.0 == name).map(|it| it.1)
    }

    pub(super) fn name(self) -> &'static str {
        ACTIONS.iter().find(|it| it.1 == self).expect("every action has its name").0
    }

    /// Whether the system call goes through: to log it is not to stop it.
    pub(super) fn lets_through(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }

    /// Whether `errnoRet` says something about it: an error number, or for the
    /// tracer a message.
    pub(super) fn takes_errno(self) -> bool {
        matches!(self, Self::Errno | Self::Trace)
    }
}

impl Document {
    /// What becomes of a container that names this profile, where it is not
    /// what a profile is for.
    pub fn defect(&self) -> Option<Defect> {
        if self.default_action.is_empty() && self.syscalls.is_empty() {
            let misspelt = self.unknown_keys.iter().find(|it| resembles(it, "defaultAction"));
            return Some(Hollow::Disabled { misspelt: misspelt.cloned() }.into());
        }
        match self.check() {
            Err(broken) => Some(broken.into()),
            Ok(default) => self.permissive(default).map(Defect::Hollow),
        }
    }

    /// Refuses what runc refuses (specconv `SetupSeccomp`, libcontainer
    /// `InitSeccomp`), and returns the default action.
    fn check(&self) -> Result<Action, Broken> {
        if self.default_action.is_empty() {
            return Err(Broken::NoDefaultAction);
        }
        let default = action("defaultAction", &self.default_action)?;
        if default == Action::Notify {
            return Err(Broken::Notify { at: "defaultAction".to_owned() });
        }
        all_known("architectures", &self.architectures, ARCHITECTURES)?;
        all_known("flags", &self.flags, FLAGS)?;
        for (at, syscall) in self.syscalls.iter().enumerate() {
            let at = format!("syscalls[{at}]");
            let action = action(&format!("{at}.action"), &syscall.action)?;
            if action == Action::Notify && self.listener_path.is_empty() {
                return Err(Broken::Notify { at: format!("{at}.action") });
            }
            for (number, name) in syscall.names.iter().enumerate() {
                let at = || format!("{at}.names[{number}]");
                match name.as_str() {
                    "" => return Err(Broken::EmptyName { at: at() }),
                    "write" if action == Action::Notify => {
                        return Err(Broken::NotifyOnWrite { at: at() });
                    }
                    _ => {}
                }
            }
            // runc converts the arguments once for each name.
            if syscall.names.is_empty() {
                continue;
            }
            for (number, arg) in syscall.args.iter().enumerate() {
                let at = format!("{at}.args[{number}]");
                if *arg.index > 5 {
                    let at = format!("{at}.index");
                    return Err(Broken::NoSuchArgument { at, value: *arg.index });
                }
                known(&format!("{at}.op"), &arg.op, OPERATORS)?;
            }
        }
        Ok(default)
    }

    /// Finds no rule that stops anything, in a profile that by default lets
    /// everything through (L3).
    pub(super) fn permissive(&self, default: Action) -> Option<Hollow> {
        if !default.lets_through() {
            return None;
        }
        let mut skipped = Vec::new();
        for Placed { it: Syscall { names, action, .. }, .. } in &self.syscalls {
            if Action::parse(action).is_some_and(Action::lets_through) {
                continue;
            }
            if names.iter().any(|it| syscalls::exists(it)) {
                return None;
            }
            skipped.extend(names.iter().map(|it| it.it.clone()));
        }
        Some(Hollow::Permissive { default: default.name(), skipped })
    }
}

fn action(at: &str, value: &str) -> Result<Action, Broken> {
    let unknown = || Broken::UnknownValue { at: at.to_owned(), value: value.to_owned() };
    Action::parse(value).ok_or_else(unknown)
}

fn all_known(at: &str, values: &[Placed<String>], names: &[&str]) -> Result<(), Broken> {
    let mut all = values.iter().enumerate();
    all.try_for_each(|(number, value)| known(&format!("{at}[{number}]"), value, names))
}

fn known(at: &str, value: &str, names: &[&str]) -> Result<(), Broken> {
    if names.contains(&value) {
        return Ok(());
    }
    Err(Broken::UnknownValue { at: at.to_owned(), value: value.to_owned() })
}

fn resembles(key: &str, name: &str) -> bool {
    let (key, name) = (key.to_ascii_lowercase(), name.to_ascii_lowercase());
    key.len() <= 2 * name.len() && strsim::damerau_levenshtein(&key, &name) <= 3
}
