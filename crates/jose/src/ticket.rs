//! Tickets: a gateway's word to the meter of a model server that a call is on record (`docs/log-format.md` section 9).
//!
//! A ticket names the entry that opened its call, by index and leaf hash. A gateway that mints one for a call and then
//! drops the entry has put the proof of that, under its own key, into the log of somebody else.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use terms::{CallId, ModelVersionId, Moment};

use crate::{
    ClaimFault, Fault, Jwk, NumericDate, SigningFault, SigningKey, Skew, Times, Unverified, json::Object, usage::TICKET,
};

/// The header that carries a ticket.
pub const HEADER: &str = "exeat-ticket";

/// How long a ticket is good after it was minted. A meter remembers each for as long.
pub const LIFE: Duration = Duration::from_secs(60);

/// The longest life of a ticket that is taken; what a meter must remember is bounded by it.
const LIFE_MAX: Duration = Duration::from_secs(600);

/// Milliseconds of the hours that calls count in.
const HOUR_MS: i64 = 3_600_000;

/// The longest `iss` or `aud` that is read, in bytes.
const ORIGIN_BYTES_MAX: usize = 256;

/// One call that a gateway has put on record, for one meter. Not minted, it is what [`Ticket::mint`] signs; verified, it
/// is what the gateway said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ticket {
    /// The origin of the gateway's log.
    pub issuer: String,
    /// The origin of the meter's log.
    pub audience: String,
    /// The call.
    pub call: CallId,
    /// The version that was permitted.
    pub model: ModelVersionId,
    /// The index of the entry that opened the call.
    pub index: u64,
    /// The leaf hash of that entry.
    pub leaf: [u8; 32],
    /// The hour the call counts in: the time of that entry, in milliseconds, divided by 3,600,000.
    pub hour: u64,
}

/// A ticket that verified, with how long it is good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Presented {
    /// What the gateway said.
    pub ticket: Ticket,
    /// From when on it is refused as too old, whoever's clock is behind: until then it must be remembered.
    pub until: Moment,
}

/// A ticket that does not count.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TicketFault {
    /// The token itself: not a ticket, signed by nobody known, or out of its time.
    #[error("the ticket is refused: {0}")]
    Token(#[from] Fault),
    /// Of a gateway that is not known here.
    #[error("the ticket's `iss` is no gateway that this meter knows")]
    Issuer,
    /// For another meter.
    #[error("the ticket's `aud` is not this meter")]
    Audience,
    /// Good for longer than anything should be.
    #[error("the ticket's `exp` lies more than {} s after its `iat`", LIFE_MAX.as_secs())]
    Life,
    /// The hour is not the one in which it was minted.
    #[error("the ticket's `hour` is not that of its `iat`")]
    Hour,
}

impl From<ClaimFault> for TicketFault {
    fn from(fault: ClaimFault) -> Self {
        Self::Token(Fault::Claim(fault))
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    jti: String,
    sub: ModelVersionId,
    idx: u64,
    leaf: String,
    iat: NumericDate,
    exp: NumericDate,
    hour: u64,
}

impl Ticket {
    /// Returns the hour that a call counts in whose opening entry has the time `at`.
    #[must_use]
    pub fn hour_of(at: Moment) -> u64 {
        u64::try_from(at.as_millis() / HOUR_MS).unwrap_or(0)
    }

    /// Mints the ticket: good from `now` for [`LIFE`], and for one request.
    ///
    /// # Errors
    ///
    /// [`SigningFault::Failed`].
    ///
    /// # Source
    ///
    /// `docs/log-format.md` section 9; RFC 7519 section 4.1.
    pub fn mint(&self, key: &SigningKey, now: Moment) -> Result<String, SigningFault> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            jti: self.call.to_string(),
            sub: self.model.clone(),
            idx: self.index,
            leaf: hexadecimal(&self.leaf),
            iat: NumericDate(now),
            exp: NumericDate(now.plus(LIFE)),
            hour: self.hour,
        };
        key.sign("exeat-ticket+jwt", &Object::new(), &claims)
    }
}

