//! The pages by which a person comes from a link, or from their own page, to their wallet. Plain HTML without script.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use terms::PersonId;

use super::{
    Wallet,
    fault::WalletFault,
    presentation::{Begun, Outcome},
    qr,
};
use crate::page::{html, page};

/// How often the page that waits asks again, in seconds.
const REFRESH_S: u32 = 3;

/// Shows a button: a link that a mail scanner follows must not be used up by it.
pub(super) async fn door(State(wallet): State<Wallet>, Path(secret): Path<String>) -> Response {
    match wallet.link_owner(&secret).await {
        Ok(person) => wallet.door_page(person).await,
        Err(fault) => told(&fault),
    }
}

/// Uses the link up and begins.
pub(super) async fn enter(State(wallet): State<Wallet>, Path(secret): Path<String>) -> Response {
    let redeemed = wallet.redeemed(secret).await;
    match redeemed {
        Ok(person) => begun(wallet.begin(person).await),
        Err(fault) => told(&fault),
    }
}

/// Shows the button to a person who came by their own page.
pub(super) async fn own_door(State(wallet): State<Wallet>, headers: HeaderMap) -> Response {
    match wallet.own(&headers) {
        Some(person) => wallet.door_page(person).await,
        None => nobody(),
    }
}

/// Begins for a person who came by their own page.
pub(super) async fn own_enter(State(wallet): State<Wallet>, headers: HeaderMap) -> Response {
    match wallet.own(&headers) {
        Some(person) if !wallet.0.own_begun.allows(person.as_str(), wallet.now()) => {
            notice(StatusCode::TOO_MANY_REQUESTS, "Not so often", "Wait a minute before you begin again.")
        }
        Some(person) => begun(wallet.begin(person).await),
        None => nobody(),
    }
}

/// Shows how to open the wallet, and then what became of it.
pub(super) async fn progress(State(wallet): State<Wallet>, Path(id): Path<String>) -> Response {
    let outcome = wallet.outcome(&id).and_then(|outcome| Ok((outcome, wallet.wallet_url(&id)?)));
    match outcome {
        Ok((Outcome::Waiting | Outcome::Answering, url)) => match wallet.asked(&id).await {
            Ok(name) => waiting(&name, &url),
            Err(fault) => told(&fault),
        },
        Ok((Outcome::Accepted, _)) => notice(StatusCode::OK, "It is on record", "What you showed is on record now."),
        Ok((Outcome::Refused { .. }, _)) => {
            notice(StatusCode::OK, "Nothing was shown", "Your wallet showed nothing, and nothing was recorded.")
        }
        Err(fault) => told(&fault),
    }
}

impl Wallet {
    /// Returns whose session of their own page a request has.
    fn own(&self, headers: &HeaderMap) -> Option<PersonId> {
        self.0.pages.as_ref().and_then(|pages| pages.person(headers))
    }

    /// Returns the name of the person about whom request `id` is.
    async fn asked(&self, id: &str) -> Result<String, WalletFault> {
        self.name_of(self.asked_of(id)?).await
    }

    async fn name_of(&self, person: PersonId) -> Result<String, WalletFault> {
        let asked = person.clone();
        let known = self.blocking(move |federation| federation.read(|view| view.person(&asked))).await?;
        known.map(|known| known.display_name).ok_or(WalletFault::Person(person))
    }

    /// Shows the button, and about whom what is shown will be recorded: whoever was led here by somebody else sees it.
    async fn door_page(&self, person: PersonId) -> Response {
        let name = match self.name_of(person).await {
            Ok(name) => html::escaped(&name),
            Err(fault) => return told(&fault),
        };
        let body = format!(
            "<h1>Show a credential</h1>\n<p>You will be asked to show your nationalities from a wallet. What you show is \
             recorded about <strong>{name}</strong>. Go on only if that is you, and show your own.</p>\n\
             <form method=\"post\"><button type=\"submit\">Continue</button></form>\n"
        );
        page(StatusCode::OK, html::document("Show a credential", &body))
    }
}

fn begun(begun: Result<Begun, WalletFault>) -> Response {
    let begun = match begun {
        Ok(begun) => begun,
        Err(fault) => return told(&fault),
    };
    let path = format!("/wallet/present/{}", begun.id);
    let mut response = notice(StatusCode::SEE_OTHER, "Show a credential", "Go on to your wallet.");
    if let Ok(path) = HeaderValue::from_str(&path) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    response
}

/// The page asks again by itself, which a header does without script.
fn waiting(name: &str, wallet_url: &str) -> Response {
    let (name, url) = (html::escaped(name), html::escaped(wallet_url));
    let code = qr::svg(wallet_url).map_or_else(String::new, |code| {
        format!("<p>Or scan this with the wallet on another device.</p>\n<p>{code}</p>\n")
    });
    let body = format!(
        "<h1>Open your wallet</h1>\n<p>What you show is recorded about <strong>{name}</strong>.</p>\n<p><a href=\"{url}\">Open the wallet on this device</a>.</p>\n{code}\
         <p role=\"status\">Waiting for your wallet, for five minutes at most.</p>\n"
    );
    let mut response = page(StatusCode::OK, html::document("Open your wallet", &body));
    response.headers_mut().insert(header::REFRESH, HeaderValue::from(REFRESH_S));
    response
}

fn nobody() -> Response {
    notice(StatusCode::UNAUTHORIZED, "No session", "Ask a registrar for a link to this page.")
}

/// Says what is wrong in the same words, with the status that a program gets.
fn told(fault: &WalletFault) -> Response {
    tracing::info!(%fault, "a person could not go on to their wallet");
    let text = match fault {
        WalletFault::Gone => "This link or request was used already, or its time is over. Ask for another.".to_owned(),
        other => format!("{other}."),
    };
    notice(fault.code().0, "This does not work now", &text)
}

fn notice(status: StatusCode, title: &str, text: &str) -> Response {
    page(status, html::notice(title, text)).into_response()
}
