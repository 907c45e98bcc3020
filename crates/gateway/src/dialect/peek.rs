//! What the decision needs of a request body, found without taking the body apart.
//!
//! The bytes that are decided on are the bytes that are forwarded. So a body passes only if every reader finds
//! the same thing in it: strict JSON, each member once, none in a spelling that a lenient reader takes for another.

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::Range};

use bytes::Bytes;
use memchr::memchr2;
use serde::{Deserializer, de};
use serde_json::value::RawValue;

use super::{Operation, Problem, Route};

/// Arrays and objects may lie this deep within each other, the body itself included.
///
/// Tool schemas in use stay under 20; readers that recurse give up between 100 and 500.
const DEPTH_MAX: usize = 64;

/// A model name is at most this long, in bytes.
const MODEL_BYTES_MAX: usize = 128;

/// What the decision needs of a request body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Peek {
    /// The model or alias asked for, 1 to 128 bytes.
    pub model: String,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// The most output tokens asked for; the greatest, where the dialect has two names for it.
    pub max_output_tokens: Option<u64>,
    /// The stored response that this one continues.
    pub previous_response_id: Option<String>,
    /// Whether the upstream is to go on after the client is gone, and keep the output for later.
    pub background: bool,
    /// Whether input or instructions stored upstream are referred to (`conversation`, `prompt`).
    pub stored_input: bool,
    /// Whether token log-probabilities are asked for.
    pub logprobs: bool,
    /// Where the value of `model` lies in the body, quotes included.
    model_at: Range<usize>,
}

/// Finds what the decision needs of the body of an operation that names a model.
///
/// Members it does not know are left alone.
///
/// # Errors
///
/// [`Problem::BadRequest`] if the body is not UTF-8, not one JSON object, deeper than 64, has a member twice
/// (also in another case), names a second model, or has a member that is read here and is not of its type.
pub(crate) fn peek(route: &Route, body: &[u8]) -> Result<Peek, Problem> {
    let text = std::str::from_utf8(body)
        .map_err(|fault| Problem::bad_request(format!("the body is not UTF-8 from byte {} on", fault.valid_up_to())))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let members = (&mut json).deserialize_map(TopLevel).and_then(|members| {
        json.end()?;
        Ok(members)
    });
    let members = members.map_err(|fault| Problem::bad_request(format!("the body is refused: {fault}")))?;
    members.peek(&route.operation, text)
}

/// Puts another model's name into a body; every other byte stays as it is. Free if the name is already there.
///
/// `peek` must have come from the same body; from a shorter one the result is empty, which no upstream takes.
pub(crate) fn with_model(body: &Bytes, peek: &Peek, model: &str) -> Bytes {
    if peek.model == model {
        return body.clone();
    }
    let Range { start, end } = peek.model_at;
    let (Some(before), Some(after)) = (body.get(..start), body.get(end..)) else {
        return Bytes::new();
    };
    let name = super::problem::json(&model);
    Bytes::from([before, name.as_ref(), after].concat())
}

/// Members that are read here, or refused.
const READ: [&str; 15] = [
    "background",
    "conversation",
    "fallback_models",
    "fallbacks",
    "include",
    "logprobs",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "model",
    "models",
    "previous_response_id",
    "prompt",
    "stream",
    "top_logprobs",
];

/// Members by which some servers let a request name further models, which no permit would cover.
const SECOND_MODEL: [&str; 3] = ["models", "fallbacks", "fallback_models"];

/// The members read, as they are written in the body.
struct Members<'a>(Vec<(&'static str, &'a RawValue)>);

impl<'a> Members<'a> {
    fn peek(&self, operation: &Operation, text: &str) -> Result<Peek, Problem> {
        if let Some(name) = SECOND_MODEL.into_iter().find(|name| self.is_set(name)) {
            return Err(Problem::bad_member(name, format!("`{name}` is not accepted: name one model in `model`")));
        }
        let (model, model_at) = self.model(text)?;
        Ok(Peek {
            model,
            stream: self.flag("stream")?,
            max_output_tokens: self.max_output_tokens(operation)?,
            previous_response_id: self.text("previous_response_id")?,
            background: self.flag("background")?,
            stored_input: matches!(operation, Operation::Responses | Operation::ResponsesCompact)
                && (self.is_set("conversation") || self.is_set("prompt")),
            logprobs: self.logprobs(),
            model_at,
        })
    }

    fn model(&self, text: &str) -> Result<(String, Range<usize>), Problem> {
        let Some(raw) = self.get("model") else {
            return Err(Problem::bad_member("model", "`model` is missing: name the model to use"));
        };
        let name: String = serde_json::from_str(raw).unwrap_or_default();
        if name.is_empty() || name.len() > MODEL_BYTES_MAX {
            return Err(Problem::bad_member("model", "`model` must be a string of 1 to 128 bytes"));
        }
        let start = raw.as_ptr().addr().saturating_sub(text.as_ptr().addr());
        Ok((name, start..start + raw.len()))
    }

