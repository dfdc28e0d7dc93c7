//! Takes connections from a listener, whatever happens to it.

use std::{future::poll_fn, io, net::SocketAddr, pin::pin, task::Poll, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    select,
    task::JoinSet,
    time::sleep,
};

use super::{Event, Observer};

/// How long to wait when no connection can be accepted: long enough not to
/// spin, short enough for the API server not to notice.
const PAUSE: Duration = Duration::from_millis(100);

/// A listener and the connections that came from it.
///
/// Dropping it cuts them all.
pub(super) struct Intake<O> {
    listener: TcpListener,
    most: usize,
    observer: Observer,
    open: O,
    connections: JoinSet<()>,
}

impl<O, C> Intake<O>
where
    O: Fn(TcpStream) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    /// `open` makes of every connection what serves it.
    pub(super) fn new(listener: TcpListener, most: usize, observer: Observer, open: O) -> Self {
        Self { listener, most, observer, open, connections: JoinSet::new() }
    }

    /// Accepts until the future is done.
    pub(super) async fn accept_until<T>(&mut self, until: impl Future<Output = T>) -> T {
        let mut until = pin!(until);
        loop {
            let stream = select! {
                biased;
                done = &mut until => return done,
                stream = next(|| self.listener.accept()) => stream,
            };
            self.admit(stream);
        }
    }

    /// Closes the listener and returns the connections that are still open.
    ///
    /// Those that wait to be accepted come along: the kernel would reset them.
    pub(super) async fn close(mut self) -> JoinSet<()> {
        while let Poll::Ready(Ok((stream, _))) =
            poll_fn(|context| Poll::Ready(self.listener.poll_accept(context))).await
        {
            self.admit(stream);
        }
        self.connections
    }

    fn admit(&mut self, stream: TcpStream) {
        while self.connections.try_join_next().is_some() {}
        if self.connections.len() >= self.most {
            (self.observer)(Event::Refused);
            return;
        }
        // Without it the kernel holds small answers back; a socket that
        // refuses is about to fail anyway.
        let _ = stream.set_nodelay(true);
        let open = Open::new(&self.observer);
        let connection = (self.open)(stream);
        self.connections.spawn(async move {
            let _open = open;
            connection.await;
        });
    }
}

/// The next connection. An error is the client's, or passes: none ends the loop.
async fn next<F>(mut accept: impl FnMut() -> F) -> TcpStream
where
    F: Future<Output = io::Result<(TcpStream, SocketAddr)>>,
{
    let mut is_failing = false;
    loop {
        match accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                if !is_failing {
                    tracing::error!(%error, "cannot accept connections, trying on");
                }
                is_failing = true;
                sleep(PAUSE).await;
            }
        }
    }
}

/// Accepting reports what happened to a connection that waited: it has gone.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Tells of a connection while it lives, whichever way it ends.
struct Open(Observer);

impl Open {
    fn new(observer: &Observer) -> Self {
        observer(Event::Opened);
        Self(observer.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        (self.0)(Event::Closed);
    }
}
