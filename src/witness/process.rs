//! What `/proc/PID/status` says about seccomp.

/// How the kernel restricts the calls of a process (K1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not at all.
    None,
    /// To read, write and exit: the mode before there were filters.
    Strict,
    Filter,
}

/// A process that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub mode: Mode,
    /// Whether neither set-user-ID programs nor file capabilities give it more rights.
    pub no_new_privs: bool,
}

impl Process {
    /// Reads the text of `/proc/PID/status`; `None` if the process has ended, or the kernel does not
    /// say.
    pub fn read(status: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = status.lines();
            lines.find_map(|it| it.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
        };
        // The first thread of a process may have ended while others run.
        let has_ended = value("State").is_none_or(|it| it.starts_with(['Z', 'X']));
        if has_ended && value("Threads").is_none_or(|it| matches!(it, "0" | "1")) {
            return None;
        }
        let mode = match value("Seccomp")? {
            "0" => Mode::None,
            "1" => Mode::Strict,
            "2" => Mode::Filter,
            _ => return None,
        };
        Some(Self { mode, no_new_privs: value("NoNewPrivs") == Some("1") })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// As Linux 6.18 writes it.
    fn status(state: &str, no_new_privs: &str, seccomp: &str) -> String {
        format!(
            "Name:\tnginx\nUmask:\t0022\nState:\t{state}\nTgid:\t4711\nNgid:\t0\nPid:\t4711\n\
             PPid:\t4690\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\n\
             NStgid:\t4711\t1\nThreads:\t1\nSigQ:\t0/95921\nCapBnd:\t00000000a80425fb\n\
             CapAmb:\t0000000000000000\nNoNewPrivs:\t{no_new_privs}\nSeccomp:\t{seccomp}\n\
             Seccomp_filters:\t1\nSpeculation_Store_Bypass:\tthread vulnerable\n"
        )
    }

    #[rstest]
    #[case::filter("2", "0", Mode::Filter, false)]
    #[case::without_new_privileges("2", "1", Mode::Filter, true)]
    #[case::none("0", "0", Mode::None, false)]
    #[case::strict("1", "1", Mode::Strict, true)]
    fn a_process_is_read(
        #[case] seccomp: &str,
        #[case] no_new_privs: &str,
        #[case] mode: Mode,
        #[case] is_bound: bool,
    ) {
        let found = Process::read(&status("S (sleeping)", no_new_privs, seccomp));
        assert_eq!(found, Some(Process { mode, no_new_privs: is_bound }));
    }

    /// A program can end its first thread to look like a zombie.
    #[test]
    fn a_process_whose_first_thread_has_ended_is_read() {
        let text = status("Z (zombie)", "0", "0").replace("Threads:\t1", "Threads:\t2");
        let found = Process::read(&text);
        assert_eq!(found, Some(Process { mode: Mode::None, no_new_privs: false }));
    }

    #[rstest]
    #[case::a_zombie(&status("Z (zombie)", "0", "0"))]
    #[case::a_dead_one(&status("X (dead)", "0", "0"))]
    #[case::a_mode_to_come(&status("S (sleeping)", "0", "3"))]
    #[case::a_kernel_without_seccomp("State:\tS (sleeping)\nNoNewPrivs:\t0\n")]
    #[case::nothing("")]
    fn what_is_not_known_is_not_guessed(#[case] text: &str) {
        assert_eq!(Process::read(text), None);
    }
}
