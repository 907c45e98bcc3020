//! A meter, from its start to its end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ledger::{Ledger, Unavailable};
use terms::Clock;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    book::Book,
    config::Settings,
    server,
    service::Service,
    start::{self, StartError},
    sums::Sums,
};

/// A meter that serves. [`Meter::stop`] ends it in good order; dropped, it goes on until its runtime ends.
#[derive(Debug)]
pub struct Meter {
    address: SocketAddr,
    ledger: Ledger,
    drain: Duration,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Meter {
    /// Starts a meter that keeps its record in `ledger`, whose origin must be that of the settings. When this returns,
    /// requests are served. Must be called on a runtime.
    ///
    /// Before it serves, it reads from its record which tickets were taken, so that none is good twice, whatever
    /// happened to the process before.
    ///
    /// # Errors
    ///
    /// [`StartError`]: nothing is served, and no port stays bound.
    pub async fn start(settings: Settings, ledger: Ledger, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let checked = start::check(settings)?;
        let remembered = checked.tickets.remember(&ledger.reader(), ledger.health().durable, clock.now())?;
        let address = checked.settings.listen;
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (stop, stopping) = watch::channel(false);
        let service = Service {
            book: Arc::new(Book::new(ledger.clone(), clock)),
            tickets: checked.tickets,
            upstream: checked.upstream,
            places: Arc::new(Semaphore::new(checked.settings.limits.in_flight)),
            limits: checked.settings.limits,
            sums: Sums::new(checked.secret, checked.issuers, checked.log_keys),
            stop: stopping,
        };
        let tls = checked.tls.map(TlsAcceptor::from);
        let serving = tokio::spawn(server::serve(listener, tls, Arc::new(service)));
        tracing::info!(%address, remembered, "metering");
        Ok(Self { address, ledger, drain: Duration::from_secs(checked.settings.drain_seconds), stop, serving })
    }

    /// Returns where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more calls, waits for those under way as long as the settings say, and closes the record.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if the last entries could not be written; the next start recovers them.
    pub async fn stop(self) -> Result<(), Unavailable> {
        let _ = self.stop.send(true);
        let mut serving = self.serving;
        if timeout(self.drain, &mut serving).await.is_err() {
            tracing::warn!("calls are broken off: they took longer than `drain_seconds`");
            serving.abort();
        }
        let ledger = self.ledger;
        tokio::task::spawn_blocking(move || ledger.stop()).await.unwrap_or(Err(Unavailable::Fenced))
    }
}
