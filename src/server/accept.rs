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
    crowd::{Crowd, Told},
    peer::Peer,
    pulse::Pulse,
};

/// How long to wait when no connection can be accepted: long enough not to
/// spin, short enough for the API server not to notice.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for a connection that was asked to close, before another one
/// is asked: its next request may have arrived first.
const GOING: Duration = Duration::from_millis(10);

/// A listener and its connections. Dropping it closes all of them.
pub(super) struct Intake<O> {
    listener: TcpListener,
    most: usize,
    crowd: Arc<Crowd>,
    observer: Observer,
    open: O,
    connections: JoinSet<()>,
}

impl<O, C> Intake<O>
where
    O: Fn(TcpStream, Arc<Pulse>) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    /// `open` returns the future that serves a connection.
    pub(super) fn new(
        listener: TcpListener,
        most: usize,
        crowd: Arc<Crowd>,
        observer: Observer,
        open: O,
    ) -> Self {
        Self { listener, most, crowd, observer, open, connections: JoinSet::new() }
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

    /// Closes the listener and returns the connections that are still open.
    ///
    /// Accepts those that wait in the kernel's queue first, which would reset them.
    pub(super) async fn close(mut self) -> JoinSet<()> {
        // The runtime looks for what has come in when a task gives way.
        yield_now().await;
        while let Poll::Ready(Ok((stream, address))) =
            poll_fn(|context| Poll::Ready(self.listener.poll_accept(context))).await
        {
            self.admit(stream, address).await;
        }
        self.connections
    }

    async fn admit(&mut self, stream: TcpStream, address: SocketAddr) {
        while self.connections.try_join_next().is_some() {}
        while self.crowd.len() >= self.most {
            if !self.make_room().await {
                (self.observer)(Event::Refused);
                return;
            }
        }
        // Without it the kernel holds small answers back; a socket that
        // refuses is about to fail anyway.
        let _ = stream.set_nodelay(true);
        let pulse = Arc::new(Pulse::new(Peer::of(address.ip())));
        let member = self.crowd.join(Arc::clone(&pulse));
        let open = Open::new(&self.observer);
        let connection = (self.open)(stream, pulse);
        self.connections.spawn(async move {
            connection.await;
            drop(open);
            drop(member);
        });
    }

    /// Waits until a connection has closed to make room; false if none can.
    async fn make_room(&self) -> bool {
        let left = self.crowd.left.notified();
        let Some(Told(told)) = self.crowd.make_room() else {
            return false;
        };
        (0..told).for_each(|_| (self.observer)(Event::Replaced));
        let _ = timeout(GOING, left).await;
        true
    }

    /// The next connection. Errors are the client's or temporary, so none ends the loop.
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
                    // Most likely there are too many files, and theirs are some of them.
                    if !self.make_room().await {
                        sleep(PAUSE).await;
                    }
                }
            }
        }
    }
}

/// Accepting reports what happened to a connection that waited: it has gone.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Reports that a connection was opened and, when dropped, that it has closed.
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

    /// What the kernel says when a table of files is full (`EMFILE`, `ENFILE`).
    const TOO_MANY_FILES: [i32; 2] = [24, 23];

    fn intake(
        listener: TcpListener,
        most: usize,
    ) -> Intake<impl Fn(TcpStream, Arc<Pulse>) -> future::Pending<()>> {
        let open = |stream: TcpStream, _| {
            drop(stream);
            future::pending()
        };
        Intake::new(listener, most, Arc::default(), Arc::new(|_| {}), open)
    }

    /// How long it takes to get a connection after these errors.
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
