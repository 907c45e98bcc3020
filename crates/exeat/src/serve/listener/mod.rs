//! Serves strangers over HTTP: who gets a connection, how long it may be silent, and how long a request may take.

mod activity;
mod connection;
mod in_time;
mod places;

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

use connection::Connection;
use places::Places;

/// From the head of a request to that of its answer. A long poll is answered within 60 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);

/// How connections are served.
pub(super) struct Serving {
    /// The server's side of TLS; plaintext without.
    pub(super) tls: Option<TlsAcceptor>,
    /// Answers.
    pub(super) router: Router,
    /// How many connections one address may have.
    pub(super) per_address: usize,
    /// True once no more connections are taken.
    pub(super) stop: watch::Receiver<bool>,
}

/// Serves whoever connects, until it is to stop.
pub(super) async fn accept(listener: TcpListener, serving: Serving) {
    let Serving { tls, router, per_address, mut stop } = serving;
    let (places, router) = (Places::new(per_address), in_time::in_time(router));
    while let Some((stream, from)) = next(&listener, &mut stop).await {
        let Some(place) = places.take(from.ip()) else { continue };
        let connection = Connection { tls: tls.clone(), router: router.clone(), from, stop: stop.clone() };
        tokio::spawn(async move {
            connection.serve(stream).await;
            drop(place);
        });
    }
}

/// Returns the next connection; nothing once it is to stop.
async fn next(listener: &TcpListener, stop: &mut watch::Receiver<bool>) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            // Too many open files, mostly: they are few again in a moment.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[cfg(test)]
mod tests;
