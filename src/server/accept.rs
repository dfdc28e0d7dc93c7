//! Accepts connections from a listener, and survives its errors.

use std::{future::poll_fn, io, net::SocketAddr, pin::pin, sync::Arc, task::Poll, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    select,
    task::{JoinSet, yield_now},
    time::{sleep, timeout},
};

use super::{
    Event, Observer,
    connection_state::ConnectionState,
    connections::{AskedToClose, Connections},
    peer::Peer,
};

/// How long to wait when no connection can be accepted: long enough not to spin, and too short for
/// the API server to notice.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for a connection that was asked to close before another one is asked: a request
/// may arrive on it first, and then it stays open.
const GOING: Duration = Duration::from_millis(10);

/// A listener and its connections. Dropping it closes all of them.
pub(super) struct Intake<O> {
    listener: TcpListener,
    most: usize,
    connections: Arc<Connections>,
    observer: Observer,
    open: O,
    tasks: JoinSet<()>,
}

impl<O, C> Intake<O>
where
    O: Fn(TcpStream, Arc<ConnectionState>) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    /// `open` returns the future that serves a connection.
    pub(super) fn new(
        listener: TcpListener,
        most: usize,
        connections: Arc<Connections>,
        observer: Observer,
        open: O,
    ) -> Self {
        Self { listener, most, connections, observer, open, tasks: JoinSet::new() }
    }

    /// Accepts until the future is done.
    pub(super) async fn accept_until<T>(&mut self, until: impl Future<Output = T>) -> T {
        let mut until = pin!(until);
        loop {
            let (stream, address) = select! {
                biased;
                done = &mut until => return done,
                accepted = self.next(|| self.listener.accept()) => accepted,
            };
            self.admit(stream, address).await;
        }
    }

    /// Closes the listener and returns the tasks of the connections that are still open.
    ///
    /// Accepts the connections in the kernel's queue first: closing the listener would reset them.
    pub(super) async fn close(mut self) -> JoinSet<()> {
        // The runtime polls for new connections when a task yields.
        yield_now().await;
        while let Poll::Ready(Ok((stream, address))) =
            poll_fn(|context| Poll::Ready(self.listener.poll_accept(context))).await
        {
            self.admit(stream, address).await;
        }
        self.tasks
    }

    async fn admit(&mut self, stream: TcpStream, address: SocketAddr) {
        while self.tasks.try_join_next().is_some() {}
        while self.connections.len() >= self.most {
            if !self.make_room().await {
                (self.observer)(Event::Refused);
                return;
            }
        }
        // Without it the kernel delays small answers; a socket on which this fails is about to fail
        // anyway.
        let _ = stream.set_nodelay(true);
        let state = Arc::new(ConnectionState::new(Peer::of(address.ip())));
        let entry = self.connections.add(Arc::clone(&state));
        let open = Open::new(&self.observer);
        let serving = (self.open)(stream, state);
        self.tasks.spawn(async move {
            serving.await;
            drop(open);
            drop(entry);
        });
    }

    /// Waits until a connection has closed to make room; `false` if none can be closed.
    async fn make_room(&self) -> bool {
        let closed = self.connections.closed.notified();
        let Some(AskedToClose(asked)) = self.connections.make_room() else {
            return false;
        };
        (0..asked).for_each(|_| (self.observer)(Event::Replaced));
        let _ = timeout(GOING, closed).await;
        true
    }

    /// The next connection. Errors are temporary or caused by the client, so none ends the loop.
    async fn next<F>(&self, mut accept: impl FnMut() -> F) -> (TcpStream, SocketAddr)
    where
        F: Future<Output = io::Result<(TcpStream, SocketAddr)>>,
    {
        let mut is_failing = false;
        loop {
            match accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    if !is_failing {
                        tracing::error!(%error, "cannot accept connections, retrying");
                    }
                    is_failing = true;
                    // Most likely the process has too many open files, some of which are
                    // connections.
                    if !self.make_room().await {
                        sleep(PAUSE).await;
                    }
                }
            }
        }
    }
}

/// Whether accepting failed because the client has closed the connection meanwhile.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Reports that a connection was opened and, on drop, that it was closed.
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
    use std::{cell::RefCell, future, net};

    use rstest::rstest;
    use tokio::time::Instant;

    use super::*;

    /// The errors for a full table of files (`EMFILE`, `ENFILE`).
    const TOO_MANY_FILES: [i32; 2] = [24, 23];

    fn intake(
        listener: TcpListener,
        most: usize,
    ) -> Intake<impl Fn(TcpStream, Arc<ConnectionState>) -> future::Pending<()>> {
        let open = |stream: TcpStream, _| {
            drop(stream);
            future::pending()
        };
        Intake::new(listener, most, Arc::default(), Arc::new(|_| {}), open)
    }

    /// How long it takes to accept a connection after these errors.
    async fn time_after(errors: Vec<io::Error>) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let _client = TcpStream::connect(address).await.expect("the kernel takes it");
        let errors = RefCell::new(errors.into_iter());
        let intake = intake(listener, 8);
        let start = Instant::now();
        let accept = || async {
            let error = errors.borrow_mut().next();
            match error {
                Some(error) => Err(error),
                None => intake.listener.accept().await,
            }
        };
        intake.next(accept).await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_while_there_are_too_many_files() {
        let errors = TOO_MANY_FILES.map(io::Error::from_raw_os_error).into();
        assert!(time_after(errors).await >= PAUSE * 2);
    }

    #[tokio::test]
    async fn connections_in_the_accept_queue_are_taken_when_the_listener_closes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let intake = intake(listener, 8);
        // These calls block, so nothing is accepted meanwhile.
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
