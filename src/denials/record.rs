//! The kernel's record of a call that a filter decided (K5).

/// The header of a netlink message (`struct nlmsghdr`).
const HEADER: usize = 16;

/// `AUDIT_SECCOMP`
const SECCOMP: u16 = 1326;

/// A message of the audit multicast group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Call(Record),
    /// A record of another kind.
    Other,
    /// A record of this kind that cannot be read.
    Malformed,
}

/// A call that a filter denied, or let pass by `SCMP_ACT_LOG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// In seconds since 1970.
    pub at: i64,
    pub process: u32,
    /// The name of the thread, which may give itself any.
    pub command: Vec<u8>,
    /// `AUDIT_ARCH_…`
    pub architecture: u32,
    pub call: u32,
    /// `SECCOMP_RET_…`
    pub action: u32,
}

impl Message {
    /// Reads what was received at once: one message. The length in its header is left unread, since
    /// the kernel writes it with the header's own and without.
    pub fn read(bytes: &[u8]) -> Self {
        let Some((header, text)) = bytes.split_at_checked(HEADER) else { return Self::Malformed };
        if u16::from_ne_bytes([header[4], header[5]]) != SECCOMP {
            return Self::Other;
        }
        Record::read(&String::from_utf8_lossy(text)).map_or(Self::Malformed, Self::Call)
    }
}

impl Record {
    fn read(text: &str) -> Option<Self> {
        let at = text.strip_prefix("audit(")?.split_once('.')?.0.parse().ok()?;
        // The label of a security module may precede it, and have spaces. From here on there are none
        // but between fields: the kernel writes a text that has one, or a quote, in hexadecimal.
        let (_, fields) = text.rsplit_once(" pid=")?;
        let (process, fields) = fields.split_once(' ')?;
        let value = |key: &str| {
            let mut fields = fields.trim_end_matches(['\0', '\n']).split(' ');
            fields.find_map(|it| it.strip_prefix(key)?.strip_prefix('='))
        };
        let hex = |it: &str| u32::from_str_radix(it, 16).ok();
        Some(Self {
            at,
            process: process.parse().ok()?,
            command: command(value("comm")?)?,
            architecture: hex(value("arch")?)?,
            call: number(value("syscall")?)?,
            action: hex(value("code")?.strip_prefix("0x")?)?,
        })
    }
}

/// The kernel has the number of a call as an `int`, and writes a `long`.
fn number(text: &str) -> Option<u32> {
    let number: i64 = text.parse().ok()?;
    u32::try_from(number).ok().or_else(|| i32::try_from(number).ok().map(i32::cast_unsigned))
}

