//! What the child does before it becomes the command.

use std::{
    ffi::CString,
    fs,
    io::{self, Read},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    path::PathBuf,
    process,
};

use crate::{
    Command, Instruction,
    kernel::{self, Key, List},
    text,
};

/// The most instructions of a filter (`BPF_MAXINSNS`).
const MOST: usize = 4096;

/// Starts the command. The listener of its filter, if it asks, is sent through `socket` and, if the
/// command cannot be executed, the number of the error.
pub(crate) fn start(
    command: &Command,
    filter: &[Instruction],
    socket: OwnedFd,
) -> io::Result<process::Child> {
    let key = Key::random()?;
    let asks = asks(filter);
    let prelude = if asks { passing(key).to_vec() } else { Vec::new() };
    let filter = [prelude.as_slice(), filter].concat();
    if filter.len() > MOST {
        return Err(io::Error::other("the filter is too long"));
    }
    let file = CString::new(command.file.as_os_str().as_bytes())?;
    let arguments = command.arguments.iter().cloned().map(text).collect::<Result<_, _>>()?;
    let (arguments, environment) = (List::of(arguments), List::of(command.environment()?));
    let mut child = process::Command::new(&command.file);
    // From here on nothing may be allocated: another thread may have held the lock of the allocator
    // when this process was forked.
    kernel::before_exec(&mut child, move || {
        kernel::give_up_privileges()?;
        let listener = kernel::load(&filter, asks)?;
        let socket = socket.as_raw_fd();
        if let Some(listener) = listener
            && let Err(error) = kernel::send(socket, listener, key)
        {
            kernel::give_up(socket, &error, key);
        }
        // Not left to the standard library: it would report an error by calls that the filter may deny.
        let error = kernel::execute(&file, &arguments, &environment);
        kernel::give_up(socket, &error, key)
    });
    child.spawn()
}

/// Whether a filter asks this process about some calls. If not, it needs no listener.
pub(crate) fn asks(filter: &[Instruction]) -> bool {
    const ASK: u32 = 0x7fc0_0000;
    filter.iter().any(|it| it.code == RETURN && it.k == ASK)
}

const LOAD: u16 = 0x20;
const IS_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;

/// Lets every call pass whose last argument is the key, so that the child can send the listener
/// whatever the filter denies.
fn passing(Key { words: [first, second] }: Key) -> [Instruction; 5] {
    /// Of argument 5 in `struct seccomp_data`.
    const OFFSET: u32 = 56;
    [
        plain(LOAD, OFFSET),
        Instruction { code: IS_EQUAL, jt: 0, jf: 3, k: first },
        plain(LOAD, OFFSET + 4),
        Instruction { code: IS_EQUAL, jt: 0, jf: 1, k: second },
        plain(RETURN, ALLOW),
    ]
}

fn plain(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

/// Makes a call in a child whose filter lets it pass and has it logged; returns the ID of the child,
/// which has ended by then. The child has the name of this thread.
///
/// The call is an `execve` that fails, as the file is not there. This process stays without a filter.
///
/// # Errors
/// The kernel refuses the filter, or the process.
pub fn log_a_call() -> io::Result<u32> {
    const LOG: u32 = 0x7ffc_0000;
    let call = u32::try_from(libc::SYS_execve).map_err(io::Error::other)?;
    let filter = [
        // The number of the call in `struct seccomp_data`.
        plain(LOAD, 0),
        Instruction { code: IS_EQUAL, jt: 0, jf: 1, k: call },
        plain(RETURN, LOG),
        plain(RETURN, ALLOW),
    ];
    let file = PathBuf::from("/dev/null/nothing");
    let command = Command { arguments: vec![file.clone().into()], file, environment: Vec::new() };
    let (_ours, theirs) = UnixStream::pair()?;
    let mut child = start(&command, &filter, theirs.into())?;
    child.wait()?;
    Ok(child.id())
}

impl Key {
    fn random() -> io::Result<Self> {
        let mut words = [[0; 4]; 2];
        fs::File::open("/dev/urandom")?.read_exact(words.as_flattened_mut())?;
        Ok(Self { words: words.map(u32::from_ne_bytes) })
    }
}
