//! A server in a separate process, and its CPU time and memory.

use std::{
    io::{BufRead, BufReader, Read, stderr},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    thread,
};

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::usage::Usage;

/// Stopped when it is dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    pub ca: CertificateDer<'static>,
}

/// Says where a server listens, as the log of `callgate serve` does.
pub fn announce(address: SocketAddr) {
    use std::io::Write;
    writeln!(stderr(), r#"{{"address":"{address}"}}"#).expect("somebody listens");
}

impl Process {
    /// Starts a server and waits until it says where it listens.
    pub fn start(command: &mut Command, directory: &Path) -> Self {
        let ca = directory.join("ca.crt");
        command.arg("--ca-out").arg(&ca).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let address = address(&mut log);
        // A container runtime reads the log too: it is neither thrown away by the
        // kernel nor left to fill the pipe.
        thread::spawn(move || drain(log));
        let ca = CertificateDer::from_pem_file(ca).expect("it has been written");
        Self { child, address, ca }
    }

    pub fn usage(&self) -> Usage {
        Usage(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(log: &mut BufReader<ChildStderr>) -> SocketAddr {
    let mut seen = String::new();
    loop {
        let start = seen.len();
        assert_ne!(log.read_line(&mut seen).expect("a log"), 0, "it does not serve:\n{seen}");
        let after = seen[start..].split_once(r#""address":""#);
        if let Some((address, _)) = after.and_then(|(_, it)| it.split_once('"')) {
            return address.parse().expect("an address");
        }
    }
}

fn drain(mut log: impl Read) {
    let mut buffer = vec![0; 64 * 1024];
    while log.read(&mut buffer).is_ok_and(|it| it > 0) {}
}