/// Verifies a ticket that was presented to the meter `audience`, with the key that `key_of` knows its issuer by.
///
/// What it does not do is to remember it, nor to compare it with the request it came with.
///
/// # Errors
///
/// [`TicketFault`]: refuse the request.
///
/// # Source
///
/// `docs/log-format.md` section 9; RFC 8725 sections 3.8, 3.9 and 3.11.
pub fn verify<'k>(
    token: &str,
    audience: &str,
    key_of: impl FnOnce(&str) -> Option<&'k Jwk>,
    now: Moment,
) -> Result<Presented, TicketFault> {
    let token = Unverified::parse(token, &TICKET)?;
    let key = token.issuer().and_then(key_of).ok_or(TicketFault::Issuer)?;
    let claims: Claims = token.verify(key)?.claims()?;
    if claims.aud != audience {
        return Err(TicketFault::Audience);
    }
    let until = check_times(&claims, now)?;
    Ok(Presented { ticket: claims.read()?, until })
}

/// Reads the ticket that a meter's log kept, with its signature but whatever the time is by now.
///
/// # Errors
///
/// [`TicketFault`]: it is no ticket of an issuer that `key_of` knows.
pub fn reread<'k>(token: &str, key_of: impl FnOnce(&str) -> Option<&'k Jwk>) -> Result<Ticket, TicketFault> {
    let token = Unverified::parse(token, &TICKET)?;
    let key = token.issuer().and_then(key_of).ok_or(TicketFault::Issuer)?;
    let claims: Claims = token.verify(key)?.claims()?;
    Ok(claims.read()?)
}

/// Reads what a ticket says without looking at its signature: good for comparing records, and for letting nobody in.
///
/// # Errors
///
/// [`TicketFault`]: it has not the form of a ticket.
pub fn unverified(token: &str) -> Result<Ticket, TicketFault> {
    let claims: Claims = Unverified::parse(token, &TICKET)?.claims()?;
    Ok(claims.read()?)
}

/// Requires that a ticket holds now and not for too long; returns from when on it never does again.
fn check_times(claims: &Claims, now: Moment) -> Result<Moment, TicketFault> {
    let (NumericDate(iat), NumericDate(exp)) = (claims.iat, claims.exp);
    Times { iat: Some(iat), nbf: None, exp: Some(exp) }.check(now, Skew::USUAL)?;
    if exp.since(iat) > LIFE_MAX {
        return Err(TicketFault::Life);
    }
    let minute = Skew::USUAL.by();
    let before = Moment::from_millis(iat.as_millis() - Moment::from_millis(0).plus(minute).as_millis());
    if !(Ticket::hour_of(before)..=Ticket::hour_of(iat.plus(minute))).contains(&claims.hour) {
        return Err(TicketFault::Hour);
    }
    Ok(exp.plus(minute))
}

impl Claims {
    fn read(self) -> Result<Ticket, ClaimFault> {
        if self.iss.len().max(self.aud.len()) > ORIGIN_BYTES_MAX {
            return Err(ClaimFault::Wrong("iss"));
        }
        Ok(Ticket {
            call: CallId::parse(&self.jti).map_err(|_| ClaimFault::Wrong("jti"))?,
            leaf: from_hexadecimal(&self.leaf).ok_or(ClaimFault::Wrong("leaf"))?,
            issuer: self.iss,
            audience: self.aud,
            model: self.sub,
            index: self.idx,
            hour: self.hour,
        })
    }
}

