//! Answers the calls of a command until it ends.

use std::{
    io::{self, IoSliceMut, Read},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    panic, thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};

use crate::{Answer, Call, Command, End, Instruction, child, kernel};

/// A call that waits for its answer.
pub struct Waiting<'a> {
    pub call: Call,
    id: u64,
    listener: BorrowedFd<'a>,
}

impl Waiting<'_> {
    /// Whether it still waits: then what was read about its process is about the one that made it.
    pub fn is_waiting(&self) -> bool {
        kernel::is_waiting(self.listener, self.id)
    }
}

pub(crate) fn run(
    command: &Command,
    filter: &[Instruction],
    answer: impl FnMut(&Waiting<'_>) -> Answer + Send,
) -> io::Result<End> {
    let (ours, theirs) = UnixStream::pair()?;
    let (until_end, end) = UnixStream::pair()?;
    let asks = child::asks(filter);
    thread::scope(|scope| {
        // It answers before `start` returns: that waits for `execve`, which may ask.
        let supervisor =
            scope.spawn(move || if asks { serve(&ours, &end, answer) } else { Ok(failure(ours)) });
        let child = child::start(command, filter, theirs.into());
        let status = child.and_then(|mut child| {
            kernel::ignore_interrupts();
            child.wait()
        });
        drop(until_end);
        let served = supervisor.join().unwrap_or_else(|it| panic::resume_unwind(it));
        let status = status?;
        Ok(served?.map_or(End::Exited(status), End::NotExecuted))
    })
}

/// Returns the error with which `execve` failed.
fn serve(
    child: &UnixStream,
    end: &UnixStream,
    mut answer: impl FnMut(&Waiting<'_>) -> Answer,
) -> io::Result<Option<io::Error>> {
    let Some(listener) = descriptor(child)? else {
        return Ok(None);
    };
    let (mut starts, mut error) = (true, None);
    loop {
        let [calls, ended, said] = {
            let wait = |it| PollFd::from_borrowed_fd(it, PollFlags::IN);
            let mut all = vec![wait(listener.as_fd()), wait(end.as_fd())];
            all.extend(starts.then(|| wait(child.as_fd())));
            match poll(&mut all, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            [0, 1, 2].map(|it| all.get(it).map_or(PollFlags::empty(), PollFd::revents))
        };
        if calls.contains(PollFlags::IN) {
            respond(listener.as_fd(), &mut answer)?;
        }
        if !said.is_empty() {
            // The socket is closed when the command starts.
            starts = false;
            error = failure(child);
        }
        if !ended.is_empty() || !calls.contains(PollFlags::IN) && !calls.is_empty() {
            return Ok(error);
        }
    }
}

/// The error with which `execve` failed; `None` once the command has started.
fn failure(mut child: impl Read) -> Option<io::Error> {
    let mut bytes = [0; 4];
    let read = child.read_exact(&mut bytes);
    read.ok().map(|()| io::Error::from_raw_os_error(i32::from_ne_bytes(bytes)))
}

fn respond(
    listener: BorrowedFd<'_>,
    answer: &mut impl FnMut(&Waiting<'_>) -> Answer,
) -> io::Result<()> {
    let Some(asked) = kernel::receive(listener)? else {
        return Ok(());
    };
    let call = Call {
        process: asked.pid,
        number: asked.data.nr.cast_unsigned(),
        architecture: asked.data.arch,
        arguments: asked.data.args,
    };
    let answer = answer(&Waiting { call, id: asked.id, listener });
    kernel::respond(listener, asked.id, answer)
}

/// The descriptor that the child sends; `None` if it ends before.
fn descriptor(child: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    recvmsg(child, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let sent = control.drain().find_map(|it| match it {
        RecvAncillaryMessage::ScmRights(mut all) => all.next(),
        _ => None,
    });
    Ok(sent)
}
