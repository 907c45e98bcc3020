//! The parameters of a request, read from a form or from a JSON object into one shape.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use jose::json;
use serde_json::Value;
use zeroize::Zeroizing;

use super::refusal::Refusal;

/// The longest body that is read, in bytes: an assertion of 8 KiB, an actor's of 4, and the rest.
pub(super) const BODY_BYTES_MAX: usize = 16 << 10;
/// The most parameters that a request may have.
const PARAMETERS_MAX: usize = 64;

/// The parameters of a request. Values may be secrets: they are cleared when dropped and shown nowhere.
pub(super) struct Params(BTreeMap<String, Vec<Zeroizing<String>>>);

impl Params {
    /// Reads a body of either media type; parameters without a value count as left out.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with `invalid_request`.
    ///
    /// # Source
    ///
    /// RFC 6749 sections 3.2 and 4.1.3 (form); the JSON form is what SDKs of workload identity send.
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-www-form-urlencoded" => Self::of_form(body),
            "application/json" => Self::of_json(body),
            _ => Err(Refusal::request("the body must be `application/x-www-form-urlencoded` or `application/json`")),
        }
    }

    /// Returns the value of a parameter that may stand once.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with `invalid_request` if it stands more than once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some([value]) => Ok(Some(value)),
            Some(_) => Err(Refusal::request(format!("`{name}` stands more than once"))),
        }
    }

    /// Returns the value of a parameter that must stand once.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.one(name)?.ok_or_else(|| Refusal::request(format!("`{name}` is missing")))
    }

    /// Returns every value of a parameter that may stand several times.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(|value| value.as_str())
    }

    fn of_form(body: &[u8]) -> Result<Self, Refusal> {
        let malformed = || Refusal::request("the form is malformed");
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        let mut params = Self(BTreeMap::new());
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (form_decoded(name), form_decoded(value));
            params.add(name.ok_or_else(malformed)?.to_string(), value.ok_or_else(malformed)?)?;
        }
        Ok(params)
    }

    fn of_json(body: &[u8]) -> Result<Self, Refusal> {
        let members = json::parse_object(body, BODY_BYTES_MAX);
        let members = members.map_err(|fault| Refusal::request(format!("the body {fault}")))?;
        let mut params = Self(BTreeMap::new());
        for (name, value) in members {
            match value {
                Value::Null => {}
                Value::String(value) => params.add(name, Zeroizing::new(value))?,
                Value::Array(values) => {
                    for value in values {
                        let Value::String(value) = value else { return Err(not_text(&name)) };
                        params.add(name.clone(), Zeroizing::new(value))?;
                    }
                }
                _ => return Err(not_text(&name)),
            }
        }
        Ok(params)
    }

    fn add(&mut self, name: String, value: Zeroizing<String>) -> Result<(), Refusal> {
        if self.0.values().map(Vec::len).sum::<usize>() >= PARAMETERS_MAX {
            return Err(Refusal::request("there are too many parameters"));
        }
        if !value.is_empty() {
            self.0.entry(name).or_default().push(value);
        }
        Ok(())
    }
}

/// Reads a text as a form spells it; nothing if it is not one.
///
/// # Source
///
/// RFC 6749 appendix B.
pub(super) fn form_decoded(text: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
}

fn not_text(name: &str) -> Refusal {
    let name: String = name.chars().take(40).collect();
    Refusal::request(format!("`{name}` must be text"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(media_type: &str, body: &str) -> Result<Params, Refusal> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, media_type.parse().unwrap())]);
        Params::read(&headers, body.as_bytes())
    }

    #[test]
    fn a_form_and_a_json_object_read_the_same() {
        let form = read("application/x-www-form-urlencoded;charset=UTF-8", "a=x%20y+z&b=&resource=1&resource=2");
        let json = read("application/json", r#"{"a":"x y z","b":null,"resource":["1","2"]}"#);
        for params in [form.unwrap_or_else(|_| panic!()), json.unwrap_or_else(|_| panic!())] {
            assert_eq!(params.one("a").unwrap(), Some("x y z"));
            assert_eq!(params.one("b").unwrap(), None);
            assert_eq!(params.all("resource").collect::<Vec<_>>(), ["1", "2"]);
            assert!(params.one("resource").is_err());
            assert!(params.required("b").is_err());
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let many = "a=1&".repeat(PARAMETERS_MAX + 1);
        for (media_type, body) in [
            ("text/plain", "a=1"),
            ("application/x-www-form-urlencoded", "a=%zz"),
            ("application/x-www-form-urlencoded", "a=%ff"),
            ("application/x-www-form-urlencoded", many.as_str()),
            ("application/json", r#"{"a":"1","a":"2"}"#),
            ("application/json", r#"{"a":1}"#),
            ("application/json", r#"{"a":[1]}"#),
            ("application/json", "[]"),
        ] {
            assert!(read(media_type, body).is_err(), "{media_type} {body}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in "\\PC{0,60}", json in any::<bool>()) {
            let _ = read(if json { "application/json" } else { "application/x-www-form-urlencoded" }, &body);
        }
    }
}
