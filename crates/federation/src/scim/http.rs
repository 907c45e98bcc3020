//! Takes requests apart and puts answers together.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, Query as Parameters, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    response::Response,
    routing::any,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use identity::{KeyText, Purpose};
use scim::{
    Bounds, Projection, Query, ResourceType, ScimType, Start, resource_types, schemas, service_provider_config,
};
use serde_json::Value;
use terms::ChannelId;
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    Scim,
    contact::Contacted,
    list::RESULTS_MAX,
    record::Record,
    refusal::{MEDIA_TYPE, Refusal, body},
    roster::Roster,
    service::{Expected, Written},
    turns::Turns,
};

/// The largest body: a group of 5000 members fits, and a roster of 100 000 people.
const BODY_MAX: usize = 4 << 20;
const BODY_WITHIN: Duration = Duration::from_secs(30);

struct Server {
    scim: Arc<Scim>,
    turns: Turns,
}

/// Returns the endpoints of all channels.
pub(super) fn router(scim: Arc<Scim>) -> Router {
    let server = Arc::new(Server { scim, turns: Turns::new() });
    Router::new().route("/scim/v2/{channel}/{*rest}", any(answer)).with_state(server)
}

async fn answer(
    State(server): State<Arc<Server>>,
    Path((channel, rest)): Path<(String, String)>,
    request: Request,
) -> Response {
    server.answer(&channel, &rest, request).await.unwrap_or_else(Refusal::into_response)
}

impl Server {
    /// Nothing of a body is read before the channel's token is known to be good and the channel has a place for it.
    async fn answer(&self, channel: &str, rest: &str, request: Request) -> Result<Response, Refusal> {
        let (parts, body) = request.into_parts();
        let call = Call::parse(channel, rest, parts)?;
        let look_up = self.turns.look_up().await?;
        let call = self.blocking(look_up, |scim| scim.admit(&call).map(|()| call)).await?;
        let place = self.turns.of(&call.channel).await?;
        let sent = if call.has_body() { read(body).await? } else { Bytes::new() };
        let turns = (place, self.turns.work().await?);
        self.blocking(turns, move |scim| scim.serve(call, &sent)).await
    }

    /// Works where it may wait for the disk. The turns are over when the work is, though the client may have left.
    async fn blocking<T: Send + 'static>(
        &self,
        turns: impl Send + 'static,
        work: impl FnOnce(&Scim) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let scim = Arc::clone(&self.scim);
        let done = spawn_blocking(move || {
            let worked = work(&scim);
            drop(turns);
            worked
        });
        done.await.unwrap_or_else(|error| Err(Refusal::Unreadable(format!("a request was given up: {error}"))))
    }
}

/// A request whose token is well formed.
struct Call {
    channel: ChannelId,
    token: KeyText,
    method: Method,
    target: Target,
    uri: Uri,
    expected: Expected,
    /// The version that the client has, as in `If-None-Match`.
    known: Option<String>,
    /// Null unless there is one, and until the channel is admitted.
    body: Value,
}

/// What a path names.
#[derive(Debug, Eq, PartialEq)]
enum Target {
    Config,
    ResourceTypes(Option<String>),
    Schemas(Option<String>),
    Collection(ResourceType),
    Resource(ResourceType, String),
    Search(Vec<ResourceType>),
    Me,
    Bulk,
    Roster,
}

impl Call {
    /// Reads the head of a request; a token that cannot be one is refused before the disk is asked.
    fn parse(channel: &str, rest: &str, head: Parts) -> Result<Self, Refusal> {
        let token = bearer(&head.headers).ok_or(Refusal::Unauthenticated)?;
        let channel = ChannelId::parse(channel).map_err(|_| Refusal::Unauthenticated)?;
        let target = Target::parse(rest).ok_or_else(|| Refusal::NotFound("endpoint of this name".to_owned()))?;
        if !target.takes(&head.method) {
            return Err(Refusal::MethodNotAllowed);
        }
        let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        let (expected, known) = (Expected(text(header::IF_MATCH)), text(header::IF_NONE_MATCH));
        let is_json = is_json(&head.headers);
        let (method, uri) = (head.method, head.uri);
        let call = Self { channel, token, target, expected, known, method, uri, body: Value::Null };
        if call.has_body() && !is_json { Err(Refusal::UnsupportedMedia) } else { Ok(call) }
    }

    fn has_body(&self) -> bool {
        let is_served = !matches!(self.target, Target::Me | Target::Bulk);
        is_served && matches!(self.method, Method::POST | Method::PUT | Method::PATCH)
    }
}

