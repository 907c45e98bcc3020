//! What is known about one call at one moment; everything [`crate::decide`] may look at.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use terms::{
    AccountState, ChannelId, EndUse, InstrumentId, KeyId, ModelVersionId, Moment, Organization, OrganizationId, Person,
    Workload,
    tagged::{self, Tagged},
};

use crate::{Period, evidence::Now};

/// What is known about one call at one moment. Serialized into the record, so that the decision can be replayed.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// When.
    pub at: Moment,
    /// What is asked for.
    pub model: ModelVersionId,
    /// The credential presented.
    pub credential: CredentialFacts,
    /// Who stands behind it.
    pub caller: CallerFacts,
    /// Every organization that the caller's affiliations or the credential name; in order of id.
    pub organizations: Vec<Arc<Organization>>,
    /// Tokens already used under instruments that cap them, for each period they cap, in the current one.
    ///
    /// A capped instrument that is missing here counts as used up: what is not known permits nothing.
    pub consumed: Vec<Consumed>,
    /// Up to when each channel can be relied on that evidence about the caller rests on; in order of id.
    ///
    /// A channel that is missing here is not relied on: what is not known permits nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Reliance>,
}

/// The credential presented, already authenticated.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialFacts {
    /// Its public id.
    pub id: KeyId,
    /// When it expires.
    pub expires_at: Moment,
    /// True once it was revoked.
    pub revoked: bool,
    /// The organization whose tenant it belongs to, if any.
    pub organization: Option<OrganizationId>,
    /// The end use it was made for (15 CFR 772.1), if one was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_use: Option<EndUse>,
}

/// Who stands behind a credential.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(remote = "Self", tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CallerFacts {
    /// One natural person.
    Person {
        /// That person.
        person: Arc<Person>,
    },
    /// A non-human caller.
    Workload {
        /// The workload.
        workload: Arc<Workload>,
        /// Its accountable owners that are still in the registry; in order of id.
        owners: Vec<Arc<Person>>,
        /// Its fixed recipients that are still in the registry; in order of id.
        recipients: Vec<Arc<Person>>,
    },
    /// Nobody: a shared credential.
    Unbound,
}

/// The same by the name of the variant.
#[derive(serde::Deserialize)]
#[serde(remote = "CallerFacts", rename_all = "snake_case", deny_unknown_fields)]
enum ByName {
    Person { person: Arc<Person> },
    Workload { workload: Arc<Workload>, owners: Vec<Arc<Person>>, recipients: Vec<Arc<Person>> },
    Unbound,
}

impl<'de> Tagged<'de> for CallerFacts {
    const TAG: &'static str = "kind";
    const EXPECTED: &'static str = "internally tagged enum CallerFacts";

    fn by_name<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ByName::deserialize(deserializer)
    }

    fn in_any_order<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for CallerFacts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tagged::deserialize(deserializer)
    }
}

impl Serialize for CallerFacts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl Facts {
    /// Reads facts from JSON, as a record has them.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        match std::str::from_utf8(json) {
            // Once for the whole text is less work than once for each string in it.
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(json),
        }
    }

    /// Returns true if somebody who would receive the output may no longer use the tenant's credentials.
    pub(crate) fn is_locked_out(&self) -> bool {
        self.caller.is_locked_out(self.credential.organization.as_ref())
    }

    pub(crate) fn now(&self) -> Now<'_> {
        Now { at: self.at, channels: &self.channels }
    }
}

impl CallerFacts {
    /// Returns every person behind the credential, owners before recipients; one may be both.
    pub fn people(&self) -> impl Iterator<Item = &Arc<Person>> {
        let (one, owners, recipients) = match self {
            Self::Person { person } => (Some(person), &[][..], &[][..]),
            Self::Workload { owners, recipients, .. } => (None, owners.as_slice(), recipients.as_slice()),
            Self::Unbound => (None, &[][..], &[][..]),
        };
        one.into_iter().chain(owners).chain(recipients)
    }

