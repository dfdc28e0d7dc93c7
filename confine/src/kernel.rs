//! The system calls for which there is no safe function.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString, c_char, c_int, c_long, c_ulong, c_void},
    io,
    os::{
        fd::{AsRawFd, BorrowedFd, RawFd},
        unix::process::CommandExt,
    },
    process, ptr,
};

use crate::Answer;

/// An argument that a call does not have.
const NONE: u64 = 0;

/// An instruction of classic BPF, `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// A number that the filter knows: it lets every call pass whose last argument it is.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    /// As they are in memory.
    pub(crate) words: [u32; 2],
}

impl Key {
    fn value(self) -> u64 {
        let [first, second] = self.words.map(u64::from);
        if cfg!(target_endian = "little") { second << 32 | first } else { first << 32 | second }
    }
}

/// Has `prepare` called in the child between `fork` and `exec`.
pub(crate) fn before_exec(
    command: &mut process::Command,
    prepare: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    // SAFETY: the only caller, in child.rs, makes system calls alone there, with memory that was
    // allocated before the fork.
    unsafe { command.pre_exec(prepare) };
}

/// `PR_SET_NO_NEW_PRIVS`, and `SIGKILL` when the parent ends.
pub(crate) fn give_up_privileges() -> io::Result<()> {
    const ONE: c_ulong = 1;
    const NOTHING: c_ulong = 0;
    // SAFETY: takes numbers alone.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, ONE, NOTHING, NOTHING, NOTHING) };
    check(result.into())?;
    // SAFETY: takes numbers alone.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong) };
    check(result.into()).map(|_| ())
}

/// Loads the filter for this thread; returns its listener, if it has one. A child inherits that, and no
/// program.
pub(crate) fn load(filter: &[Instruction], asks: bool) -> io::Result<Option<RawFd>> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    let load = |flags: libc::c_ulong| {
        // SAFETY: the kernel reads `program` and as many instructions as it says.
        check(unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                ptr::from_ref(&program),
            )
        })
    };
    if !asks {
        return load(0).map(|_| None);
    }
    let listen = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // Linux 5.19 and later: signals do not interrupt a call while it is answered.
    let listener =
        load(listen | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV).or_else(|_| load(listen))?;
    RawFd::try_from(listener).map(Some).map_err(|_| io::ErrorKind::Other.into())
}

/// Sends a descriptor.
pub(crate) fn send(socket: RawFd, descriptor: RawFd, key: Key) -> io::Result<()> {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        descriptor: RawFd,
        padding: u32,
    }
    let length = size_of::<libc::cmsghdr>() + size_of::<RawFd>();
    let mut byte = 0_u8;
    let mut part = libc::iovec { iov_base: ptr::from_mut(&mut byte).cast(), iov_len: 1 };
    // SAFETY: all zeroes are a value of it: numbers, and a null pointer.
    let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
    header.cmsg_len = length as _;
    header.cmsg_level = libc::SOL_SOCKET;
    header.cmsg_type = libc::SCM_RIGHTS;
    let mut control = Control { header, descriptor, padding: 0 };
    // SAFETY: as above.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = ptr::from_mut(&mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: the message, its part and its control data outlive the call.
    let result = unsafe {
        libc::syscall(libc::SYS_sendmsg, socket, &raw const message, NONE, NONE, NONE, key.value())
    };
    check(result).map(|_| ())
}

/// Texts as `execve` takes them.
pub(crate) struct List {
    /// To the texts, and null at the end.
    pointers: Vec<*const c_char>,
    _texts: Vec<CString>,
}

// SAFETY: the pointers lead to texts on the heap that nothing changes, and that live as long.
unsafe impl Send for List {}
// SAFETY: as above.
unsafe impl Sync for List {}

impl List {
    pub(crate) fn of(texts: Vec<CString>) -> Self {
        let pointers = texts.iter().map(|it| it.as_ptr()).chain([ptr::null()]).collect();
        Self { pointers, _texts: texts }
    }
}

/// `execve`; returns only if it fails.
pub(crate) fn execute(file: &CStr, arguments: &List, environment: &List) -> io::Error {
    // SAFETY: `List` ends with null, and its texts live as long as it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_execve,
            file.as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
            NONE,
            NONE,
            NONE,
        )
    };
    check(result).err().unwrap_or_else(|| io::ErrorKind::Other.into())
}

