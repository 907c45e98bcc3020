//! One request: its ticket, the record of it, the model server, and the answer.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use gateway::{Asked, Count};
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts, uri::PathAndQuery};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use jose::ticket::{self, Presented, Ticket};
use ledger::{Pending, Unavailable};
use proof::entry::Outcome;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};

use crate::{
    book::{Account, Book},
    config::Limits,
    problem::Problem,
    relay::{DURABLE_WITHIN, Output, Relay, durable, is_event_stream},
    sums::Sums,
    tickets::Tickets,
    upstream::{Failed, Reply, Upstream, passed_on},
};

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) book: Arc<Book>,
    pub(crate) tickets: Tickets,
    pub(crate) upstream: Upstream,
    pub(crate) limits: Limits,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) sums: Sums,
    /// True once no more calls are taken.
    pub(crate) stop: watch::Receiver<bool>,
}

impl Service {
    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Output> {
        let (parts, body) = request.into_parts();
        let answered = match parts.uri.path() {
            "/healthz" => Ok(plain(StatusCode::OK, "ok\n")),
            "/readyz" => Ok(self.ready().await),
            "/metrics" => self.metrics(&parts),
            path if path.starts_with("/exeat/") => self.sums.answer(&self.book, &parts, body).await,
            _ => self.meter(&parts, body, peer).await,
        };
        answered.unwrap_or_else(|problem| problem.response().map(|body| Output::Whole(Some(body))))
    }

