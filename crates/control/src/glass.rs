//! Breaking the glass: an act in force without its approvals, for a while and with an alarm.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use terms::{InstrumentId, Moment};

use crate::InstrumentKind;

/// One act that was done without its approvals. It is open, and an alarm, until it has [`BreakGlass::ended`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// Directive or license.
    pub kind: InstrumentKind,
    /// The instrument.
    pub id: InstrumentId,
    /// The version that was put in force.
    pub version: u64,
    /// Who did it, as the record names actors.
    pub actor: String,
    /// Why, in their words; 10 to 500 characters.
    pub reason: String,
    /// When.
    pub opened_at: Moment,
    /// The limit that was asked for.
    pub until: Moment,
    /// What comes back at the limit; `None` if the act only takes access away, and so stays.
    pub restore: Option<Value>,
    /// How it ended, once it has.
    pub ended: Option<GlassEnd>,
}

/// How a break of the glass ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GlassEnd {
    /// When.
    pub at: Moment,
    /// Why.
    pub why: GlassEndReason,
}

/// Why a break of the glass is no longer open.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GlassEndReason {
    /// Enough people approved it afterwards.
    Approved,
    /// A later version took its place.
    Replaced,
    /// The limit came, and what was in force before is in force again.
    Limit,
    /// It was recorded, and the process ended before it took effect.
    NoEffect,
}

/// What is to be done about an open break of the glass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Due {
    /// Nothing: the alarm stays.
    Nothing,
    /// What was in force before comes back.
    Restore,
    /// Nothing more: it is over.
    End(GlassEndReason),
}

impl BreakGlass {
    /// Returns true if the act can give access, and therefore ends by itself.
    #[must_use]
    pub fn widens(&self) -> bool {
        self.restore.is_some()
    }

    /// Says what is to be done at `now`, where `governing` is the version in force and `approved` says whether enough
    /// people have approved this one.
    pub(crate) fn due(&self, governing: Option<u64>, approved: bool, now: Moment) -> Due {
        match governing.map_or(Ordering::Less, |version| version.cmp(&self.version)) {
            Ordering::Less => Due::End(GlassEndReason::NoEffect),
            Ordering::Greater => Due::End(GlassEndReason::Replaced),
            Ordering::Equal if approved => Due::End(GlassEndReason::Approved),
            Ordering::Equal if self.widens() && now >= self.until => Due::Restore,
            Ordering::Equal => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn glass(widens: bool) -> BreakGlass {
        let moment = |text| Moment::parse(text).unwrap();
        BreakGlass {
            kind: InstrumentKind::License,
            id: InstrumentId::parse("LTR-1").unwrap(),
            version: 2,
            actor: "token:0123".to_owned(),
            reason: "the plant stands still".to_owned(),
            opened_at: moment("2026-06-12T12:00:00Z"),
            until: moment("2026-06-12T13:00:00Z"),
            restore: widens.then(|| json!({})),
            ended: None,
        }
    }

    #[test]
    fn what_widens_is_undone_at_its_limit_and_not_before_and_what_narrows_stays() {
        let before = Moment::parse("2026-06-12T12:59:59.999Z").unwrap();
        let at = Moment::parse("2026-06-12T13:00:00Z").unwrap();
        assert_eq!(glass(true).due(Some(2), false, before), Due::Nothing);
        assert_eq!(glass(true).due(Some(2), false, at), Due::Restore);
        assert_eq!(glass(false).due(Some(2), false, at), Due::Nothing);
    }

    #[test]
    fn it_is_over_once_approved_or_replaced_or_if_it_never_took_effect() {
        let at = Moment::parse("2026-06-12T12:30:00Z").unwrap();
        let end = |why| Due::End(why);
        assert_eq!(glass(true).due(Some(2), true, at), end(GlassEndReason::Approved));
        assert_eq!(glass(false).due(Some(3), false, at), end(GlassEndReason::Replaced));
        assert_eq!(glass(true).due(Some(1), false, at), end(GlassEndReason::NoEffect));
        assert_eq!(glass(true).due(None, false, at), end(GlassEndReason::NoEffect));
    }
}
