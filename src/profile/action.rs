//! Actions, what they do to a call, and the operators of conditions.

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

/// The effect on a call. As in libseccomp, `KILL` and `KILL_THREAD` are the same,
/// and the error number is part of the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Effect {
    action: Action,
    code: u16,
}

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

impl Effect {
    /// Converts as runc does: 16 bits of `errno`, and `EPERM` by default.
    pub(super) fn of(action: Action, errno: Option<u64>) -> Self {
        const EPERM: u64 = 1;
        let [low, high, ..] = errno.unwrap_or(EPERM).to_le_bytes();
        let code = if action.takes_errno() { u16::from_le_bytes([low, high]) } else { 0 };
        let action = if action == Action::Kill { Action::KillThread } else { action };
        Self { action, code }
    }

    /// The call fails with this error.
    pub(super) fn error(code: u16) -> Self {
        Self { action: Action::Errno, code }
    }

    pub(super) fn kind(self) -> Action {
        self.action
    }

    /// The name of the action, `SCMP_ACT_…`.
    pub fn action(self) -> &'static str {
        self.action.name()
    }

    /// The error number or, for a tracer, the message.
    pub fn code(self) -> u16 {
        self.code
    }

    /// Whether the call is or may be executed: a supervisor can allow it
    /// (`NOTIFY`), but a container has no tracer that could (`TRACE`).
    pub fn lets_through(self) -> bool {
        self.action.lets_through() || self.action == Action::Notify
    }

    /// Whether the call is denied unless a supervisor or tracer allows it.
    pub fn stops(self) -> bool {
        !self.action.lets_through()
    }

    /// Whether libseccomp rejects the action (`sys_chk_seccomp_action`).
    pub(super) fn is_refused(self) -> bool {
        self.action == Action::Errno && u64::from(self.code) > Action::LARGEST_ERRNO
    }
}