    /// Passes a request with a good ticket on to the model server, and its reply back.
    async fn meter(&self, parts: &Parts, body: Incoming, peer: IpAddr) -> Result<Response<Output>, Problem> {
        if *self.stop.borrow() {
            return Err(Problem::Draining);
        }
        let presented = self.tickets.present(&parts.headers, self.book.clock.now());
        let (presented, token) = presented.inspect_err(|problem| self.refuse(problem, None, peer))?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Problem::Overloaded)?;
        let admitted = self.admit(parts, body, &presented).await;
        let (asked, body) = admitted.inspect_err(|problem| self.refuse(problem, Some(&presented.ticket), peer))?;
        let (pending, account) = self.book.taken(&presented.ticket, token).map_err(unavailable)?;
        self.serve(parts, &asked, body, pending, account, place).await
    }

    /// Reads a request that came with a good ticket, holds it against the ticket, and uses the ticket up.
    async fn admit(&self, parts: &Parts, body: Incoming, presented: &Presented) -> Result<(Asked, Bytes), Problem> {
        let body = self.read(body).await?;
        let asked = Asked::read(&parts.method, &parts.uri, &parts.headers, &body)?;
        self.tickets.check_model(&presented.ticket, asked.model.as_deref())?;
        self.tickets.take(presented, self.book.clock.now())?;
        Ok((asked, body))
    }

    /// Counts a request that is not passed on, and records it if somebody asked without a right to.
    fn refuse(&self, problem: &Problem, ticket: Option<&Ticket>, peer: IpAddr) {
        if problem.is_refusal() {
            self.book.refused(problem, ticket, peer);
        } else {
            self.book.metrics.refused(problem.code());
        }
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Problem> {
        let Limits { body_bytes, body_seconds, .. } = self.limits;
        let reading = Limited::new(body, body_bytes).collect();
        match timeout(Duration::from_secs(body_seconds), reading).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::TooLarge(body_bytes)),
            _ => Err(Problem::Incomplete),
        }
    }

    /// Asks the model server while the ticket's entry becomes durable; nothing leaves before it is.
    async fn serve(
        &self,
        parts: &Parts,
        asked: &Asked,
        body: Bytes,
        pending: Pending<()>,
        mut account: Account,
        place: OwnedSemaphorePermit,
    ) -> Result<Response<Output>, Problem> {
        let path = parts.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let mut headers = passed_on(&parts.headers, &[ticket::HEADER, "accept-encoding", "expect", "host"]);
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let asking = self.upstream.send(parts.method.clone(), &path, headers, body);
        let (replied, recorded) = tokio::join!(asking, timeout(DURABLE_WITHIN, pending.durable()));
        if !matches!(recorded, Ok(Ok(_))) {
            return Err(unavailable(Unavailable::Fenced));
        }
        let reply = match replied {
            Ok(reply) => reply,
            Err(failed) => return Err(self.failed(account, &failed).await),
        };
        let count = Count::of(asked);
        if reply.status().is_success() && is_event_stream(reply.headers()) {
            let (parts, body) = reply.into_parts();
            let relay = Relay::new(body, count, account, place);
            return Ok(head(parts, Output::Relay(Box::new(relay))));
        }
        self.whole(reply, count, &mut account).await
    }

    /// Holds a reply that is no stream until it is counted and the count is durable.
    async fn whole(
        &self,
        reply: Response<Reply>,
        mut count: Count,
        account: &mut Account,
    ) -> Result<Response<Output>, Problem> {
        let (parts, body) = reply.into_parts();
        let read = Limited::new(body, self.limits.response_bytes).collect().await;
        let Ok(body) = read.map(http_body_util::Collected::to_bytes) else {
            durable(account.close(Outcome::UpstreamFailed, Some("response_broke_off".to_owned())))
                .await
                .map_err(unavailable)?;
            return Err(Problem::Upstream("its response broke off or is too long".to_owned()));
        };
        count.body(&body);
        (account.used, account.bytes) = (count.used(), body.len() as u64);
        let closed = if parts.status.is_success() {
            account.close(Outcome::Completed, None)
        } else {
            account.close(Outcome::UpstreamFailed, Some(format!("upstream_status_{}", parts.status.as_u16())))
        };
        durable(closed).await.map_err(unavailable)?;
        Ok(head(parts, Output::Whole(Some(body))))
    }

    async fn failed(&self, mut account: Account, failed: &Failed) -> Problem {
        tracing::warn!(error = ?failed, "a call was not answered by the model server");
        let closed = account.close(Outcome::UpstreamFailed, Some("upstream_failed".to_owned()));
        match durable(closed).await {
            Ok(()) => Problem::Upstream(failed.to_string()),
            Err(error) => unavailable(error),
        }
    }

    /// Says whether calls would be served: the record takes entries and the model server can be connected to.
    async fn ready(&self) -> Response<Output> {
        let unavailable = self.book.ledger.health().unavailable;
        let why = match unavailable {
            Some(_) => Some("the record takes no entries\n"),
            None if *self.stop.borrow() => Some("draining\n"),
            None if !self.upstream.is_there().await => Some("the model server cannot be reached\n"),
            None => None,
        };
        why.map_or_else(|| plain(StatusCode::OK, "ready\n"), |why| plain(StatusCode::SERVICE_UNAVAILABLE, why))
    }

    /// Shows what was counted to whoever may ask for sums.
    fn metrics(&self, parts: &Parts) -> Result<Response<Output>, Problem> {
        if parts.method != Method::GET {
            return Err(Problem::NotFound);
        }
        self.sums.authorize(&parts.headers)?;
        let live = self.limits.in_flight.saturating_sub(self.places.available_permits());
        let text = self.book.metrics.text(live, &self.book.ledger.health());
        let mut response = Response::new(Output::Whole(Some(text.into())));
        let media = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        Ok(response)
    }
}

fn unavailable(error: Unavailable) -> Problem {
    tracing::error!(%error, "the record takes no entries");
    Problem::LedgerUnavailable
}

/// Makes the head of an answer from that of the model server's.
fn head(parts: http::response::Parts, output: Output) -> Response<Output> {
    let mut response = Response::new(output);
    *response.status_mut() = parts.status;
    *response.headers_mut() = passed_on(&parts.headers, &[]);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Output> {
    let mut response = Response::new(Output::Whole(Some(Bytes::from_static(text.as_bytes()))));
    *response.status_mut() = status;
    response
}