    fn max_output_tokens(&self, operation: &Operation) -> Result<Option<u64>, Problem> {
        let names: &[&'static str] = match operation {
            Operation::ChatCompletions => &["max_completion_tokens", "max_tokens"],
            Operation::Completions | Operation::Messages => &["max_tokens"],
            Operation::Responses => &["max_output_tokens"],
            _ => &[],
        };
        let mut most = None;
        for name in names {
            most = most.max(self.count(name)?);
        }
        Ok(most)
    }

    /// Errs to the side of true: what is asked for here is what a permit may forbid.
    fn logprobs(&self) -> bool {
        let asked = |name| self.get(name).is_some_and(|raw| raw != "null" && raw != "false");
        asked("logprobs")
            || asked("top_logprobs")
            || self.get("include").is_some_and(|raw| raw.contains("logprobs") || raw.contains('\\'))
    }

    fn flag(&self, name: &'static str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("null" | "false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::bad_member(name, format!("`{name}` must be true or false"))),
        }
    }

    fn count(&self, name: &'static str) -> Result<Option<u64>, Problem> {
        let read = |raw| {
            serde_json::from_str(raw)
                .map_err(|_| Problem::bad_member(name, format!("`{name}` must be a whole number, zero or more")))
        };
        self.get(name).map_or(Ok(None), read)
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, Problem> {
        let read = |raw| {
            serde_json::from_str(raw).map_err(|_| Problem::bad_member(name, format!("`{name}` must be a string")))
        };
        self.get(name).map_or(Ok(None), read)
    }

    fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some_and(|raw| raw != "null")
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, raw)| raw.get())
    }
}

/// Reads one JSON object and keeps what is in [`READ`].
struct TopLevel;

impl<'de> de::Visitor<'de> for TopLevel {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::with_capacity(8);
        let mut seen = BTreeSet::new();
        while let Some(Key(key)) = map.next_key()? {
            let raw: &'de RawValue = map.next_value()?;
            if is_deeper_than(raw.get().as_bytes(), DEPTH_MAX - 1) {
                return Err(de::Error::custom(format_args!("it is nested deeper than {DEPTH_MAX}")));
            }
            let folded = fold(key.clone());
            if let Some(known) = READ.into_iter().find(|known| *known == folded) {
                if key != known {
                    return Err(de::Error::custom(format_args!("the member `{known}` must be spelled exactly so")));
                }
                members.push((known, raw));
            }
            if !seen.insert(folded) {
                let name: String = key.chars().take(64).collect();
                return Err(de::Error::custom(format_args!("the member `{name}` is there more than once")));
            }
        }
        Ok(Members(members))
    }
}

/// The name of a member, borrowed unless it is written with escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Folds a name as readers do that match names in any case, such as Go's: `K` (Kelvin) is `k`, `ſ` is `s`.
fn fold(name: Cow<'_, str>) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii() && !b.is_ascii_uppercase();
    if name.bytes().all(plain) {
        return name;
    }
    let lower = name.chars().flat_map(char::to_lowercase);
    Cow::Owned(lower.map(|c| if c == 'ſ' { 's' } else { c }).collect())
}

