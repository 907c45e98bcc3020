//! Which program of a platform is which workload here.

use std::collections::BTreeMap;

use control::{Fault, FederatedChange, Federation, Source, View};
use identity::SessionEnd;
use jose::{Object, base64url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use terms::{ChannelId, FederationRuleId, Moment, OrganizationId, SubjectName, WorkloadId};

use super::{
    OWN_CHANNEL,
    book::{self, invalid},
    issuer::{SubjectKind, TrustedIssuer},
};

/// Where rules are kept, by id.
const COLLECTION: &str = "token.rule";

/// A rule: tokens of this issuer with these claims are those of this workload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FederationRule {
    /// Names the rule.
    pub id: FederationRuleId,
    /// The channel of the issuer.
    pub issuer: ChannelId,
    /// What `aud` must name; 1 to 512 bytes.
    pub audience: String,
    /// What claims must say, by name, `sub` among them; a name that begins with `/` is a JSON pointer (RFC 6901). At most
    /// 16.
    pub claims: BTreeMap<String, Pattern>,
    /// The workload.
    pub workload: WorkloadId,
    /// The organization it runs for: that of the issuer, unless the issuer is the laboratory's own platform.
    pub organization: OrganizationId,
    /// How long its tokens live, in seconds; 60 to 600, and never longer than the service allows.
    pub lifetime_s: u64,
    /// The scopes of its tokens; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Whether one assertion may be used again until it expires. Only for platforms that keep one token in a file or in the
    /// environment and renew it rarely; false unless set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reusable: bool,
}

/// What a claim must say: a text exactly, or one that begins with what stands before a `*` at the end; 1 to 512 bytes, and
/// no `*` elsewhere.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

impl Pattern {
    fn matches(&self, said: &str) -> bool {
        self.0.strip_suffix('*').map_or(self.0 == said, |start| said.starts_with(start))
    }
}

impl TryFrom<String> for Pattern {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let start = text.strip_suffix('*').unwrap_or(&text);
        let good = (1..=512).contains(&start.len()) && !start.contains('*');
        good.then_some(Self(text)).ok_or("a pattern has 1 to 512 bytes, and a `*` only at its end")
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

/// A rule as it is kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registered {
    pub(super) rule: FederationRule,
    /// Names this registration. Its tokens rest on that name, as on a session that ends when the rule is changed or removed.
    pub(super) name: SubjectName,
}

/// Registers a rule, or changes it. Tokens that were issued by the rule as it was before a change are over.
///
/// Blocks on the disk.
///
/// # Errors
///
/// [`Fault::Invalid`] names the setting that is wrong; otherwise those of [`Federation::commit`].
pub fn register_rule(federation: &Federation, rule: &FederationRule) -> Result<(), Fault> {
    rule.check()?;
    let registered = Registered { rule: rule.clone(), name: mint(&rule.id)? };
    let committed = federation.commit(&Source::own("token.register_rule"), |view| {
        rule.check_against(view)?;
        let before = Registered::of_id(view, &rule.id)?;
        if before.as_ref().is_some_and(|before| before.rule == *rule) {
            return Ok(Vec::new());
        }
        let mut changes = before.map_or_else(Vec::new, |before| before.ended(view.now()));
        changes.push(book::keep(COLLECTION, rule.id.as_str(), vec![rule.issuer.as_str().to_owned()], &registered)?);
        Ok(changes)
    });
    committed.map(drop)
}

/// Returns every rule, in order of id.
///
/// # Errors
///
/// Those of [`Federation::read`].
pub fn rules(federation: &Federation) -> Result<Vec<FederationRule>, Fault> {
    let all: Vec<Registered> = federation.read(|view| book::all(view, COLLECTION))?;
    Ok(all.into_iter().map(|registered| registered.rule).collect())
}

/// Removes a rule: no token is issued by it any more, and those that were are over, as are those exchanged from them.
///
/// Blocks on the disk.
///
/// # Errors
///
/// [`Fault::NotFound`]; otherwise those of [`Federation::commit`].
pub fn remove_rule(federation: &Federation, id: &FederationRuleId) -> Result<(), Fault> {
    let removed = federation.commit(&Source::own("token.remove_rule"), |view| {
        let mut changes = vec![book::gone(view, COLLECTION, "rule", id.as_str())?];
        changes.extend(Registered::of_id(view, id)?.into_iter().flat_map(|registered| registered.ended(view.now())));
        Ok(changes)
    });
    removed.map(drop)
}

impl Registered {
    /// Returns a rule.
    pub(super) fn of_id(view: &View<'_>, id: &FederationRuleId) -> Result<Option<Self>, Fault> {
        book::kept(view, COLLECTION, id.as_str())
    }

    /// Returns every rule about tokens of one channel.
    pub(super) fn of_issuer(view: &View<'_>, channel: &ChannelId) -> Result<Vec<Self>, Fault> {
        book::found(view, COLLECTION, channel.as_str())
    }