/// A text as `audit_log_untrustedstring` writes it.
fn command(text: &str) -> Option<Vec<u8>> {
    if let Some(it) = text.strip_prefix('"') {
        return it.strip_suffix('"').map(|it| it.as_bytes().to_vec());
    }
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|it| u8::from_str_radix(str::from_utf8(it).ok().filter(|it| it.len() == 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn message(kind: u16, text: &str) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes.extend(text.as_bytes());
        bytes
    }

    const SEEN: &str = "audit(1795835833.129:61182): auid=4294967295 uid=0 gid=0 ses=4294967295 pid=20480 \
        comm=\"python3\" exe=\"/usr/bin/python3.11\" sig=0 arch=c000003e syscall=83 compat=0 \
        ip=0x7fc5e1f15f37 code=0x50000";

    fn record(command: &[u8], call: u32, action: u32) -> Record {
        let command = command.to_vec();
        let (at, process, architecture) = (1_795_835_833, 20480, 0xc000_003e);
        Record { at, process, command, architecture, call, action }
    }

    // Each was seen on Linux 6.18, or differs from such a record as the kernel's source says.
    #[rstest]
    #[case::an_error("", "", record(b"python3", 83, 0x5_0000))]
    #[case::a_name_with_a_quote("\"python3\"", "6120622263", record(b"a b\"c", 83, 0x5_0000))]
    #[case::a_name_that_is_empty("\"python3\"", "\"\"", record(b"", 83, 0x5_0000))]
    #[case::killed("code=0x50000", "code=0x80000000", record(b"python3", 83, 0x8000_0000))]
    #[case::a_thread_killed("code=0x50000", "code=0x0", record(b"python3", 83, 0))]
    #[case::logged("code=0x50000", "code=0x7ffc0000", record(b"python3", 83, 0x7ffc_0000))]
    #[case::of_x32("=83 ", "=1073741907 ", record(b"python3", 0x4000_0053, 0x5_0000))]
    #[case::no_call_at_all("=83 ", "=-1 ", record(b"python3", 0xffff_ffff, 0x5_0000))]
    #[case::of_no_file("\"/usr/bin/python3.11\"", "(null)", record(b"python3", 83, 0x5_0000))]
    #[case::under_apparmor(
        "ses=4294967295",
        "ses=4294967295 subj=cri-containerd.apparmor.d (enforce)",
        record(b"python3", 83, 0x5_0000)
    )]
    #[case::a_label_that_looks_like_the_record(
        "ses=4294967295",
        "ses=4294967295 subj=a pid=1 comm=\"b\" arch=1 syscall=1 code=0x0",
        record(b"python3", 83, 0x5_0000)
    )]
    #[case::a_name_that_looks_like_a_field(
        "\"python3\"",
        "\"syscall=1\"",
        record(b"syscall=1", 83, 0x5_0000)
    )]
    #[case::with_the_end_of_a_text("=0x50000", "=0x50000\0", record(b"python3", 83, 0x5_0000))]
    fn a_record_of_the_kernel_is_read(
        #[case] from: &str,
        #[case] to: &str,
        #[case] expected: Record,
    ) {
        let text = SEEN.replacen(from, to, 1);
        assert!(from.is_empty() || text != SEEN, "{from:?} is not in the record");
        assert_eq!(Message::read(&message(1326, &text)), Message::Call(expected));
    }

    #[rstest]
    #[case::nothing("")]
    #[case::half(
        "audit(1795835833.129:61182): auid=4294967295 uid=0 gid=0 ses=1 pid=20480 comm=\"py"
    )]
    #[case::without_a_time("auid=0 pid=1 comm=\"a\" arch=c000003e syscall=83 code=0x50000")]
    #[case::a_process_too_large(
        "audit(1.0:1): pid=4294967296 comm=\"a\" arch=c000003e syscall=83 code=0x50000"
    )]
    #[case::an_odd_name("audit(1.0:1): pid=1 comm=612 arch=c000003e syscall=83 code=0x50000")]
    #[case::a_name_of_other_letters(
        "audit(1.0:1): pid=1 comm=zz arch=c000003e syscall=83 code=0x50000"
    )]
    #[case::a_name_that_does_not_end(
        "audit(1.0:1): pid=1 comm=\" arch=c000003e syscall=83 code=0x50000"
    )]
    #[case::no_architecture("audit(1.0:1): pid=1 comm=\"a\" syscall=83 code=0x50000")]
    #[case::a_call_too_large(
        "audit(1.0:1): pid=1 comm=\"a\" arch=c000003e syscall=4294967296 code=0x50000"
    )]
    #[case::a_code_in_decimal(
        "audit(1.0:1): pid=1 comm=\"a\" arch=c000003e syscall=83 code=327680"
    )]
    fn a_record_that_is_no_such_text_is_malformed(#[case] text: &str) {
        assert_eq!(Message::read(&message(1326, text)), Message::Malformed);
    }

    #[test]
    fn records_of_other_kinds_are_told_apart() {
        assert_eq!(Message::read(&message(1300, SEEN)), Message::Other);
        assert_eq!(Message::read(&[0; 15]), Message::Malformed);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_something(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let text = String::from_utf8_lossy(&bytes);
            Message::read(&bytes);
            Message::read(&message(1326, &text));
        }

        #[test]
        fn a_damaged_record_is_read_as_something(at in 0..SEEN.len(), with in "\\PC{0,3}") {
            let mut text = SEEN.to_owned();
            text.replace_range(at..=at, &with);
            Message::read(&message(1326, &text));
        }
    }
}