/// Returns true if arrays and objects lie more than `limit` deep in `json`, which must be valid.
fn is_deeper_than(json: &[u8], limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut rest = json;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'"' => rest = after_string(tail),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

/// Returns what follows the string whose opening quote was just read.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let escaped = rest.get(at) == Some(&b'\\');
        let skip = if escaped { at + 2 } else { at + 1 };
        rest = rest.get(skip..).unwrap_or_default();
        if !escaped {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use terms::Dialect;

    use super::*;

    fn at(operation: Operation) -> Route {
        Route { dialect: Dialect::Openai, operation }
    }

    fn chat(body: &str) -> Result<Peek, Problem> {
        peek(&at(Operation::ChatCompletions), body.as_bytes())
    }

    fn refused(body: &[u8]) -> (String, Option<&'static str>) {
        match peek(&at(Operation::ChatCompletions), body) {
            Err(Problem::BadRequest { message, param }) => (message, param),
            other => panic!("{other:?} for {:?}", String::from_utf8_lossy(body)),
        }
    }

    #[test]
    fn a_body_is_read_as_far_as_the_decision_needs_and_no_further() {
        let found = chat(r#"{"messages":[{"role":"user","content":"{\"model\":\"no\"}"}],"stream":true,"model":"nova-1","max_tokens":5,"max_completion_tokens":9,"logprobs":true,"x":1e999}"#).unwrap();
        assert_eq!(found.model, "nova-1");
        assert!(found.stream && found.logprobs && !found.background && !found.stored_input);
        assert_eq!(found.max_output_tokens, Some(9));
    }

    #[test]
    fn a_responses_body_shows_what_it_refers_to() {
        let body = br#"{"model":"m","previous_response_id":"resp_1","background":true,"conversation":"c","max_output_tokens":4,"stream":null}"#;
        let found = peek(&at(Operation::Responses), body).unwrap();
        assert_eq!(found.previous_response_id.as_deref(), Some("resp_1"));
        assert!(found.background && found.stored_input && !found.stream);
        assert_eq!(found.max_output_tokens, Some(4));
    }

    #[test]
    fn a_completions_prompt_is_not_a_stored_one() {
        let found = peek(&at(Operation::Completions), br#"{"model":"m","prompt":"hi"}"#);
        assert!(!found.unwrap().stored_input);
    }

    #[test]
    fn a_body_that_two_readers_could_read_differently_is_refused() {
        for body in [
            &br#"{"model":"a","model":"b"}"#[..],
            br#"{"model":"a","mod\u0065l":"b"}"#,
            br#"{"model":"a","Model":"b"}"#,
            br#"{"MODEL":"a"}"#,
            "{\"model\":\"a\",\"ſtream\":true}".as_bytes(),
            br#"{"model":"a","x":1,"x":2}"#,
            br#"{"model":"a"} {"model":"b"}"#,
            br#"{"model":"a",}"#,
            br#"{"model":"a" /* no */}"#,
            br#"{'model':'a'}"#,
            br#"{"model":"a","x":NaN}"#,
            b"\xef\xbb\xbf{\"model\":\"a\"}",
            b"{\"model\":\"\xff\"}",
            br#"[{"model":"a"}]"#,
            b"",
            b"null",
            br#"{"model":"a","models":["b"]}"#,
            br#"{"model":"a","fallbacks":["b"]}"#,
        ] {
            refused(body);
        }
    }

    #[test]
    fn a_member_of_the_wrong_type_is_named() {
        for (body, param) in [
            (r#"{"stream":true}"#, "model"),
            (r#"{"model":null}"#, "model"),
            (r#"{"model":7}"#, "model"),
            (r#"{"model":""}"#, "model"),
            (r#"{"model":"\ud800"}"#, "model"),
            (r#"{"model":"a","stream":"true"}"#, "stream"),
            (r#"{"model":"a","stream":1}"#, "stream"),
            (r#"{"model":"a","max_tokens":-1}"#, "max_tokens"),
            (r#"{"model":"a","max_tokens":"9"}"#, "max_tokens"),
            (r#"{"model":"a","previous_response_id":[]}"#, "previous_response_id"),
        ] {
            assert_eq!(refused(body.as_bytes()).1, Some(param), "{body}");
        }
        let long = format!(r#"{{"model":"{}"}}"#, "a".repeat(129));
        assert_eq!(refused(long.as_bytes()).1, Some("model"));
    }

    #[test]
    fn a_body_nested_64_deep_passes_and_65_deep_does_not() {
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            format!(r#"{{"model":"a","brackets":"[[[\"[","x":{open}{close}}}"#)
        };
        assert!(chat(&nested(63)).is_ok());
        assert!(refused(nested(64).as_bytes()).0.contains("deeper than 64"));
        assert!(refused(nested(100_000).as_bytes()).0.contains("deeper than 64"));
    }

    #[test]
    fn another_model_is_spliced_in_and_nothing_else_is_touched() {
        let body = Bytes::from_static(br#" { "x" : "model", "model" : "as\u0073istant" , "y":1.0 } "#);
        let found = peek(&at(Operation::ChatCompletions), &body).unwrap();
        assert_eq!(found.model, "assistant");
        assert_eq!(
            with_model(&body, &found, "nova-1").as_ref(),
            br#" { "x" : "model", "model" : "nova-1" , "y":1.0 } "#
        );
        assert_eq!(with_model(&body, &found, "assistant").as_ptr(), body.as_ptr());
        assert!(with_model(&Bytes::from_static(b"{}"), &found, "nova-1").is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_peek_panic(body in any::<Vec<u8>>()) {
            let _ = peek(&at(Operation::Messages), &body);
        }

        #[test]
        fn no_text_like_json_makes_a_peek_panic(body in "[{}\\[\\]\",:\\\\a-dmu0-9 ]{0,64}") {
            let _ = peek(&at(Operation::Responses), body.as_bytes());
        }

        #[test]
        fn a_spliced_body_differs_from_the_original_in_the_model_only(
            before in "[ -~]{0,24}", name in "[ -~]{1,32}", after in "\\PC{0,24}", other in "\\PC{1,32}",
        ) {
            let quote = |text: &str| serde_json::to_string(text).unwrap();
            let head = format!("{{{}:0,\"model\" : ", quote(&format!("a{before}")));
            let tail = format!(" ,{}:[null,{}]}}", quote(&format!("b{after}")), quote(&after));
            let body = Bytes::from(format!("{head}{}{tail}", quote(&name)));
            let found = peek(&at(Operation::ChatCompletions), &body).unwrap();
            prop_assert_eq!(&found.model, &name);
            let spliced = with_model(&body, &found, &other);
            let expected = format!("{head}{}{tail}", quote(&other));
            prop_assert_eq!(&spliced[..], expected.as_bytes());
        }
    }
}