    /// Returns true if somebody who would receive the output may no longer use the tenant's credentials: their account at
    /// one of its sources is suspended or over.
    #[must_use]
    pub fn is_locked_out(&self, tenant: Option<&OrganizationId>) -> bool {
        let receivers = match self {
            Self::Person { person } => std::slice::from_ref(person),
            Self::Workload { recipients, .. } => recipients.as_slice(),
            Self::Unbound => &[],
        };
        let mut accounts = receivers.iter().flat_map(|person| &person.accounts);
        accounts.any(|account| account.organization.as_ref() == tenant && account.state != AccountState::Active)
    }

    /// Returns the ids of every channel that evidence about the people rests on. What [`Facts::channels`] must hold, in
    /// its order.
    #[must_use]
    pub fn channels(&self) -> BTreeSet<ChannelId> {
        let attested = self.people().flat_map(|person| &person.attestations).filter_map(|a| a.channel.clone());
        let affiliated = self.people().flat_map(|person| &person.affiliations).filter_map(|a| a.channel.clone());
        attested.chain(affiliated).collect()
    }

    /// Returns the ids of every organization that a call may involve: those that the people act for, the workload's and
    /// the tenant. What [`Facts::organizations`] must hold, in its order.
    #[must_use]
    pub fn organizations(&self, tenant: Option<&OrganizationId>) -> BTreeSet<OrganizationId> {
        let affiliations = self.people().flat_map(|person| &person.affiliations);
        let mut ids: BTreeSet<OrganizationId> = affiliations.map(|a| a.organization.clone()).collect();
        ids.extend(tenant.cloned());
        if let Self::Workload { workload, .. } = self {
            ids.insert(workload.organization.clone());
        }
        ids
    }
}

/// Up to when a channel can be relied on, unless it is heard before.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Reliance {
    /// The channel.
    pub channel: ChannelId,
    /// From then on what rests on it establishes nothing.
    pub until: Moment,
}

