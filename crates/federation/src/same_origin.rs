//! Refusing what a page of another site makes a person's browser send here.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
};

use crate::page::{html, page};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What is said of it.
const ELSEWHERE: &str = "This was sent by a page of another site. Open the page here, and press its button.";

/// Guards the routes of `router`, which are reached under `origin`: what a browser says was not sent by a page of that
/// origin, or by the person themselves, is refused with 403 unless it only reads. Programs, which say nothing of the kind,
/// are let through.
///
/// # Source
///
/// Fetch Metadata Request Headers, section 2.4; RFC 6454 section 7.
pub(crate) fn guarded(router: Router, origin: &str) -> Router {
    let origin: Arc<str> = Arc::from(origin);
    router.route_layer(from_fn_with_state(origin, guard))
}

async fn guard(State(origin): State<Arc<str>>, request: Request, next: Next) -> Response {
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if only_reads || !is_from_elsewhere(request.headers(), &origin) {
        return next.run(request).await;
    }
    tracing::warn!(path = request.uri().path(), "a request of another site's page was refused");
    page(StatusCode::FORBIDDEN, html::notice("Sent from elsewhere", ELSEWHERE))
}

/// Where a browser says how its page relates to us, that counts; an older one says only of which origin its page is.
fn is_from_elsewhere(headers: &HeaderMap, own: &str) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter().peekable();
    if sites.peek().is_some() {
        return !sites.all(|site| site == "same-origin" || site == "none");
    }
    headers.get_all(header::ORIGIN).iter().any(|origin| !origin.as_bytes().eq_ignore_ascii_case(own.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_says_is_from_another_page_is_from_elsewhere_and_a_program_says_nothing() {
        let elsewhere = |said: &[(&'static str, &str)]| {
            let header = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
            is_from_elsewhere(&HeaderMap::from_iter(said.iter().map(header)), "https://exeat.example.com")
        };
        for said in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://exeat.example.com")],
            // A browser whose page asks to send no referrer says so, and that the page is ours all the same.
            &[("sec-fetch-site", "same-origin"), ("origin", "null")],
        ] {
            assert!(!elsewhere(said), "{said:?}");
        }
        for said in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://exeat.example.com")],
            &[("origin", "https://evil.example")],
            &[("origin", "https://exeat.example.com.evil.example")],
            &[("origin", "http://exeat.example.com")],
            &[("origin", "null")],
        ] {
            assert!(elsewhere(said), "{said:?}");
        }
    }
}
