//! What was counted, for whoever may ask: the calls of an hour, the signed sums of a model version in it, and the
//! statements that came of comparing them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, header, request::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use jose::{Jwk, ticket};
use ledger::{Draft, Ledger};
use proof::{
    entry::{Class, Entry, Kind},
    note::VerifierKey,
    sums::{About, STATEMENT_BYTES_MAX, Side, Statement},
};
use serde_json::json;
use subtle::ConstantTimeEq;
use terms::{CallId, ModelVersionId};
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use crate::{
    book::Book,
    compare::counted,
    problem::Problem,
    relay::Output,
    tally::{Hour, settles_at},
    wire::{Asked, Page, QUESTION_BYTES_MAX},
};

/// For the body of a question.
const BODY_WITHIN: Duration = Duration::from_secs(60);
/// How long what was read of an hour is shown again after it was last, so that its pages and its sums fit together.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// Of how many hours of a gateway that is kept: one is asked for every hour, another by whoever looks into it meanwhile.
const KEPT_MAX: usize = 3;

/// Answers questions about sums. Without a secret it answers none.
pub(crate) struct Sums {
    secret: Option<Zeroizing<String>>,
    /// The public ticket keys of the gateways, by the origins of their logs.
    issuers: BTreeMap<String, Jwk>,
    /// The verifier keys of the gateways' logs, by their origins.
    log_keys: BTreeMap<String, VerifierKey>,
    /// What was read of the record last, by gateway and hour.
    last: Mutex<BTreeMap<(String, u64), Read>>,
}

/// What was read of the record.
struct Read {
    /// When it was last looked at.
    at: Instant,
    counted: Arc<Hour>,
    /// The beginning of a question: what it said so far.
    moved: (Option<ModelVersionId>, BTreeSet<CallId>),
}

impl Read {
    fn new(counted: Arc<Hour>) -> Self {
        Self { at: Instant::now(), counted, moved: Default::default() }
    }

    /// Takes the next part of a question. Returns all of it, if it is the last.
    fn ask(&mut self, asked: &Asked) -> Result<Option<BTreeSet<CallId>>, Problem> {
        let moved = asked.moved().map_err(|error| question(&error))?;
        let calls = self.counted.calls(&asked.model);
        if moved.iter().any(|call| !calls.contains_key(call)) {
            return Err(Problem::Question("a call of the question is not known here".to_owned()));
        }
        if asked.after.is_none() {
            self.moved = (Some(asked.model.clone()), BTreeSet::new());
        }
        let (model, so_far) = &mut self.moved;
        if model.as_ref() != Some(&asked.model) || so_far.last().map(|call| call.0) != asked.after.map(|call| call.0) {
            return Err(Problem::Question("the part before this one is not known here: begin anew".to_owned()));
        }
        so_far.extend(moved);
        Ok((!asked.more).then(|| std::mem::take(&mut self.moved).1))
    }
}

impl std::fmt::Debug for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sums").field("log_keys", &self.log_keys).finish_non_exhaustive()
    }
}

impl Sums {
    pub(crate) fn new(
        secret: Option<Zeroizing<String>>,
        issuers: BTreeMap<String, Jwk>,
        log_keys: BTreeMap<String, VerifierKey>,
    ) -> Self {
        Self { secret, issuers, log_keys, last: Mutex::default() }
    }

    /// Requires the secret as a bearer token.
    pub(crate) fn authorize(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(secret) = &self.secret else { return Err(Problem::NotFound) };
        let shown = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let shown = shown.strip_prefix(b"Bearer ").unwrap_or_default();
        if shown.ct_eq(secret.as_bytes()).into() { Ok(()) } else { Err(Problem::Unauthorized) }
    }

    /// Answers what is asked under `/exeat/v1/`.
    pub(crate) async fn answer(&self, book: &Book, parts: &Parts, body: Incoming) -> Result<Response<Output>, Problem> {
        self.authorize(&parts.headers)?;
        match (parts.method.clone(), parts.uri.path()) {
            (Method::GET, "/exeat/v1/calls") => self.calls(book, parts).await,
            (Method::POST, "/exeat/v1/sums") => {
                let asked = read(body, QUESTION_BYTES_MAX).await?;
                let asked: Asked = serde_json::from_slice(&asked).map_err(|error| question(&error))?;
                self.side(book, Query::of(parts).gateway(self)?, &asked).await
            }
            (Method::POST, "/exeat/v1/statements") => {
                self.statement(book, &read(body, STATEMENT_BYTES_MAX).await?).await
            }
            _ => Err(Problem::NotFound),
        }
    }

