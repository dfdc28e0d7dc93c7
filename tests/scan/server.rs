//! An API server with the answers of a test.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use tempfile::NamedTempFile;

/// The answer to a path: a whole body, or the beginning of one that never ends.
type Answer = dyn Fn(&str) -> String + Send + Sync;

pub(crate) struct Server {
    kubeconfig: NamedTempFile,
    asked: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Server {
    /// Answers lists by these texts. One that is no whole document is followed by silence.
    pub(crate) fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::serve(200, Arc::new(answer))
    }

    /// Answers everything by this status.
    pub(crate) fn refusing(code: u16) -> Self {
        Self::serve(code, Arc::new(|_| String::new()))
    }

    fn serve(code: u16, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it has one");
        let kubeconfig = NamedTempFile::new().expect("a file");
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: own\n\
             clusters: [{{name: own, cluster: {{server: \"http://{address}\"}}}}]\n\
             users: [{{name: own, user: {{}}}}]\n\
             contexts: [{{name: own, context: {{cluster: own, user: own}}}}]\n"
        );
        std::fs::write(&kubeconfig, config).expect("it is written");
        let asked = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || converse(&stream, code, &*answer, &log));
            }
        });
        Self { kubeconfig, asked }
    }

    /// Waits until the beginning of the answer to that path is sent.
    pub(crate) fn await_request(&self, path: &str) {
        let (asked, changed) = &*self.asked;
        let mut asked = asked.lock().expect("no thread panics");
        while !asked.iter().any(|it| it == path) {
            asked = changed.wait(asked).expect("no thread panics");
        }
    }
}

fn converse(
    stream: &TcpStream,
    code: u16,
    answer: &Answer,
    (asked, changed): &(Mutex<Vec<String>>, Condvar),
) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(first)) = lines.next() {
        let uri = first.split(' ').nth(1).unwrap_or_default();
        let path = uri.split('?').next().unwrap_or_default();
        while lines.next().is_some_and(|it| it.is_ok_and(|it| !it.is_empty())) {}
        let body = answer(path);
        let is_whole = body.is_empty() || body.ends_with("]}");
        let length = if is_whole { body.len() } else { body.len() + 1 };
        let head = format!("HTTP/1.1 {code} -\r\ncontent-length: {length}\r\n\r\n");
        let mut stream = stream;
        if stream.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
        asked.lock().expect("no thread panics").push(path.to_owned());
        changed.notify_all();
    }
}

/// `callgate scan` of this server.
pub(crate) fn command(server: &Server) -> Command {
    callgate("scan", server)
}

/// A command of callgate on this server.
pub(crate) fn callgate(name: &str, server: &Server) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.arg(name).arg("--kubeconfig").arg(server.kubeconfig.path()).env_clear();
    command
}
