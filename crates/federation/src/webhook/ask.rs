//! Asks the vendor's API what is so.

use fetch::{Client, Request, Url};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

use super::{
    Vendor,
    vendor::{Finding, Look, ShapeFault, State, json},
};

/// Bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;

/// The vendor did not say; it sends its delivery again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskFault {
    #[error("the vendor's API does not answer: {0}")]
    Fetch(#[from] fetch::Fault),
    #[error("the vendor's API answers with status {0}")]
    Status(StatusCode),
    #[error("the vendor's API answers, but {0}")]
    Shape(#[from] ShapeFault),
    #[error("the address or the key of the vendor's API is wrong: correct the configuration")]
    Settings,
}

/// Finds out how an object stands now. One that the vendor no longer has is gone.
pub(crate) async fn ask(client: &Client, vendor: &Vendor, look: &Look) -> Result<Finding, AskFault> {
    let Some(answer) = get(client, vendor, &vendor.kind.path(look)).await? else {
        return Ok(Finding { subject: None, state: State::Gone });
    };
    let mut details = Vec::new();
    for path in vendor.kind.details(look, &answer)? {
        match get(client, vendor, &path).await? {
            Some(detail) => details.push(detail),
            None => return Ok(Finding { subject: None, state: State::Gone }),
        }
    }
    Ok(vendor.kind.finding(look, &answer, &details)?)
}

/// Returns an object of the API; `None` if there is none of that id, or no longer.
async fn get(client: &Client, vendor: &Vendor, path: &str) -> Result<Option<Value>, AskFault> {
    let base = vendor.api.as_str().trim_end_matches('/');
    let mut request = Request::get(Url::parse(&format!("{base}{path}")).map_err(|_| AskFault::Settings)?);
    let (scheme, version) = vendor.kind.api();
    let key = vendor.api_key.authorization(scheme).ok_or(AskFault::Settings)?;
    request.headers.insert(header::AUTHORIZATION, key);
    request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some((name, version)) = version {
        request.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(version));
    }
    let response = client.send(request).await?;
    match response.status {
        StatusCode::OK => Ok(Some(json(&response.body, MAX_ANSWER)?)),
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
        status => Err(AskFault::Status(status)),
    }
}
