//! The page on which a person sees what is on record about them, why access ended, and what restores it.
//!
//! A person comes by a link that a registrar made for them, or they themselves with a token of ours: 256 bits, good for 15
//! minutes and once. Pressing the button behind it begins a session of 15 minutes in a cookie that no script reads and no
//! other site sends. The page is plain HTML without script, and says nothing that [`policy::decide`] and the record do not.

pub(crate) mod html;
mod session;
mod shown;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use control::{Control, Document, Fault, FederatedChange, Source, View};
use terms::{Moment, PersonId};

use self::session::{LASTS, Sessions, Ticket};
pub(crate) use self::shown::Known;
use crate::{
    same_origin::guarded,
    token::{Presenter, TokenService, limit::Limits},
};

/// The collection of links that are still good.
const LINKS: &str = "page-link";
/// Links that one minting looks through for old ones to drop.
const SWEPT: u32 = 64;
/// Links of one person that are good at a time.
const MAX_LINKS: usize = 8;
/// Links that one person may make for themselves in a minute; used up or not, each is an entry of the ledger.
const OWN_LINKS_PER_MINUTE: u64 = 12;
/// What is missing.
const NO_TOKEN: &str = "Show a current bearer token of this service that is yours, or ask a registrar for a link.";
/// What to do instead.
const TOO_FAST: &str = "Wait a minute before you make another.";
/// What to do instead.
const TOO_MANY: &str = "Use one of the links that you have; each is good for 15 minutes.";
/// The cookie; the prefix makes browsers refuse one that is not secure or came from a neighboring host.
///
/// # Source
/// RFC 6265bis section 4.1.3.2.
const COOKIE: &str = "__Host-exeat-me";
/// Nothing but the style sheet is loaded, forms go here only, and nobody frames the page.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The self-service page. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pages {
    control: Control,
    origin: String,
    sessions: Sessions,
    wallet: Option<String>,
    tokens: Option<TokenService>,
    own_links: Arc<Limits>,
}

impl Pages {
    /// Makes the page, which browsers reach under `origin`, such as `https://exeat.example.com`: they are answered nothing
    /// that a page of another origin makes them send. `wallet` is the path or URL where a person can show a credential, if
    /// that is offered.
    #[must_use]
    pub fn new(control: Control, origin: &str, wallet: Option<String>) -> Self {
        let own_links = Arc::new(Limits::per_minute(OWN_LINKS_PER_MINUTE));
        Self { control, origin: origin.to_owned(), sessions: Sessions::default(), wallet, tokens: None, own_links }
    }

    /// Lets a person who is signed in make a link of their own: `POST /me/link` with a bearer token of this service.
    #[must_use]
    pub fn with_tokens(self, tokens: TokenService) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    /// Makes a link for a person and returns its path, `/me/link/...`: good for 15 minutes, and once. Blocks on disk.
    ///
    /// Whoever has it sees what the person would; it is for the caller to hand it to nobody else.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`] if there is no such person; [`Fault::Conflict`] if 8 of their links are still good; those of
    /// [`control::Federation::commit`].
    pub fn link(&self, person: &PersonId) -> Result<String, Fault> {
        let ticket = Ticket::mint()?;
        self.control.federation().commit(&Source::own("page.link"), |view| {
            if view.person(person)?.is_none() {
                return Err(Fault::NotFound { what: "person", id: person.to_string() });
            }
            let own = view.documents_of(person)?.into_iter().filter(|kept| kept.collection == LINKS);
            if own.filter(|link| good(link, view.now())).count() >= MAX_LINKS {
                return Err(Fault::Conflict(format!(
                    "{MAX_LINKS} links of `{person}` are still good: use one of them"
                )));
            }
            let body = view.now().plus(LASTS).to_string();
            let (collection, id) = (LINKS.to_owned(), id_of(&ticket));
            let link = Document { collection, id, owner: Some(person.clone()), terms: Vec::new(), body };
            let mut changes = vec![FederatedChange::Document(link)];
            changes.extend(over(view)?);
            Ok(changes)
        })?;
        Ok(format!("/me/link/{}", ticket.reveal()))
    }

    /// Returns the routes, all below `/me`.
    pub fn router(&self) -> Router {
        let routes = Router::new()
            .route("/me", get(show))
            .route("/me/link", post(own_link))
            .route("/me/link/{ticket}", get(door).post(enter))
            .route("/me/leave", post(leave))
            .route("/me/style.css", get(style))
            .with_state(self.clone());
        guarded(routes, &self.origin)
    }

    /// Returns whose session a request has; nobody's if there is none, or it is over.
    pub(crate) fn person(&self, headers: &HeaderMap) -> Option<PersonId> {
        presented(headers).and_then(|ticket| self.sessions.person(&ticket, self.control.federation().now()))
    }

    /// Uses a link up, and returns whose it was.
    fn redeem(&self, ticket: &Ticket) -> Result<Option<PersonId>, Fault> {
        let federation = self.control.federation();
        let id = id_of(ticket);
        if federation.read(|view| view.document(LINKS, &id))?.is_none() {
            return Ok(None);
        }
        let mut person = None;
        federation.commit(&Source::own("page.enter"), |view| {
            let Some(link) = view.document(LINKS, &id)? else { return Ok(Vec::new()) };
            person = link.owner.clone().filter(|_| good(&link, view.now()));
            Ok(vec![FederatedChange::DocumentGone { collection: LINKS.to_owned(), id: id.clone() }])
        })?;
        Ok(person)
    }
}

