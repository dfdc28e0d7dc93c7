//! How runc checks a decoded profile.

use crate::profile::{
    Broken,
    action::{Action, Effect, Operator},
    architecture::Architecture,
    document::{Document, Spanned, Syscall},
    syscalls,
};

/// libcontainer/seccomp/config.go of runc.
pub(super) const FLAGS: &[&str] = &[
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

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
