//! The machine around the cluster of the suite: its processes and its network.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    net::{SocketAddr, TcpListener},
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use support::{
    e2e::cluster::{NETWORK_OUTSIDE, SHELL_OUTSIDE},
    wait::eventually,
};
use tokio::{io::copy_bidirectional, net::TcpStream};

/// A shell there, with files that both sides see.
pub(super) struct Around {
    folder: PathBuf,
    asked: AtomicUsize,
}

impl Around {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), asked: AtomicUsize::new(0) }
    }

    /// Runs a line, and returns what it prints.
    pub(super) async fn run(&self, line: &str) -> String {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("said-{number}"));
        let name = path.display();
        let line = format!("{{ {line}; }} >{name}.part 2>&1; mv {name}.part {name}\n");
        let shell = OpenOptions::new().write(true).open(descriptor(SHELL_OUTSIDE));
        shell.and_then(|mut it| it.write_all(line.as_bytes())).expect("the suite was given it");
        eventually("the shell answers", async || fs::read_to_string(&path).ok()).await
    }
}

fn descriptor(number: u8) -> String {
    format!("/proc/self/fd/{number}")
}

/// An address there that leads to one of the cluster, for as long as the runtime runs.
pub(super) fn relay(to: SocketAddr) -> SocketAddr {
    let listen = || {
        let network = File::open(descriptor(NETWORK_OUTSIDE)).expect("the suite was given it");
        // Only of this thread; the socket stays where it was made.
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
        TcpListener::bind("127.0.0.1:0")
    };
    let listener = thread::spawn(listen).join().expect("it does not panic").expect("root may");
    let address = listener.local_addr().expect("it is bound");
    listener.set_nonblocking(true).expect("a socket can be");
    let listener = tokio::net::TcpListener::from_std(listener).expect("the runtime runs");
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut to) = TcpStream::connect(to).await {
                    // Either side may end it at any moment.
                    let _ = copy_bidirectional(&mut from, &mut to).await;
                }
            });
        }
    });
    address
}