fn bearer(headers: &HeaderMap) -> Option<KeyText> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())?;
    KeyText::parse_for(Purpose::Scim, token.as_bytes()).ok()
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case(MEDIA_TYPE) || media.eq_ignore_ascii_case("application/json")
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    let read = timeout(BODY_WITHIN, Limited::new(body, BODY_MAX).collect()).await.map_err(|_| Refusal::Timeout)?;
    match read {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::Timeout),
    }
}

fn parse(sent: &[u8]) -> Result<Value, Refusal> {
    let malformed = |fault| Refusal::scim(ScimType::InvalidSyntax, format!("the body {fault}"));
    jose::json::parse_object(sent, BODY_MAX).map(Value::Object).map_err(malformed)
}

impl Target {
    fn parse(rest: &str) -> Option<Self> {
        let parts: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
        Some(match parts.as_slice() {
            ["ServiceProviderConfig"] => Self::Config,
            ["ResourceTypes"] => Self::ResourceTypes(None),
            ["ResourceTypes", name] => Self::ResourceTypes(Some((*name).to_owned())),
            ["Schemas"] => Self::Schemas(None),
            ["Schemas", urn] => Self::Schemas(Some((*urn).to_owned())),
            [".search"] => Self::Search(ResourceType::ALL.to_vec()),
            ["Me", ..] => Self::Me,
            ["Bulk"] => Self::Bulk,
            ["Roster"] => Self::Roster,
            [collection] => Self::Collection(kind(collection)?),
            [collection, ".search"] => Self::Search(vec![kind(collection)?]),
            [collection, id] => Self::Resource(kind(collection)?, (*id).to_owned()),
            _ => return None,
        })
    }
}

impl Target {
    /// Returns true if the endpoint takes the method; what is not offered at all takes every one.
    fn takes(&self, method: &Method) -> bool {
        match self {
            Self::Me | Self::Bulk => true,
            Self::Config | Self::ResourceTypes(_) | Self::Schemas(_) => *method == Method::GET,
            Self::Search(_) | Self::Roster => *method == Method::POST,
            Self::Collection(_) => matches!(*method, Method::GET | Method::POST),
            Self::Resource(..) => matches!(*method, Method::GET | Method::PUT | Method::PATCH | Method::DELETE),
        }
    }
}

fn kind(collection: &str) -> Option<ResourceType> {
    ResourceType::ALL.into_iter().find(|kind| kind.endpoint().strip_prefix('/') == Some(collection))
}

impl Scim {
    /// Does what is asked. A token may have ended while the body came, so it is looked up once more.
    fn serve(&self, mut call: Call, sent: &[u8]) -> Result<Response, Refusal> {
        self.authenticate(&call)?;
        if call.has_body() {
            call.body = parse(sent)?;
        }
        let call = &call;
        match &call.target {
            Target::Me => Err(Refusal::NotImplemented("a token here is an employer's, and nobody's own")),
            Target::Bulk => Err(Refusal::NotImplemented("bulk requests are not offered: send one at a time")),
            Target::Config | Target::ResourceTypes(_) | Target::Schemas(_) => self.discover(call),
            Target::Collection(kind) if call.method == Method::POST => self.answer_create(call, *kind),
            Target::Collection(kind) => self.answer_list(call, &[*kind], &parameters(&call.uri)?),
            Target::Search(kinds) => self.answer_list(call, kinds, &Query::from_search(&call.body)?),
            Target::Resource(kind, id) => self.serve_resource(call, *kind, id),
            Target::Roster => self.answer_roster(call),
        }
    }

    fn serve_resource(&self, call: &Call, kind: ResourceType, id: &str) -> Result<Response, Refusal> {
        let named = (kind, id);
        match call.method {
            Method::PUT => self.answer_written(call, self.replace(&call.channel, named, &call.expected, &call.body)?),
            Method::PATCH => self.answer_written(call, self.patch(&call.channel, named, &call.expected, &call.body)?),
            Method::DELETE => {
                self.delete(&call.channel, named, &call.expected)?;
                Ok(empty(StatusCode::NO_CONTENT))
            }
            _ => self.answer_get(call, kind, id),
        }
    }

    fn authenticate(&self, call: &Call) -> Result<(), Refusal> {
        self.read(|view| match self.channel_of(view, &call.token)? {
            Some(channel) if channel == call.channel => self.tenant(view, &channel).map(drop),
            _ => Err(Refusal::Unauthenticated),
        })
    }