    /// Shows a page of the calls of an hour.
    async fn calls(&self, book: &Book, parts: &Parts) -> Result<Response<Output>, Problem> {
        let query = Query::of(parts);
        let hour = query.number("hour")?;
        let after = query.get("after").map(|text| CallId::parse(text).map_err(|error| question(&error))).transpose()?;
        let gateway = query.gateway(self)?;
        // The first page is of what is known now; the others are of the same.
        let counted = match after {
            None => self.read(book, gateway, hour).await?,
            Some(_) => self.hour(book, gateway, hour).await?,
        };
        let page = Page::of(book.ledger.signer().name(), hour, &counted, after);
        Ok(json_answer(&page))
    }

    /// Signs the sums of a model version in an hour that is over, once all of the question is there.
    async fn side(&self, book: &Book, gateway: &str, asked: &Asked) -> Result<Response<Output>, Problem> {
        if book.clock.now() < settles_at(asked.hour) {
            return Err(Problem::Question("tickets of this hour can still be taken: ask later".to_owned()));
        }
        let ours = self.hour(book, gateway, asked.hour).await?;
        let Some(moved) = self.ask(gateway, asked)? else { return Ok(json_answer(&json!({ "more": true }))) };
        if ours.calls(&asked.model).values().any(|call| call.saw.outcome.is_none()) {
            return Err(Problem::Question("a call of this hour has not ended: ask later".to_owned()));
        }
        let model = asked.model.clone();
        let counting = tokio::task::spawn_blocking(move || counted(ours.calls(&model), &moved));
        let trees = counting.await.map_err(|_| Problem::LedgerUnavailable)?.map_err(|error| question(&error))?;
        let about = About {
            gateway: gateway.to_owned(),
            meter: book.ledger.signer().name().to_owned(),
            model: asked.model.as_str().to_owned(),
            hour: asked.hour,
        };
        Ok(answer(Side::sign(trees, &about, book.ledger.signer()).to_json()))
    }

    fn ask(&self, gateway: &str, asked: &Asked) -> Result<Option<BTreeSet<CallId>>, Problem> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get_mut(&(gateway.to_owned(), asked.hour)).map_or_else(
            || Err(Problem::Question("other hours were asked for meanwhile".to_owned())),
            |read| read.ask(asked),
        )
    }

    /// Takes a statement into the record, if this meter and a gateway that it knows signed it.
    async fn statement(&self, book: &Book, bytes: &[u8]) -> Result<Response<Output>, Problem> {
        let statement = Statement::parse(bytes).map_err(|error| question(&error))?;
        statement.verify().map_err(|error| question(&error))?;
        if statement.meter.key != book.ledger.signer().verifier() {
            return Err(Problem::Question("the statement is not about this meter".to_owned()));
        }
        let theirs = &statement.gateway.key;
        if self.log_keys.get(theirs.name()) != Some(theirs) {
            return Err(Problem::Question("the gateway's key is not that of `log_vkey`".to_owned()));
        }
        book.metrics.reconciled(statement.agrees());
        if !statement.agrees() {
            alarm(&statement);
        }
        let root = statement.meter.trees.commitment();
        let pending =
            book.ledger.append(entry_of(&book.ledger, &statement, root)).map_err(|_| Problem::LedgerUnavailable)?;
        let recorded = pending.durable().await.map_err(|_| Problem::LedgerUnavailable)?;
        Ok(json_answer(&json!({ "index": recorded.index() })))
    }

    /// Returns the calls of an hour: as they were read just now, else from the record.
    async fn hour(&self, book: &Book, gateway: &str, hour: u64) -> Result<Arc<Hour>, Problem> {
        match self.kept(gateway, hour) {
            Some(kept) => Ok(kept),
            None => self.read(book, gateway, hour).await,
        }
    }

    async fn read(&self, book: &Book, gateway: &str, hour: u64) -> Result<Arc<Hour>, Problem> {
        let (reader, origin, issuers) = (book.ledger.reader(), gateway.to_owned(), self.issuers.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let read = |token: &str| ticket::reread(token, |issuer| issuers.get(issuer)).ok();
            Hour::of_meter(&reader, hour, &origin, &read).map(Arc::new)
        });
        let counted = match reading.await {
            Ok(Ok(counted)) => counted,
            Ok(Err(error)) => {
                tracing::error!(%error, "the record cannot be read");
                return Err(Problem::LedgerUnavailable);
            }
            Err(_) => return Err(Problem::LedgerUnavailable),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert((gateway.to_owned(), hour), Read::new(Arc::clone(&counted)));
        forget_oldest(&mut last, gateway);
        Ok(counted)
    }

    fn kept(&self, gateway: &str, hour: u64) -> Option<Arc<Hour>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let read = last.get_mut(&(gateway.to_owned(), hour)).filter(|read| read.at.elapsed() < KEPT_FOR)?;
        read.at = Instant::now();
        Some(Arc::clone(&read.counted))
    }
}

