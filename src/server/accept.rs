//! Takes connections from a listener, whatever happens to it.

use std::{future::poll_fn, io, net::SocketAddr, pin::pin, task::Poll, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    select,
    task::{JoinSet, yield_now},
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
        // The runtime looks for what has come in when a task gives way.
        yield_now().await;
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

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, future::pending, net, sync::Arc};

    use rstest::rstest;
    use tokio::time::Instant;

    use super::*;

    /// What the kernel says when a table of files is full (`EMFILE`, `ENFILE`).
    const TOO_MANY_FILES: [i32; 2] = [24, 23];

    /// How long it takes to get a connection after these errors.
    async fn time_after(errors: Vec<io::Error>) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let _client = TcpStream::connect(address).await.expect("the kernel takes it");
        let errors = RefCell::new(errors.into_iter());
        let start = Instant::now();
        next(|| async {
            let error = errors.borrow_mut().next();
            match error {
                Some(error) => Err(error),
                None => listener.accept().await,
            }
        })
        .await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_while_there_are_too_many_files() {
        let errors = TOO_MANY_FILES.map(io::Error::from_raw_os_error).into();
        assert!(time_after(errors).await >= PAUSE * 2);
    }

    #[tokio::test]
    async fn who_waits_comes_along_when_the_listener_closes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let intake = Intake::new(listener, 8, Arc::new(|_| {}), |_| pending());
        // Blocking calls: nothing is accepted meanwhile.
        let _waiting = [(); 3].map(|()| net::TcpStream::connect(address).unwrap());
        assert_eq!(intake.close().await.len(), 3);
    }

    #[rstest]
    #[case(io::ErrorKind::ConnectionAborted)]
    #[case(io::ErrorKind::ConnectionReset)]
    #[tokio::test(start_paused = true)]
    async fn it_goes_on_at_once_when_a_client_has_gone(#[case] kind: io::ErrorKind) {
        assert!(time_after(vec![kind.into(), kind.into()]).await < PAUSE);
    }
}
