//! The admin listener: the admin API, and what operations ask for.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use control::Control;
use gateway::Gateway;
use meter::Reconciliations;
use serde_json::json;
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    sync::{Mutex, watch},
};
use witness::Cosigner;

use super::{lake::Lake, siem::Siem, tasks::Tasks};

/// The alarm: above 0 while an instrument is in force without its approvals.
pub(crate) const BREAK_GLASS: &str = "exeat_break_glass_open";

/// The admin listener, in threads of its own, so that it answers while calls are many.
pub(crate) struct AdminServer {
    address: SocketAddr,
    listener: Arc<Mutex<Option<TcpListener>>>,
    stop: watch::Sender<bool>,
}

impl AdminServer {
    /// Binds the address; nothing is served yet.
    ///
    /// # Errors
    ///
    /// The operating system's error with the address.
    pub(crate) fn bind(runtime: &Runtime, address: SocketAddr) -> anyhow::Result<Self> {
        let listener = runtime.block_on(TcpListener::bind(address)).with_context(|| {
            format!("cannot listen on {address} for the admin API: stop what uses it, or change `control.listen`")
        })?;
        let address = listener.local_addr().context("the admin listener has no address")?;
        let (stop, _) = watch::channel(false);
        Ok(Self { address, listener: Arc::new(Mutex::new(Some(listener))), stop })
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until [`AdminServer::stop`].
    pub(crate) fn serve(&self, runtime: &Runtime, planes: Planes) {
        let router = planes.control.router().merge(operations(planes));
        let listener = Arc::clone(&self.listener);
        let mut stop = self.stop.subscribe();
        runtime.spawn(async move {
            let Some(listener) = listener.lock().await.take() else {
                return;
            };
            let stopped = async move {
                let _ = stop.wait_for(|stop| *stop).await;
            };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "the admin listener ended");
            }
        });
    }

    /// Takes no further connections; answers what was asked.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// What operations ask about.
#[derive(Clone)]
pub(crate) struct Planes {
    pub(crate) control: Control,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) cosigner: Arc<Cosigner>,
    pub(crate) reconciliations: Reconciliations,
    pub(crate) lake: Option<Lake>,
    pub(crate) siem: Siem,
    pub(crate) tasks: Tasks,
}

/// `/healthz`: the process answers. `/readyz`: it can serve calls now. `/metrics`: Prometheus text.
fn operations(planes: Planes) -> Router {
    Router::new()
        .route("/healthz", get(async || Json(json!({ "status": "ok" }))))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(planes)
}

async fn ready(State(planes): State<Planes>) -> Response {
    match planes.gateway.ready() {
        Ok(()) => Json(json!({ "status": "ready" })).into_response(),
        Err(why) => {
            let body = Json(json!({ "status": "not ready", "reason": why }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

/// The gauge of the control plane and what is known of cosigners come first, since the gateway's text ends as OpenMetrics ends.
async fn metrics(State(planes): State<Planes>) -> Response {
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let open = planes.control.break_glass_open();
    let gauge = format!(
        "# HELP {BREAK_GLASS} Instruments in force without their approvals.\n# TYPE {BREAK_GLASS} gauge\n{BREAK_GLASS} {open}\n"
    );
    let lake = planes.lake.as_ref().map(Lake::metrics).unwrap_or_default();
    let watched = [planes.tasks.metrics(), lake, planes.siem.metrics(), planes.cosigner.metrics()].concat();
    let text = gauge + &watched + &planes.reconciliations.text() + &planes.gateway.metrics();
    ([(header::CONTENT_TYPE, media)], text).into_response()
}
