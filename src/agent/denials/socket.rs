//! The kernel's multicast group for readers of audit records (K6).

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind,
        netlink::{AUDIT, SocketAddrNetlink},
        recvfrom, socket_with,
        sockopt::{Timeout, set_socket_recv_buffer_size, set_socket_timeout},
    },
};

/// `AUDIT_NLGRP_READLOG`, as a bit.
const READLOG: u32 = 1;

/// In bytes, for the records of a burst. The kernel gives less where `net.core.rmem_max` says so.
const ROOM: usize = 8 << 20;

/// For how long a call waits for a record.
const WAIT: Duration = Duration::from_secs(1);

/// A socket that receives all audit records of the machine.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

/// What was received.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received<'a> {
    Message(&'a [u8]),
    /// Nothing yet.
    Nothing,
    /// There were more records than the socket had room for.
    Lost,
}

impl Socket {
    pub(super) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(AUDIT))?;
        set_socket_recv_buffer_size(&socket, ROOM)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(WAIT))?;
        bind(&socket, &SocketAddrNetlink::new(0, READLOG))?;
        Ok(Self(socket))
    }

    pub(super) fn receive<'a>(
        &self,
        buffer: &'a mut [u8],
        may_wait: bool,
    ) -> io::Result<Received<'a>> {
        let flags = if may_wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
        let (length, _, from) = match recvfrom(&self.0, &mut *buffer, flags) {
            Ok(it) => it,
            Err(Errno::NOBUFS) => return Ok(Received::Lost),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
            Err(error) => return Err(error.into()),
        };
        // A process with CAP_NET_ADMIN may send to this socket; the kernel's port is 0.
        let sender = from.and_then(|it| SocketAddrNetlink::try_from(it).ok());
        let is_the_kernel = sender.is_some_and(|it| it.pid() == 0);
        Ok(if is_the_kernel { Received::Message(&buffer[..length]) } else { Received::Nothing })
    }
}