/// Writes an error number, and ends the process.
pub(crate) fn give_up(socket: RawFd, error: &io::Error, key: Key) -> ! {
    let bytes = error.raw_os_error().unwrap_or(libc::EIO).to_ne_bytes();
    // SAFETY: the kernel reads the four bytes.
    unsafe {
        libc::syscall(
            libc::SYS_write,
            socket,
            bytes.as_ptr(),
            bytes.len(),
            NONE,
            NONE,
            key.value(),
        );
    }
    loop {
        // SAFETY: does not return.
        unsafe { libc::syscall(libc::SYS_exit_group, 126, NONE, NONE, NONE, NONE, key.value()) };
    }
}

/// Waits for a call; `None` if its process has ended meanwhile.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> io::Result<Option<libc::seccomp_notif>> {
    // SAFETY: all zeroes are a value of it, and what the kernel requires.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    match ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, ptr::from_mut(&mut call).cast()) {
        Ok(()) => Ok(Some(call)),
        Err(error) if gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`
const CONTINUE: u32 = 1;

/// Answers a call, unless its process has ended.
pub(crate) fn respond(listener: BorrowedFd<'_>, call: u64, answer: Answer) -> io::Result<()> {
    let (error, flags) = match answer {
        Answer::Execute => (0, CONTINUE),
        Answer::Fail(error) => (-i32::from(error), 0),
    };
    let mut answer = libc::seccomp_notif_resp { id: call, val: 0, error, flags };
    match ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, ptr::from_mut(&mut answer).cast()) {
        Err(error) if !gone(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Whether the call still waits, so that its process is the one that made it.
pub(crate) fn is_waiting(listener: BorrowedFd<'_>, mut call: u64) -> bool {
    ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_ID_VALID, ptr::from_mut(&mut call).cast()).is_ok()
}

/// Ignores the interrupts that a terminal sends to all its processes.
pub(crate) fn ignore_interrupts() {
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// A process that was stopped to read from it, and goes on when this is dropped.
pub(crate) struct Stopped {
    process: libc::pid_t,
    /// A signal that it was about to get.
    signal: c_int,
}

impl Stopped {
    pub(crate) fn of(process: u32) -> io::Result<Self> {
        let process = libc::pid_t::try_from(process).map_err(|_| io::ErrorKind::InvalidInput)?;
        let nothing = ptr::null_mut::<c_void>;
        // SAFETY: takes numbers alone.
        check(unsafe { libc::ptrace(libc::PTRACE_SEIZE, process, nothing(), nothing()) })?;
        let mut stopped = Self { process, signal: 0 };
        // SAFETY: takes numbers alone.
        check(unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, process, nothing(), nothing()) })?;
        let mut status = 0;
        // SAFETY: the kernel writes the status.
        check(unsafe { libc::waitpid(process, &raw mut status, libc::__WALL) }.into())?;
        if !libc::WIFSTOPPED(status) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        if status >> 16 == 0 {
            stopped.signal = libc::WSTOPSIG(status);
        }
        Ok(stopped)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let nothing = ptr::null_mut::<c_void>();
        // SAFETY: takes numbers alone.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.process, nothing, self.signal) };
    }
}

/// `PTRACE_SECCOMP_GET_FILTER`
const GET_FILTER: libc::c_uint = 0x420c;

/// Reads the filter with this number, if `into` has room for it, and returns its length.
pub(crate) fn read_filter(
    Stopped { process, .. }: &Stopped,
    number: usize,
    into: &mut [Instruction],
) -> io::Result<usize> {
    let target = if into.is_empty() { ptr::null_mut() } else { into.as_mut_ptr() };
    // SAFETY: without a target nothing is written; a filter does not change, and the only caller has
    // asked for its length.
    let length = unsafe { libc::ptrace(GET_FILTER, *process, number, target) };
    usize::try_from(check(length)?).map_err(|_| io::ErrorKind::Other.into())
}

fn ioctl(listener: BorrowedFd<'_>, request: libc::Ioctl, argument: *mut c_void) -> io::Result<()> {
    loop {
        // SAFETY: `argument` is a value of the type that the request names.
        let result: c_int = unsafe { libc::ioctl(listener.as_raw_fd(), request, argument) };
        match check(result.into()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map(|_| ()),
        }
    }
}

pub(crate) fn gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOENT)
}

fn check(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
