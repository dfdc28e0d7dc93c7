//! How runc checks a decoded profile.

use crate::profile::{
    Broken,
    architecture::Architecture,
    calls::Effect,
    document::{Document, Spanned, Syscall},
    syscalls,
};

/// What a rule or the default does to a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// How a condition compares an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operator {
    Ne,
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
    /// Compares the bits of a mask only.
    MaskedEq,
}

/// libcontainer/seccomp/config.go of runc.
const OPERATORS: &[(&str, Operator)] = &[
    ("SCMP_CMP_NE", Operator::Ne),
    ("SCMP_CMP_LT", Operator::Lt),
    ("SCMP_CMP_LE", Operator::Le),
    ("SCMP_CMP_EQ", Operator::Eq),
    ("SCMP_CMP_GE", Operator::Ge),
    ("SCMP_CMP_GT", Operator::Gt),
    ("SCMP_CMP_MASKED_EQ", Operator::MaskedEq),
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

    /// Whether the system call is executed; a logged call is.
    pub(super) fn lets_through(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }

    /// The largest errno that libseccomp takes (`MAX_ERRNO` in src/system.c).
    pub(super) const LARGEST_ERRNO: u64 = 4094;

    /// Whether the action uses `errnoRet`: as an error number, or as a message to
    /// the tracer.
    pub(super) fn takes_errno(self) -> bool {
        matches!(self, Self::Errno | Self::Trace)
    }
}

impl Operator {
    pub(super) fn parse(name: &str) -> Option<Self> {
        OPERATORS.iter().find(|it| it.0 == name).map(|it| it.1)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
        OPERATORS.iter().map(|it| it.0)
    }
}

impl Document {
    /// Returns the first error with which runc rejects the profile on every node
    /// (specconv `SetupSeccomp`, libcontainer `InitSeccomp`).
    pub(super) fn check(&self) -> Result<(), Broken> {
        if self.default_action.is_empty() {
            return Err(Broken::NoDefaultAction);
        }
        let default = action("defaultAction", &self.default_action)?;
        if default == Action::Notify {
            return Err(Broken::Notify { at: "defaultAction".to_owned() });
        }
        check_errno("defaultErrnoRet", default, self.default_errno.as_ref())?;
        let names: Vec<_> = Architecture::names().collect();
        all_known("architectures", &self.architectures, &names)?;
        all_known("flags", &self.flags, FLAGS)?;
        let default = Effect::of(default, self.default_errno.as_ref().map(|it| it.it));
        for (at, syscall) in self.syscalls.iter().enumerate() {
            check_rule(&format!("syscalls[{at}]"), syscall, self, default)?;
        }
        Ok(())
    }
}

fn check_rule(
    at: &str,
    syscall: &Syscall,
    document: &Document,
    default: Effect,
) -> Result<(), Broken> {
    let action = action(&format!("{at}.action"), &syscall.action)?;
    if action == Action::Notify && document.listener_path.is_empty() {
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
        return Ok(());
    }
    for (number, arg) in syscall.args.iter().enumerate() {
        let at = format!("{at}.args[{number}]");
        if *arg.index > 5 {
            let at = format!("{at}.index");
            return Err(Broken::NoSuchArgument { at, value: *arg.index });
        }
        let operators: Vec<_> = Operator::names().collect();
        known(&format!("{at}.op"), &arg.op, &operators)?;
    }
    // runc adds no rule to libseccomp for the default action or for unknown calls.
    let is_default = Effect::of(action, syscall.errno.as_ref().map(|it| it.it)) == default;
    if is_default || !syscall.names.iter().any(|it| syscalls::exists(it)) {
        return Ok(());
    }
    check_errno(&format!("{at}.errnoRet"), action, syscall.errno.as_ref())
}

fn check_errno(at: &str, action: Action, errno: Option<&Spanned<u64>>) -> Result<(), Broken> {
    match errno {
        Some(it) if Effect::of(action, Some(it.it)).is_refused() => {
            Err(Broken::ErrnoTooLarge { at: at.to_owned(), value: it.it })
        }
        _ => Ok(()),
    }
}

fn action(at: &str, value: &str) -> Result<Action, Broken> {
    let unknown = || Broken::UnknownValue { at: at.to_owned(), value: value.to_owned() };
    Action::parse(value).ok_or_else(unknown)
}

fn all_known(at: &str, values: &[Spanned<String>], names: &[&str]) -> Result<(), Broken> {
    let mut all = values.iter().enumerate();
    all.try_for_each(|(number, value)| known(&format!("{at}[{number}]"), value, names))
}

fn known(at: &str, value: &str, names: &[&str]) -> Result<(), Broken> {
    if names.contains(&value) {
        return Ok(());
    }
    Err(Broken::UnknownValue { at: at.to_owned(), value: value.to_owned() })
}
