//! The pool and the fleet against fake upstreams.

mod choice;
mod faults;
mod sending;
mod tls;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt;
use terms::{Dialect, ModelVersionId};
use testkit::upstream::{FakeUpstream, Script};
use tokio::task::LocalSet;

use super::{Fleet, Outbound, Pool, Reply, SendError};
use crate::config::{Checked, EndpointSettings, Settings, UpstreamSettings};

const CHAT: &str = "/v1/chat/completions";
const WAIT: Duration = Duration::from_secs(5);

/// Runs a test as a worker runs.
fn on_a_worker<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test)
}

fn fake() -> FakeUpstream {
    FakeUpstream::start().unwrap()
}

fn model() -> ModelVersionId {
    ModelVersionId::parse("m").unwrap()
}

fn endpoint(fake: &FakeUpstream) -> EndpointSettings {
    EndpointSettings { dialects: vec![Dialect::Openai, Dialect::Anthropic], ..EndpointSettings::new(fake.url()) }
}

fn upstream(fakes: &[&FakeUpstream]) -> UpstreamSettings {
    UpstreamSettings::new(model(), fakes.iter().map(|fake| endpoint(fake)).collect())
}

fn checked(upstream: UpstreamSettings) -> Checked {
    Settings { upstreams: vec![upstream], ..Settings::default() }.check().unwrap()
}

/// A pool, and the fleet it looks at.
struct Under {
    pool: Pool,
    fleet: Arc<ArcSwap<Fleet>>,
}

impl Under {
    fn test(upstream: UpstreamSettings) -> Self {
        let fleet = Arc::new(ArcSwap::from_pointee(Fleet::new(&checked(upstream)).unwrap()));
        Self { pool: Pool::new(Arc::clone(&fleet)), fleet }
    }

    fn renew(&self, upstream: UpstreamSettings) {
        let renewed = self.fleet.load().renewed(&checked(upstream)).unwrap();
        self.fleet.store(Arc::new(renewed));
    }

    /// Sends a call with these headers and this body.
    async fn send(&self, headers: &HeaderMap, body: &'static str) -> Result<Reply, SendError> {
        let body = |_: Option<&str>| Bytes::from_static(body.as_bytes());
        let (model, method) = (model(), Method::POST);
        let dialect = Dialect::Openai;
        let call = Outbound {
            model: &model,
            dialect,
            method: &method,
            path_and_query: CHAT,
            headers,
            ticket: &|meter| Ok(meter.map(|meter| HeaderValue::from_str(meter).unwrap())),
            body: &body,
        };
        self.pool.send(call).await
    }

    /// Sends a call whose answer is not streamed, and returns its status.
    async fn call(&self) -> Result<u16, SendError> {
        let reply = self.send(&HeaderMap::new(), r#"{"model":"m"}"#).await?;
        let status = reply.status.as_u16();
        reply.body.collect().await.unwrap();
        Ok(status)
    }

    /// Sends a call whose answer is streamed.
    async fn stream(&self) -> Reply {
        self.send(&HeaderMap::new(), r#"{"model":"m","stream":true}"#).await.unwrap()
    }
}

fn status(code: u16) -> Script {
    Script::parse(&format!("status-{code}"))
}