fn hexadecimal(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads 64 lower-case hexadecimal digits.
fn from_hexadecimal(text: &str) -> Option<[u8; 32]> {
    let (left, right) = text.split_at_checked(32)?;
    let half = |text: &str| CallId::parse(text).ok().map(|half| half.0);
    let mut bytes = [0; 32];
    let (first, second) = bytes.split_at_mut(16);
    first.copy_from_slice(&half(left)?);
    second.copy_from_slice(&half(right)?);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::Alg;

    const METER: &str = "meter.example.com/exeat/1";
    const GATEWAY: &str = "log.example.com/exeat/1";

    fn now() -> Moment {
        Moment::parse("2026-06-12T21:21:00Z").unwrap()
    }

    fn ticket() -> Ticket {
        Ticket {
            issuer: GATEWAY.to_owned(),
            audience: METER.to_owned(),
            call: CallId([7; 16]),
            model: ModelVersionId::parse("mythos-5").unwrap(),
            index: 41,
            leaf: std::array::from_fn(|at| u8::try_from(at).unwrap()),
            hour: Ticket::hour_of(now()),
        }
    }

    fn key() -> SigningKey {
        SigningKey::generate(Alg::EdDsa).unwrap()
    }

    fn present(token: &str, key: &SigningKey, now: Moment) -> Result<Presented, TicketFault> {
        verify(token, METER, |issuer| (issuer == GATEWAY).then(|| key.public()), now)
    }

    #[test]
    fn a_ticket_says_what_it_was_minted_for() {
        let key = key();
        let token = ticket().mint(&key, now()).unwrap();
        let presented = present(&token, &key, now()).unwrap();
        assert_eq!(presented.ticket, ticket());
        assert_eq!(presented.until, now().plus(LIFE + Duration::from_secs(60)));
        assert!(token.len() < 700, "{}", token.len());
    }

    #[test]
    fn a_ticket_is_good_for_its_time_and_reread_for_ever() {
        let key = key();
        let token = ticket().mint(&key, now()).unwrap();
        let late = now().plus(LIFE + Duration::from_secs(60));
        assert_eq!(present(&token, &key, late), Err(Fault::Claim(ClaimFault::Expired).into()));
        let early = Moment::from_millis(now().as_millis() - 61_000);
        assert_eq!(present(&token, &key, early), Err(Fault::Claim(ClaimFault::Early).into()));
        assert_eq!(reread(&token, |_| Some(key.public())), Ok(ticket()));
        assert_eq!(unverified(&token), Ok(ticket()));
    }

    #[test]
    fn a_foreign_ticket_is_refused_by_what_is_foreign() {
        let (mine, stranger) = (key(), key());
        let minted = |change: fn(&mut Ticket)| {
            let mut ticket = ticket();
            change(&mut ticket);
            ticket.mint(&mine, now()).unwrap()
        };
        let fault = |token: &str| present(token, &mine, now()).unwrap_err();
        assert_eq!(fault(&ticket().mint(&stranger, now()).unwrap()), Fault::Signature.into());
        assert_eq!(fault(&minted(|ticket| ticket.audience.push('0'))), TicketFault::Audience);
        assert_eq!(fault(&minted(|ticket| ticket.issuer.push('0'))), TicketFault::Issuer);
        assert_eq!(fault(&minted(|ticket| ticket.hour -= 1)), TicketFault::Hour);
        assert_eq!(reread(&minted(|_| ()), |_| Some(stranger.public())), Err(Fault::Signature.into()));
        assert_eq!(reread(&minted(|_| ()), |_| None), Err(TicketFault::Issuer));
    }

    #[test]
    fn claims_that_are_malformed_or_not_its_own_make_it_no_ticket() {
        let key = key();
        let good = json!({
            "iss": GATEWAY, "aud": METER, "jti": "0".repeat(32), "sub": "mythos-5", "idx": 0, "leaf": "0".repeat(64),
            "iat": 1_781_299_260, "exp": 1_781_299_320, "hour": 494_805,
        });
        let with = |name: &str, value: serde_json::Value| {
            let mut claims = good.clone();
            claims[name] = value;
            let token = key.sign("exeat-ticket+jwt", &Object::new(), &claims).unwrap();
            present(&token, &key, now())
        };
        assert!(with("idx", json!(1)).is_ok());
        for (name, value) in [
            ("aud", json!([METER])),
            ("jti", json!("0".repeat(31))),
            ("jti", json!("A".repeat(32))),
            ("sub", json!("no model")),
            ("idx", json!(-1)),
            ("idx", json!(1.5)),
            ("leaf", json!("0".repeat(63))),
            ("leaf", json!(format!("{}é", "0".repeat(62)))),
            ("exp", json!(1_781_299_260 + 601)),
            ("hour", json!("494805")),
            ("nbf", json!(0)),
        ] {
            assert!(with(name, value.clone()).is_err(), "{name}: {value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,200}") {
            prop_assert!(verify(&text, METER, |_| None, now()).is_err());
            prop_assert!(unverified(&text).is_err());
        }

        #[test]
        fn a_leaf_hash_reads_back(leaf: [u8; 32]) {
            prop_assert_eq!(from_hexadecimal(&hexadecimal(&leaf)), Some(leaf));
        }
    }
}