    /// Ends what rests on this registration: where calls with its tokens are found, and where tokens exchanged from them.
    fn ended(&self, at: Moment) -> Vec<FederatedChange> {
        let ended = |channel| FederatedChange::SessionEnd(SessionEnd { channel, session: self.name.clone(), at });
        let own = ChannelId::parse(OWN_CHANNEL).ok();
        std::iter::once(self.rule.issuer.clone()).chain(own).map(ended).collect()
    }
}

impl FederationRule {
    /// Returns the name of the first claim that does not say what it must.
    pub(super) fn mismatch(&self, claims: &Object) -> Option<&str> {
        let wrong = |(name, pattern): &(&String, &Pattern)| {
            let said = match name.strip_prefix('/') {
                Some(_) => pointed(claims, name),
                None => claims.get(name.as_str()),
            };
            !said.and_then(Value::as_str).is_some_and(|said| pattern.matches(said))
        };
        self.claims.iter().find(wrong).map(|(name, _)| name.as_str())
    }

    fn check(&self) -> Result<(), Fault> {
        if !(1..=512).contains(&self.audience.len()) {
            return Err(invalid("audience", "must be 1 to 512 bytes"));
        }
        if !self.claims.contains_key("sub") || self.claims.len() > 16 {
            return Err(invalid("claims", "must say what `sub` is, and name at most 16 claims"));
        }
        if !(60..=600).contains(&self.lifetime_s) {
            return Err(invalid("lifetime_s", "must be 60 to 600"));
        }
        if !book::are_scopes(&self.scopes) {
            return Err(invalid("scopes", "must be at most 16 words of visible ASCII without quotes"));
        }
        Ok(())
    }

    fn check_against(&self, view: &View<'_>) -> Result<(), Fault> {
        let issuer = TrustedIssuer::of_channel(view, &self.issuer)?;
        let Some(issuer) = issuer.filter(|issuer| issuer.speaks_of == SubjectKind::Workloads) else {
            return Err(invalid("issuer", "is no trusted issuer that speaks of workloads"));
        };
        if issuer.organization.is_some_and(|organization| organization != self.organization) {
            return Err(invalid("organization", "is not that of the issuer"));
        }
        let workload = view.workload(&self.workload)?;
        if workload.is_none_or(|workload| workload.organization != self.organization) {
            return Err(invalid("workload", "is not known, or runs for another organization"));
        }
        Ok(())
    }
}

/// Names a registration of a rule as none was before, also if the same rule is registered, removed and registered again.
fn mint(id: &FederationRuleId) -> Result<SubjectName, Fault> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    let name = format!("rule:{id}:{}", base64url::encode(random));
    SubjectName::parse(&name).map_err(|fault| invalid("id", fault.to_string()))
}

/// Follows a JSON pointer into claims.
fn pointed<'a>(claims: &'a Object, pointer: &str) -> Option<&'a Value> {
    let mut parts = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
    let first = claims.get(&parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(&part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(claims: Value) -> FederationRule {
        serde_json::from_value(json!({
            "id": "ci", "issuer": "ci", "audience": "a", "claims": claims, "workload": "w", "organization": "o",
            "lifetime_s": 60,
        }))
        .unwrap()
    }

    fn claims(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_claim_must_say_exactly_what_the_rule_says_or_begin_so_before_a_star() {
        let exact = rule(json!({ "sub": "system:serviceaccount:prod:api" }));
        let open = rule(json!({ "sub": "repo:acme/*", "ref": "refs/heads/main" }));
        let said = |sub: &str, branch: &str| claims(json!({ "sub": sub, "ref": branch }));
        assert_eq!(exact.mismatch(&said("system:serviceaccount:prod:api", "")), None);
        for sub in
            ["system:serviceaccount:prod:api2", "system:serviceaccount:prod:ap", "System:serviceaccount:prod:api"]
        {
            assert_eq!(exact.mismatch(&said(sub, "")), Some("sub"), "{sub}");
        }
        assert_eq!(open.mismatch(&said("repo:acme/x", "refs/heads/main")), None);
        assert_eq!(open.mismatch(&said("repo:acmeevil/x", "refs/heads/main")), Some("sub"));
        assert_eq!(open.mismatch(&said("repo:acme/x", "refs/heads/other")), Some("ref"));
    }

    #[test]
    fn a_claim_that_is_missing_or_no_text_never_fits_and_a_pointer_reaches_inside() {
        let rule = rule(json!({ "sub": "x", "/kubernetes.io/namespace": "prod", "/a~1b": "c" }));
        let inside = json!({ "sub": "x", "kubernetes.io": { "namespace": "prod" }, "a/b": "c" });
        assert_eq!(rule.mismatch(&claims(inside)), None);
        let array = json!({ "sub": ["x"], "kubernetes.io": { "namespace": "prod" }, "a/b": "c" });
        assert_eq!(rule.mismatch(&claims(array)), Some("sub"));
        assert_eq!(rule.mismatch(&claims(json!({ "sub": "x", "a/b": "c" }))), Some("/kubernetes.io/namespace"));
    }

    #[test]
    fn a_pattern_that_fits_everything_or_has_a_star_inside_is_refused() {
        for text in ["", "*", "**", "a*b", "a**"] {
            assert!(Pattern::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
