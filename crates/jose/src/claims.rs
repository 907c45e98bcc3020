//! Claims whose type is part of their meaning: times and audiences (RFC 7519 section 4.1).

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;
use terms::Moment;

use crate::json::Object;

/// The most audiences that a token may name.
const AUDIENCES_MAX: usize = 64;

/// A claim that is missing, malformed, or out of its time.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClaimFault {
    /// A claim that this kind of token must have.
    #[error("the token has no claim `{0}`")]
    Missing(&'static str),
    /// A claim of the wrong type, or out of its range.
    #[error("the token's claim `{0}` is malformed")]
    Wrong(&'static str),
    /// A claim by which it is a token of another kind.
    #[error("the token's claim `{0}` makes it a token of another kind")]
    Foreign(&'static str),
    /// The claims together; in words.
    #[error("the token's claims are malformed: {0}")]
    Shape(String),
    /// The token was made in the future.
    #[error("the token's `iat` lies in the future")]
    Early,
    /// The token does not hold yet.
    #[error("the token does not hold before its `nbf`")]
    NotYet,
    /// The token no longer holds.
    #[error("the token has expired")]
    Expired,
}

impl ClaimFault {
    /// Says what is wrong with the claims as a whole, and never repeats a value: values are about people.
    pub(crate) fn shape(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let names_only = text.starts_with("missing field");
        Self::Shape(if names_only { text } else { "a claim has the wrong type".to_owned() })
    }
}

/// A time in a claim: seconds since the epoch, as a JSON number, whole or with a fraction.
///
/// Text, a negative number, or one beyond [`Moment::MAX`] is refused. As `Option<NumericDate>` a claim may be missing,
/// but not malformed.
///
/// # Source
///
/// RFC 7519 section 2.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct NumericDate(pub Moment);

impl NumericDate {
    /// Reads a time out of a JSON value.
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let millis = match value.as_u64() {
            Some(seconds) => i64::try_from(seconds.checked_mul(1000)?).ok()?,
            None => millis_of_fraction(value.as_number()?.as_f64()?)?,
        };
        (millis <= Moment::MAX.as_millis()).then(|| Self(Moment::from_millis(millis)))
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_value(&value).ok_or_else(|| D::Error::custom("not a time in seconds since the epoch"))
    }
}

/// Written in whole seconds, rounded down.
impl Serialize for NumericDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0.as_millis() / 1000)
    }
}

/// How far the clocks of two parties may differ; the same in both directions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Skew(Duration);

impl Skew {
    /// The most that is granted.
    const MAX: Self = Self(Duration::from_secs(300));
    /// For parties that keep their clocks: a minute.
    pub const USUAL: Self = Self(Duration::from_secs(60));

    /// Makes a skew of `by`, at most five minutes.
    #[must_use]
    pub fn new(by: Duration) -> Self {
        Self(by.min(Self::MAX.0))
    }

    /// Returns how far the clocks may differ.
    #[must_use]
    pub fn by(self) -> Duration {
        self.0
    }
}

/// When a token was made, and from when until when it holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Times {
    /// When it was made.
    pub iat: Option<Moment>,
    /// From when it holds.
    pub nbf: Option<Moment>,
    /// When it holds no longer.
    pub exp: Option<Moment>,
}

impl Times {
    /// Reads the three claims.
    ///
    /// # Errors
    ///
    /// [`ClaimFault::Wrong`]: one is there and is no time. It is never taken as missing.
    ///
    /// # Source
    ///
    /// RFC 7519 sections 4.1.4 to 4.1.6.
    pub fn of(payload: &Object) -> Result<Self, ClaimFault> {
        let time = |name| match payload.get(name) {
            None => Ok(None),
            Some(value) => NumericDate::from_value(value).map(|date| Some(date.0)).ok_or(ClaimFault::Wrong(name)),
        };
        Ok(Self { iat: time("iat")?, nbf: time("nbf")?, exp: time("exp")? })
    }

    /// Requires that the token holds at `now`, give or take `skew`. What is not said is not asked.
    ///
    /// # Errors
    ///
    /// [`ClaimFault`]: made in the future, not yet, or no longer.
    pub fn check(&self, now: Moment, skew: Skew) -> Result<(), ClaimFault> {
        let latest = now.plus(skew.by());
        if self.iat.is_some_and(|iat| iat > latest) {
            return Err(ClaimFault::Early);
        }
        if self.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(ClaimFault::NotYet);
        }
        match self.exp {
            Some(exp) if exp.plus(skew.by()) <= now => Err(ClaimFault::Expired),
            _ => Ok(()),
        }
    }
}

/// For whom a token is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Audience(Vec<String>);

impl Audience {
    /// Reads `aud`; nobody, if it is not there.
    ///
    /// # Errors
    ///
    /// [`ClaimFault::Wrong`]: neither text nor an array of at most 64 texts.
    ///
    /// # Source
    ///
    /// RFC 7519 section 4.1.3.
    pub fn of(payload: &Object) -> Result<Self, ClaimFault> {
        payload.get("aud").map_or(Ok(Self(Vec::new())), |aud| Self::from_value(aud).ok_or(ClaimFault::Wrong("aud")))
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::String(one) => Some(Self(vec![one.clone()])),
            Value::Array(many) if many.len() <= AUDIENCES_MAX => {
                many.iter().map(|each| each.as_str().map(str::to_owned)).collect::<Option<_>>().map(Self)
            }
            _ => None,
        }
    }

    /// Tells whether `audience` is named, letter for letter.
    #[must_use]
    pub fn contains(&self, audience: &str) -> bool {
        self.0.iter().any(|each| each == audience)
    }

    /// Tells whether `audience` and no other is named.
    #[must_use]
    pub fn is_only(&self, audience: &str) -> bool {
        matches!(self.0.as_slice(), [only] if only == audience)
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_value(&value).ok_or_else(|| D::Error::custom("neither text nor an array of text"))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn millis_of_fraction(seconds: f64) -> Option<i64> {
    let millis = seconds * 1000.0;
    // 2^53: beyond it a double no longer tells milliseconds apart; `Moment::MAX` is far below.
    (0.0..=9_007_199_254_740_992.0).contains(&millis).then_some(millis as i64)
}