/// Forgets of a gateway's hours those that were longest not looked at.
fn forget_oldest(last: &mut BTreeMap<(String, u64), Read>, gateway: &str) {
    let mut mine: Vec<_> =
        last.iter().filter(|((of, _), _)| of == gateway).map(|(key, read)| (read.at, key.clone())).collect();
    mine.sort();
    mine.into_iter().rev().skip(KEPT_MAX).for_each(|(_, key)| drop(last.remove(&key)));
}

/// Makes the entry of a statement in the log of one of its sides, whose commitment is `root`.
pub(crate) fn entry_of(ledger: &Ledger, statement: &Statement, root: [u8; 32]) -> Draft {
    let mut entry = Entry::new(Kind::Reconciliation);
    entry.model = Some(statement.about.model.clone());
    entry.code = Some(statement.code().to_owned());
    entry.root = Some(root);
    let chain = ledger.chain(Class::Model, &format!("model:{}", statement.about.model));
    Draft::new(entry, statement.to_json()).on(Arc::new([chain]))
}

/// Says aloud that a gateway and a meter do not agree.
pub(crate) fn alarm(statement: &Statement) {
    let Statement { about: About { gateway, meter, model, hour }, differ, .. } = statement;
    tracing::error!(
        target: "exeat::reconciliation",
        model, hour, gateway, meter,
        calls = differ.calls, at_the_gateway = ?differ.gateway, at_the_meter = ?differ.meter,
        "gateway and meter do not agree: `exeat ledger reconcile` names the calls"
    );
}

/// What stands in a query.
struct Query<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Query<'a> {
    fn of(parts: &'a Parts) -> Self {
        let pairs = parts.uri.query().unwrap_or_default().split('&');
        Self(pairs.filter_map(|pair| pair.split_once('=')).collect())
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn number(&self, name: &str) -> Result<u64, Problem> {
        let parsed = self.get(name).and_then(|text| text.parse().ok());
        parsed.ok_or_else(|| Problem::Question(format!("`{name}` is missing from the query, or malformed")))
    }

    /// Returns whose calls are asked for: `gateway`, the origin of its log; the only one there is if it is left out.
    fn gateway(&self, sums: &'a Sums) -> Result<&'a str, Problem> {
        let mut known = sums.issuers.keys();
        let found = match (self.get("gateway"), known.next(), known.next()) {
            (Some(origin), _, _) => sums.issuers.get_key_value(origin).map(|(known, _)| known),
            (None, only, None) => only,
            (None, ..) => None,
        };
        found.map(String::as_str).ok_or_else(|| Problem::Question("`gateway` names no issuer of this meter".to_owned()))
    }
}

async fn read(body: Incoming, most: usize) -> Result<Bytes, Problem> {
    match timeout(BODY_WITHIN, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Problem::TooLarge(most)),
        _ => Err(Problem::Incomplete),
    }
}

fn question(error: &impl std::fmt::Display) -> Problem {
    Problem::Question(error.to_string())
}

fn json_answer(value: &impl serde::Serialize) -> Response<Output> {
    // Structs, numbers and strings have a spelling in JSON.
    answer(serde_json::to_vec(value).unwrap_or_default())
}

fn answer(json: Vec<u8>) -> Response<Output> {
    let mut response = Response::new(Output::Whole(Some(json.into())));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
