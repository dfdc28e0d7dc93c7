//! The order to stop, and its progress.

use std::{future::pending, io};

use tokio::{
    select,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// An order to a server. It only advances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    Serve,
    /// Stop without losing a request.
    Drain,
    /// Stop at once.
    Quit,
}

/// The stage that a server's connections are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Serving,
    /// Every answer closes its connection, so that the client reconnects to another replica (T2).
    Draining,
    /// No connection is accepted any more, and idle connections close.
    Stopping,
}

/// Follows SIGTERM and SIGINT: the first drains, the second quits.
pub fn signals() -> io::Result<watch::Receiver<Order>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (order, orders) = watch::channel(Order::Serve);
    tokio::spawn(async move {
        for next in [Order::Drain, Order::Quit] {
            select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            order.send_replace(next);
        }
    });
    Ok(orders)
}

/// Waits for an order; for ever, if its sender was dropped.
pub(super) async fn ordered(orders: &watch::Receiver<Order>, order: Order) {
    if orders.clone().wait_for(|it| *it >= order).await.is_err() {
        pending::<()>().await;
    }
}
