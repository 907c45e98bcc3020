//! What witnesses and mirrors are asked, and what they answer.

use std::time::Duration;

use axum::http::{StatusCode, header};
use bytes::Bytes;
use fetch::{Client, Request, Response, Url};
use proof::{
    checkpoint::Checkpoint,
    cosignature::{self, CosignerKey},
    note::{Note, NoteSignature},
};

use super::pace::Pace;
use crate::request::decimal;

/// What a peer answered to a checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// It took the checkpoint; its lines, not checked yet.
    Taken(String),
    /// It knows a checkpoint of this size.
    Knows(u64),
    /// The checkpoint does not follow from what it knows.
    Inconsistent,
    /// Anything else.
    Refused(String),
}

/// Posts a body to a path below the peer's prefix.
pub(super) async fn post(
    client: &Client,
    prefix: &Url,
    path: &str,
    media: &'static str,
    body: Bytes,
) -> Result<Response, String> {
    let url = below(prefix, path)?;
    client.send(Request::post(url, media, body)).await.map_err(|fault| fault.to_string())
}

/// Gets a path below the peer's prefix; `None` if it is not there.
pub(super) async fn get(client: &Client, prefix: &Url, path: &str) -> Result<Option<String>, String> {
    let response = client.send(Request::get(below(prefix, path)?)).await.map_err(|fault| fault.to_string())?;
    let text = || String::from_utf8(response.body.to_vec()).map_err(|_| "the answer is not text".to_owned());
    if response.status == 200 { text().map(Some) } else { Ok(None) }
}

fn below(prefix: &Url, path: &str) -> Result<Url, String> {
    let prefix = prefix.to_string();
    Url::parse(&format!("{}/{path}", prefix.trim_end_matches('/'))).map_err(|bad| bad.to_string())
}

/// Reads for how long a peer asks to be left alone, at least a second and at most a minute; `None` if it does not ask.
pub(super) fn retry_after(told: &Response) -> Option<Duration> {
    let asked = told.headers.get(header::RETRY_AFTER).filter(|_| told.status == StatusCode::SERVICE_UNAVAILABLE)?;
    let seconds = asked.to_str().ok().and_then(decimal)?;
    Some(Duration::from_secs(seconds).clamp(Pace::LEAST, Pace::MOST))
}

/// Reads the answer to an `add-checkpoint`.
pub(super) fn answer(status: u16, body: &[u8]) -> Answer {
    let text = || String::from_utf8_lossy(body);
    match status {
        200 => Answer::Taken(text().into_owned()),
        409 => match text().strip_suffix('\n').and_then(decimal) {
            Some(size) => Answer::Knows(size),
            None => Answer::Refused("409 without a size".to_owned()),
        },
        422 => Answer::Inconsistent,
        other => Answer::Refused(format!("{other}: {}", text().trim_end().chars().take(200).collect::<String>())),
    }
}

/// Returns the cosignatures in `lines` of those keys that are known, all of which hold; at least one.
pub(super) fn cosignatures(
    checkpoint: &Checkpoint,
    lines: &str,
    keys: &[CosignerKey],
) -> Result<Vec<NoteSignature>, String> {
    let note = Note::parse(format!("{}\n{lines}", checkpoint.body()).as_bytes())
        .map_err(|bad| format!("it answered no signature lines: {bad}"))?;
    let found = cosignature::verify(&note, keys).map_err(|bad| bad.to_string())?;
    if found.is_empty() || found.iter().any(|seen| seen.time == 0) {
        return Err("it did not cosign with a key that is configured, or without the time".to_owned());
    }
    let known =
        |signature: &&NoteSignature| keys.iter().any(|key| key.id() == signature.id && key.name() == signature.name);
    Ok(note.signatures().iter().filter(known).cloned().collect())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proof::cosignature::{Algorithm, CosignerSecret};
    use proptest::prelude::*;

    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "log.example".to_owned(), size: 5, root: [1; 32] }
    }

    fn secret(n: u8) -> CosignerSecret {
        CosignerSecret::from_seed("w.example", Algorithm::Ed25519, &[n; 32]).unwrap()
    }

    #[test]
    fn answers_are_told_apart_by_their_status() {
        assert_eq!(answer(200, b"x"), Answer::Taken("x".to_owned()));
        assert_eq!(answer(409, b"17\n"), Answer::Knows(17));
        for body in ["17", "017\n", "x\n", ""] {
            assert!(matches!(answer(409, body.as_bytes()), Answer::Refused(_)), "{body:?}");
        }
        assert_eq!(answer(422, b""), Answer::Inconsistent);
        assert_eq!(answer(404, b"unknown\n"), Answer::Refused("404: unknown".to_owned()));
    }

    #[test]
    fn a_peer_that_is_busy_is_left_alone_for_as_long_as_it_asks_within_bounds() {
        let told = |status: u16, asked: Option<&'static str>| {
            let headers = asked.map(|asked| (header::RETRY_AFTER, HeaderValue::from_static(asked)));
            let status = StatusCode::from_u16(status).unwrap();
            retry_after(&Response { status, headers: headers.into_iter().collect(), body: Bytes::new() })
        };
        let waits = ["0", "7", "100000"].map(|asked| told(503, Some(asked)).unwrap().as_secs());
        assert_eq!(waits, [1, 7, 60]);
        for (status, asked) in [(503, None), (503, Some("soon")), (503, Some("-1")), (500, Some("7")), (200, Some("7"))]
        {
            assert_eq!(told(status, asked), None, "{status} {asked:?}");
        }
    }

    #[test]
    fn only_cosignatures_of_known_keys_are_taken_and_one_must_be_there() {
        let (known, other) = (secret(1), secret(2));
        let keys = [known.public().clone()];
        let line = |secret: &CosignerSecret, time| format!("{}\n", secret.cosign(&checkpoint(), time).unwrap());
        let both = line(&other, 5) + &line(&known, 5);
        assert_eq!(cosignatures(&checkpoint(), &both, &keys).unwrap().len(), 1);
        assert!(cosignatures(&checkpoint(), &line(&other, 5), &keys).is_err());
        assert!(cosignatures(&checkpoint(), &line(&known, 0), &keys).is_err());
        assert!(cosignatures(&checkpoint(), "", &keys).is_err());
        let elsewhere = Checkpoint { size: 6, ..checkpoint() };
        assert!(cosignatures(&elsewhere, &line(&known, 5), &keys).is_err());
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused_without_a_panic(status: u16, body: Vec<u8>, text in "(\u{2014} w.example [A-Za-z0-9=]{0,20}\n){0,2}") {
            let _ = answer(status, &body);
            prop_assert!(cosignatures(&checkpoint(), &text, &[secret(1).public().clone()]).is_err());
        }
    }
}
