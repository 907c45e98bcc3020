//! Asks endpoints for their health, where the operator names a path for it.

use std::{collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::Full;
use tokio::time::{Instant, sleep, timeout};

use super::{Fleet, connect::connect, endpoint::Endpoint, health::Failure};

/// How often it is looked which endpoints are due.
const TICK: Duration = Duration::from_millis(250);

/// Checks every endpoint that has a `health_path`, each at its own pace, for as long as the future is polled.
///
/// One failure counts like one failure of a call; one success brings an ejected endpoint back. Must run inside a
/// `LocalSet`, once for the whole process.
pub(crate) async fn watch(fleet: Arc<ArcSwap<Fleet>>) {
    let mut due: BTreeMap<u64, Instant> = BTreeMap::new();
    loop {
        let now = Instant::now();
        let fleet_now = fleet.load_full();
        due.retain(|id, _| fleet_now.endpoints().any(|endpoint| endpoint.id() == *id));
        for endpoint in fleet_now.endpoints() {
            let Some(path) = endpoint.made_of.upstream.health_path.as_deref() else {
                continue;
            };
            if due.get(&endpoint.id()).is_none_or(|at| *at <= now) {
                due.insert(endpoint.id(), now + every(endpoint));
                tokio::task::spawn_local(check(Arc::clone(endpoint), Rc::from(path)));
            }
        }
        sleep(TICK).await;
    }
}

fn every(endpoint: &Endpoint) -> Duration {
    Duration::from_secs(endpoint.made_of.upstream.health_seconds)
}

async fn check(endpoint: Arc<Endpoint>, path: Rc<str>) {
    match timeout(every(&endpoint), ask(&endpoint, &path)).await.unwrap_or(Err(Failure::Answer)) {
        Ok(()) => endpoint.health.succeeded(),
        Err(failure) => endpoint.health.failed(failure, std::time::Instant::now()),
    }
}

/// Gets `path` on a connection of its own, as load balancers do.
async fn ask(endpoint: &Endpoint, path: &str) -> Result<(), Failure> {
    let mut connection = connect(endpoint).await.map_err(|_| Failure::Connect)?;
    let request = request(endpoint, path).ok_or(Failure::Answer)?;
    let response = connection.sender.send_request(request).await.map_err(|_| Failure::Answer)?;
    response.status().is_success().then_some(()).ok_or(Failure::Answer)
}

fn request(endpoint: &Endpoint, path: &str) -> Option<Request<Full<Bytes>>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = format!("{}{path}", endpoint.url().base).parse::<Uri>().ok()?;
    let host = HeaderValue::from_str(endpoint.url().authority.as_str()).ok()?;
    request.headers_mut().insert(header::HOST, host);
    Some(request)
}