/// Tokens used under one instrument in the current period of one kind.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Consumed {
    /// The instrument.
    pub instrument: InstrumentId,
    /// Which period.
    pub per: Period,
    /// Tokens so far.
    pub tokens: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use terms::{Claim, PersonId, Screening};

    use super::*;

    /// Reads by the derived code alone, which holds all fields back.
    fn held_back<T: for<'de> Tagged<'de>>(json: &str) -> Result<T, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let read = T::in_any_order(&mut deserializer)?;
        deserializer.end().map(|()| read)
    }

    /// Requires that both ways read the same, or both nothing; returns whether they do.
    fn reads<T>(json: &str) -> bool
    where
        T: for<'de> Tagged<'de> + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let (read, wanted) = (serde_json::from_str::<T>(json).ok(), held_back::<T>(json).ok());
        assert_eq!(read, wanted, "{json}");
        let value = serde_json::from_str::<Value>(json).ok();
        let by_value = value.and_then(|value| serde_json::from_value::<T>(value).ok());
        assert!(read.is_none() || by_value == read, "{json}");
        read.is_some()
    }

    fn person() -> Value {
        let person = Person {
            id: PersonId::parse("ada").unwrap(),
            display_name: "Ada \u{e9}\n".to_owned(),
            screening: Screening::Cleared,
            active: true,
            attestations: Vec::new(),
            affiliations: Vec::new(),
            accounts: Vec::new(),
        };
        serde_json::to_value(person).unwrap()
    }

    #[test]
    fn a_caller_reads_the_same_wherever_its_kind_is() {
        let (one, workload) = (
            person(),
            json!({ "id": "w", "purpose": "", "organization": "o", "owners": ["ada"],
            "recipients": [], "active": true }),
        );
        for (json, is_one) in [
            (format!(r#"{{"kind":"person","person":{one}}}"#), true),
            (format!(r#"{{"person":{one},"kind":"person"}}"#), true),
            (format!(r#"{{"\u006bind":"person","person":{one}}}"#), true),
            (format!(r#"["person",{one}]"#), true),
            (format!(r#"{{"kind":"workload","workload":{workload},"owners":[{one}],"recipients":[]}}"#), true),
            (format!(r#"{{"owners":[],"workload":{workload},"kind":"workload","recipients":[{one}]}}"#), true),
            (r#"{"kind":"unbound"}"#.to_owned(), true),
            (r#"["unbound"]"#.to_owned(), true),
            (r#"{"kind":"unbound","more":[1,-1,1.5,null,true,{"a":"b"}]}"#.to_owned(), true),
            (r#"{"more":7,"kind":"unbound"}"#.to_owned(), true),
            (r#"{"kind":"unbound","more":1e999}"#.to_owned(), false),
            (r#"{"kind":"unbound","kind":"unbound"}"#.to_owned(), false),
            (r#"{"kind":"unbound","more":1,"kind":7}"#.to_owned(), false),
            (format!(r#"{{"kind":"person","person":{one},"kind":"person"}}"#), false),
            (format!(r#"{{"kind":"person","person":{one},"person":{one}}}"#), false),
            (format!(r#"{{"kind":"person","person":{one},"more":1}}"#), false),
            (r#"{"kind":"person"}"#.to_owned(), false),
            (r#"{"kind":"nobody"}"#.to_owned(), false),
            (r#"{"kind":null}"#.to_owned(), false),
            ("{}".to_owned(), false),
            ("[]".to_owned(), false),
            (r#""unbound""#.to_owned(), false),
            (r#"{"unbound":null}"#.to_owned(), false),
            ("7".to_owned(), false),
            (r#"{"kind":"unbound""#.to_owned(), false),
        ] {
            assert_eq!(reads::<CallerFacts>(&json), is_one, "{json}");
        }
    }

    #[test]
    fn text_that_is_no_unicode_is_refused_as_the_reader_of_bytes_does() {
        for json in [&b"{\"at\":\"\xff\"}"[..], b"\xff", b"{\"at\":7}", b""] {
            let (read, wanted) = (Facts::from_json(json), serde_json::from_slice::<Facts>(json));
            assert_eq!(read.unwrap_err().to_string(), wanted.unwrap_err().to_string());
        }
    }

    #[test]
    fn what_is_no_caller_is_refused_in_the_words_of_the_derived_code() {
        for json in ["7", r#""unbound""#, "{}", "[]", r#"{"kind":"nobody"}"#, r#"{"kind":"unbound","kind":"unbound"}"#]
        {
            let why = |error: serde_json::Error| error.to_string().split(" at line").next().map(str::to_owned);
            let read = serde_json::from_str::<CallerFacts>(json).unwrap_err();
            assert_eq!(why(read), why(held_back::<CallerFacts>(json).unwrap_err()), "{json}");
        }
    }

    proptest! {
        #[test]
        fn a_claim_reads_the_same_in_any_order_of_its_fields(
            fields in prop::sample::subsequence(vec![
                r#""kind":"us_person""#, r#""kind":"citizenship""#, r#""kind":"stateless""#, r#""kind":"location""#,
                r#""limb":"citizen""#, r#""country":"DE""#, r#""country":"XX""#, r#""from":null"#,
                r#""until":"2026-06-26T00:00:00Z""#, r#""method":"managed""#, r#""more":{}"#,
            ], 0..6).prop_shuffle(),
        ) {
            reads::<Claim>(&format!("{{{}}}", fields.join(",")));
        }

        #[test]
        fn a_claim_that_is_written_reads_back(at in 0..6_usize, from in any::<Option<u32>>(), order: bool) {
            let country = terms::Country::US;
            let (from, until) = (from.map(|at| Moment::from_millis(at.into())), None);
            let claim = [
                Claim::UsPerson { limb: terms::UsPersonLimb::Refugee },
                Claim::ForeignPerson,
                Claim::Citizenship { country, from, until },
                Claim::PermanentResidency { country, from, until },
                Claim::Stateless,
                Claim::Location { country, method: terms::LocationMethod::Network },
            ][at].clone();
            // A `Value` puts the country before the kind.
            let json = if order { serde_json::to_string(&claim) } else { serde_json::to_value(&claim).map(|value| value.to_string()) };
            prop_assert!(reads::<Claim>(json.as_ref().unwrap()));
            prop_assert_eq!(serde_json::from_str::<Claim>(&json.unwrap()).unwrap(), claim);
        }
    }
}