    /// Checks the token and the rate, and notes that the channel is alive.
    fn admit(&self, call: &Call) -> Result<(), Refusal> {
        self.authenticate(call)?;
        let now = self.federation.now();
        match self.contacts.count(&call.channel, now) {
            Contacted::TooMany => Err(Refusal::TooMany),
            Contacted::Often => Ok(()),
            Contacted::First => Ok(self.federation.heard(&call.channel, now)?),
        }
    }

    fn discover(&self, call: &Call) -> Result<Response, Refusal> {
        if call.uri.query().is_some_and(|query| query.contains("filter=")) {
            return Err(Refusal::Forbidden("what the service offers cannot be filtered"));
        }
        let base_url = self.base_url(&call.channel);
        let found = match &call.target {
            Target::ResourceTypes(None) => listed(&resource_types(&base_url)),
            Target::ResourceTypes(Some(name)) => one_of(resource_types(&base_url), name)?,
            Target::Schemas(None) => listed(&schemas(&base_url)),
            Target::Schemas(Some(urn)) => one_of(schemas(&base_url), urn)?,
            _ => service_provider_config(&base_url, Bounds { results: RESULTS_MAX }),
        };
        Ok(body(StatusCode::OK, &found))
    }

    fn answer_list(&self, call: &Call, kinds: &[ResourceType], query: &Query) -> Result<Response, Refusal> {
        Ok(body(StatusCode::OK, &self.list(&call.channel, kinds, query)?))
    }

    fn answer_get(&self, call: &Call, kind: ResourceType, id: &str) -> Result<Response, Refusal> {
        let projection = parameters(&call.uri)?.projection;
        let record = self.get(&call.channel, kind, id)?;
        if call.known.as_ref().is_some_and(|known| Expected(Some(known.clone())).check(&record).is_ok()) {
            return Ok(tagged(empty(StatusCode::NOT_MODIFIED), &record));
        }
        Ok(self.show(call, StatusCode::OK, &record, &projection))
    }

    fn answer_create(&self, call: &Call, kind: ResourceType) -> Result<Response, Refusal> {
        let projection = parameters(&call.uri)?.projection;
        let written = self.create(&call.channel, kind, &call.body)?;
        let (projection, record) = (projection.echoing(written.named), written.record);
        let mut response = self.show(call, StatusCode::CREATED, &record, &projection);
        let location = record.location(&self.base_url(&call.channel));
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }

    fn answer_written(&self, call: &Call, written: Written) -> Result<Response, Refusal> {
        let projection = parameters(&call.uri)?.projection;
        let projection = projection.echoing(written.named);
        Ok(self.show(call, StatusCode::OK, &written.record, &projection))
    }

    fn answer_roster(&self, call: &Call) -> Result<Response, Refusal> {
        let outcome = self.reconcile(&call.channel, &Roster::parse(&call.body)?)?;
        let value = serde_json::to_value(outcome).map_err(|error| Refusal::Unreadable(error.to_string()))?;
        Ok(body(StatusCode::OK, &value))
    }

    fn show(&self, call: &Call, status: StatusCode, record: &Record, projection: &Projection) -> Response {
        let shown = projection.apply(&record.shown(&self.base_url(&call.channel)));
        tagged(body(status, &shown), record)
    }
}

fn parameters(uri: &Uri) -> Result<Query, Refusal> {
    let sent = Parameters::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Refusal::scim(ScimType::InvalidValue, "the query string is malformed: encode it as a form"))?;
    Ok(Query::from_parameters(sent.0.iter().map(|(name, value)| (name.as_str(), value.as_str())))?)
}

fn tagged(mut response: Response, record: &Record) -> Response {
    if let Ok(etag) = HeaderValue::from_str(&record.etag()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn listed(all: &[Value]) -> Value {
    scim::list_response(all, all.len(), Start::Skip(0), None)
}

fn one_of(all: Vec<Value>, id: &str) -> Result<Value, Refusal> {
    let found = all.into_iter().find(|one| one.get("id").and_then(Value::as_str) == Some(id));
    found.ok_or_else(|| Refusal::NotFound("description of this id".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_an_endpoint_with_or_without_a_slash_at_its_end() {
        assert_eq!(Target::parse("Users/"), Some(Target::Collection(ResourceType::User)));
        assert_eq!(Target::parse("Groups/7"), Some(Target::Resource(ResourceType::Group, "7".to_owned())));
        assert_eq!(Target::parse("Users/.search"), Some(Target::Search(vec![ResourceType::User])));
        assert_eq!(Target::parse("Me/x"), Some(Target::Me));
        for path in ["", "users", "Users/7/8", "Bulk/1", "Schemas/a/b"] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }
}
