//! An answer that is not streamed: read whole, closed in the ledger, and only then handed out.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use proof::entry::Outcome;

use super::Live;
use crate::{Problem, bulk, delivered::Delivered, dialect::Meter, screen::Verdict, upstream::Reply as Upstream};

/// A whole response whose closing entry is durable, held until the connection takes it; recalled until then, nothing of
/// it leaves and the connection or stream it was for is broken off.
#[derive(Debug)]
pub struct Held {
    body: Bytes,
    live: Option<Live>,
}

impl Held {
    pub(super) fn hand_out(&mut self) -> Option<Bytes> {
        let live = self.live.take()?;
        if live.lease.recalled().is_some() {
            tracing::info!(call = %live.call, "an answer was recalled after its closing entry; nothing of it left");
            return None;
        }
        Some(std::mem::take(&mut self.body)).filter(|body| !body.is_empty())
    }

    pub(super) fn is_handed_out(&self) -> bool {
        self.live.is_none()
    }

    pub(super) fn len(&self) -> u64 {
        self.body.len() as u64
    }
}

impl Live {
    /// Reads a whole body, checks the permit and the monitor once more, and closes the call.
    pub(super) async fn whole(self, upstream: Upstream) -> Result<Held, Problem> {
        let limit = self.shared.limits.load().response_bytes;
        let collect = Limited::new(upstream.body, limit).collect();
        let read = tokio::select! {
            biased;
            _ = self.lease.wait_recalled() => return Err(self.cut_before_output()),
            read = collect => read.map(http_body_util::Collected::to_bytes),
        };
        match read {
            Ok(body) => self.release(upstream.status, body).await,
            Err(error) if error.is::<LengthLimitError>() => {
                Err(self.upstream_failed(None, "the upstream's response is longer than this gateway relays"))
            }
            Err(error) => Err(self.upstream_failed(None, &format!("the upstream's response broke off: {error}"))),
        }
    }

    /// Lets a whole body go on to the caller, if nothing stops it and once the closing entry is durable. The call stays
    /// live until the body is handed out.
    async fn release(mut self, status: StatusCode, body: Bytes) -> Result<Held, Problem> {
        if let Verdict::Stop(code) = self.shared.monitor.output(self.call, &body) {
            self.stop(code);
        }
        if self.lease.recalled().is_some() {
            return Err(self.cut_before_output());
        }
        let (meter, delivered) = self.read(&body).await?;
        self.count(&meter);
        self.settlement.charge();
        if self.lease.recalled().is_some() {
            return Err(self.cut_before_output());
        }
        self.settlement.delivered = delivered;
        self.count(&meter);
        let (outcome, code) = ended_with(status);
        let closing = self.settlement.end(outcome, code);
        tokio::select! {
            biased;
            _ = self.lease.wait_recalled() => return Err(self.cut_before_output()),
            durable = closing => durable?,
        }
        Ok(Held { body, live: Some(self) })
    }

    /// Reads a whole body, and makes of it what is delivered if nothing stops it.
    async fn read(&self, body: &Bytes) -> Result<(Meter, Delivered), Problem> {
        let (mut meter, mut delivered) = (Meter::new(self.dialect, &self.operation), self.settlement.delivered.anew());
        let (length, body) = (body.len(), body.clone());
        let read = move || {
            meter.body(&body);
            delivered.add(&body);
            (meter, delivered)
        };
        bulk::work(length, read).await
    }
}

/// Returns how a call ended that the upstream answered with `status`.
fn ended_with(status: StatusCode) -> (Outcome, Option<String>) {
    if status.is_success() {
        return (Outcome::Completed, None);
    }
    (Outcome::UpstreamFailed, Some(format!("upstream_status_{}", status.as_u16())))
}