fn id_of(ticket: &Ticket) -> String {
    ticket.digest().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn good(link: &Document, now: Moment) -> bool {
    Moment::parse(&link.body).is_ok_and(|until| until > now)
}

fn over(view: &View<'_>) -> Result<Vec<FederatedChange>, Fault> {
    let links = view.documents(LINKS, "", SWEPT)?.into_iter();
    let over = links.filter(|link| !good(link, view.now()));
    Ok(over.map(|link| FederatedChange::DocumentGone { collection: link.collection, id: link.id }).collect())
}

/// Answers a person who shows a token with a link of their own, for the browser that has no token.
async fn own_link(State(pages): State<Pages>, request: Request) -> Response {
    let presenter = request.extensions().get::<Presenter>().copied().unwrap_or_default();
    let person = match &pages.tokens {
        Some(tokens) => tokens.person_of(request.headers(), presenter).await,
        None => None,
    };
    let Some(person) = person else {
        let refused = page(StatusCode::UNAUTHORIZED, html::notice("No session", NO_TOKEN));
        return ([(header::WWW_AUTHENTICATE, "Bearer")], refused).into_response();
    };
    if !pages.own_links.allows(person.as_str(), pages.control.federation().now()) {
        return page(StatusCode::TOO_MANY_REQUESTS, html::notice("Too many links", TOO_FAST));
    }
    match tokio::task::spawn_blocking(move || pages.link(&person)).await {
        Ok(Ok(link)) => {
            answer(StatusCode::CREATED, "application/json", serde_json::json!({ "link": link }).to_string())
        }
        Ok(Err(Fault::Conflict(_))) => page(StatusCode::TOO_MANY_REQUESTS, html::notice("Too many links", TOO_MANY)),
        Ok(Err(fault)) => failed(&fault),
        Err(broke) => failed(&broke),
    }
}

async fn door(Path(ticket): Path<String>) -> Response {
    match Ticket::parse(&ticket) {
        Some(_) => page(StatusCode::OK, html::door()),
        None => spent(),
    }
}

async fn enter(State(pages): State<Pages>, Path(ticket): Path<String>) -> Response {
    let Some(ticket) = Ticket::parse(&ticket) else { return spent() };
    let own = pages.clone();
    let person = tokio::task::spawn_blocking(move || own.redeem(&ticket)).await;
    let person = match person {
        Ok(Ok(Some(person))) => person,
        Ok(Ok(None)) => return spent(),
        Ok(Err(fault)) => return failed(&fault),
        Err(broke) => return failed(&broke),
    };
    match pages.sessions.begin(&person, pages.control.federation().now()) {
        Some(session) => moved(&format!("{}; Max-Age={}", cookie(session.reveal()), LASTS.as_secs())),
        None => failed(&"too many sessions"),
    }
}

async fn show(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    let Some(person) = pages.person(&headers) else {
        return page(StatusCode::UNAUTHORIZED, html::notice("No session", "Ask a registrar for a link to this page."));
    };
    let control = pages.control.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let known = Known::find(&control.federation(), &person)?;
        Ok::<_, Fault>(known.map(|known| known.shown(&control.snapshot())))
    });
    match looked.await {
        Ok(Ok(Some(shown))) => page(StatusCode::OK, html::page(&shown, pages.wallet.as_deref())),
        Ok(Ok(None)) => page(StatusCode::NOT_FOUND, html::notice("Not on record", "Nothing is on record about you.")),
        Ok(Err(fault)) => failed(&fault),
        Err(broke) => failed(&broke),
    }
}

async fn leave(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    if let Some(ticket) = presented(&headers) {
        pages.sessions.end(&ticket);
    }
    moved(&format!("{}; Max-Age=0", cookie("")))
}

async fn style() -> Response {
    answer(StatusCode::OK, "text/css; charset=utf-8", html::STYLE.to_owned())
}

/// Returns the session that a request presents; none if it presents two.
fn presented(headers: &HeaderMap) -> Option<Ticket> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut own = pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value);
    match (own.next(), own.next()) {
        (Some(value), None) => Ticket::parse(value),
        _ => None,
    }
}

fn cookie(value: &str) -> String {
    format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict")
}

fn moved(cookie: &str) -> Response {
    let mut response = page(StatusCode::SEE_OTHER, html::notice("Your access", "Go on to `/me`."));
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/me"));
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Says the same of a link that was used, is over, or never was.
fn spent() -> Response {
    let text = "This link was used already, or its 15 minutes are over. Ask a registrar for another.";
    page(StatusCode::GONE, html::notice("This link works no more", text))
}

fn failed(why: &dyn std::fmt::Display) -> Response {
    tracing::error!(%why, "the self-service page cannot answer");
    page(StatusCode::SERVICE_UNAVAILABLE, html::notice("Not now", "The page cannot be shown now. Try again."))
}

/// Answers with a page that nobody keeps or frames.
pub(crate) fn page(status: StatusCode, html: String) -> Response {
    answer(status, "text/html; charset=utf-8", html)
}

fn answer(status: StatusCode, media: &'static str, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        // Nothing of a link reaches another site, and ours learns that its own page sent a form.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests;
