//! What the attestations about one person establish at one moment.

use std::{collections::BTreeSet, time::Duration};

use terms::{
    AccountState, Affiliation, Assurance, Attestation, ChannelId, Claim, Country, LocationMethod, Moment,
    OrganizationId, Person, Standing,
};

use crate::Reliance;

/// When something is decided, and on which channels it relies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now<'a> {
    /// When.
    pub(crate) at: Moment,
    /// Up to when each channel can be relied on; one that is missing cannot.
    pub(crate) channels: &'a [Reliance],
}

/// The moment of a decision, and the earliest later moment at which some comparison with it turns out otherwise.
///
/// Every comparison of a decision with time goes through [`Horizon::reached`]. So at any moment before
/// [`Horizon::until`] each of them has the same outcome, and the decision is the same.
#[derive(Debug)]
pub(crate) struct Horizon<'a> {
    now: Now<'a>,
    until: Moment,
}

impl<'a> Horizon<'a> {
    pub(crate) fn of(now: Now<'a>) -> Self {
        Self { now, until: Moment::MAX }
    }

    /// Returns true if `moment` is now or past.
    pub(crate) fn reached(&mut self, moment: Moment) -> bool {
        let reached = moment <= self.now.at;
        if !reached {
            self.until = self.until.min(moment);
        }
        reached
    }

    /// Returns true if what rests on `channel` establishes nothing, because the channel cannot be relied on.
    pub(crate) fn silent(&mut self, channel: Option<&ChannelId>) -> bool {
        let Some(channel) = channel else { return false };
        let relied = self.now.channels.iter().find(|relied| relied.channel == *channel);
        relied.is_none_or(|relied| self.reached(relied.until))
    }

    pub(crate) fn until(&self) -> Moment {
        self.until
    }
}

/// What evidence must be to establish anything in a caller's favor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    /// The least assurance.
    pub(crate) min_assurance: Assurance,
    /// The greatest age, if any.
    pub(crate) max_age: Option<Duration>,
}

impl Bar {
    /// Anything current.
    pub(crate) const ANY: Self = Self { min_assurance: Assurance::None, max_age: None };
    /// Anything current at IAL2 or better.
    pub(crate) const IAL2: Self = Self { min_assurance: Assurance::Ial2, max_age: None };

    pub(crate) fn met_by(self, attestation: &Attestation, horizon: &mut Horizon<'_>) -> bool {
        let stale = self.max_age.is_some_and(|age| horizon.reached(attestation.issued_at.plus(age)));
        let silent = horizon.silent(attestation.channel.as_ref());
        attestation.assurance >= self.min_assurance && !stale && !silent
    }
}

/// Establishes where a person stands under 15 CFR 772.1.
///
/// Each issuer's latest word counts. A claim that the person is foreign counts against any other claim whatever
/// its assurance or age; a contradiction leaves the person unattested.
pub(crate) fn standing(person: &Person, bar: Bar, horizon: &mut Horizon<'_>) -> Standing {
    let is_standing = |claim: &Claim| matches!(claim, Claim::UsPerson { .. } | Claim::ForeignPerson);
    let (mut foreign, mut foreign_met, mut limb) = (false, false, None);
    for word in latest_words(person, is_standing, horizon) {
        let met = bar.met_by(word, horizon);
        match word.claim {
            Claim::UsPerson { limb: stated } if met => {
                limb = Some(limb.map_or(stated, |known: terms::UsPersonLimb| known.min(stated)));
            }
            Claim::ForeignPerson => (foreign, foreign_met) = (true, foreign_met || met),
            _ => {}
        }
    }
    match (limb, foreign) {
        (Some(limb), false) => Standing::UsPerson(limb),
        (None, true) if foreign_met => Standing::ForeignPerson,
        _ => Standing::Unattested,
    }
}

/// What is claimed and what is established about a person's location.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    /// Every country that a current claim names: what speaks against the person.
    pub(crate) claimed: BTreeSet<Country>,
    /// The country that is established: all claims agree and one of them is good enough.
    pub(crate) established: Option<Country>,
}

/// Establishes where a person is. A network address can contradict a location and never establish one.
pub(crate) fn whereabouts(person: &Person, bar: Bar, horizon: &mut Horizon<'_>) -> Whereabouts {
    let mut found = Whereabouts::default();
    let mut good = false;
    for word in latest_words(person, |claim| matches!(claim, Claim::Location { .. }), horizon) {
        if let Claim::Location { country, method } = word.claim {
            found.claimed.insert(country);
            good |= method != LocationMethod::Network && bar.met_by(word, horizon);
        }
    }
    if good && found.claimed.len() == 1 {
        found.established = found.claimed.first().copied();
    }
    found
}

/// Returns the affiliations of a person that hold now, whichever tenant's credential they call with.
pub(crate) fn affiliations<'a>(person: &'a Person, horizon: &mut Horizon<'_>) -> Vec<&'a Affiliation> {
    let acting = acting_for(person, horizon);
    holding(person, acting, horizon)
}

/// Keeps of the affiliations that hold now or may (see [`acting_for`]) those that do.
pub(crate) fn holding<'a>(
    person: &Person,
    mut held: Vec<&'a Affiliation>,
    horizon: &mut Horizon<'_>,
) -> Vec<&'a Affiliation> {
    held.retain(|held| !is_shut_out(person, &held.organization) && !horizon.silent(held.channel.as_ref()));
    held
}

/// Returns true if an account of the person at this organization is suspended or over: no affiliation with it establishes
/// anything meanwhile.
pub(crate) fn is_shut_out(person: &Person, organization: &OrganizationId) -> bool {
    let mut accounts = person.accounts.iter().filter(|account| account.organization.as_ref() == Some(organization));
    accounts.any(|account| account.state != AccountState::Active)
}

/// Returns the affiliations of a person that hold now or may: also those with an organization whose account is out of use,
/// and those whose channel cannot be relied on, which speak against the person and never in favor.
pub(crate) fn acting_for<'a>(person: &'a Person, horizon: &mut Horizon<'_>) -> Vec<&'a Affiliation> {
    let own = person.affiliations.iter().filter(|a| a.person == person.id);
    own.filter(|a| horizon.reached(a.attested_at) && !horizon.reached(a.ends_at)).collect()
}

/// Returns every statement on a question of several answers that was issued and is not superseded; true with it if it has
/// not expired. One that has expired establishes nothing, and is not unsaid.
pub(crate) fn unsuperseded<'a>(
    person: &'a Person,
    question: impl Fn(&Claim) -> bool,
    horizon: &mut Horizon<'_>,
) -> Vec<(&'a Attestation, bool)> {
    let own = person.attestations.iter();
    let own = own.filter(|a| a.person == person.id && question(&a.claim));
    let heard: Vec<&Attestation> = own.filter(|a| horizon.reached(a.issued_at)).collect();
    let superseded = |word: &Attestation| {
        heard.iter().any(|other| other.id != word.id && other.supersedes.as_ref() == Some(&word.id))
    };
    let words = heard.iter().filter(|word| !superseded(word));
    words.map(|word| (*word, !horizon.reached(word.expires_at))).collect()
}

/// Returns each issuer's latest statements on one question that are neither superseded nor expired.
///
/// A later statement replaces an earlier one of the same issuer even after it expired: what an issuer has taken
/// back does not return by silence. Only a statement on the same question supersedes.
pub(crate) fn latest_words<'a>(
    person: &'a Person,
    question: impl Fn(&Claim) -> bool,
    horizon: &mut Horizon<'_>,
) -> Vec<&'a Attestation> {
    let own = person.attestations.iter();
    let own = own.filter(|a| a.person == person.id && question(&a.claim));
    let heard: Vec<&Attestation> = own.filter(|a| horizon.reached(a.issued_at)).collect();
    let replaced = |word: &Attestation| {
        let later = |other: &&Attestation| other.issuer == word.issuer && other.issued_at > word.issued_at;
        let supersedes = |other: &&Attestation| other.id != word.id && other.supersedes.as_ref() == Some(&word.id);
        heard.iter().any(|other| later(other) || supersedes(other))
    };
    let words = heard.iter().filter(|word| !replaced(word));
    words.filter(|word| !horizon.reached(word.expires_at)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use terms::{
        Account, AffiliationId, AttestationId, Engagement, IssuerId, PersonId, Screening, SubjectName, UsPersonLimb,
    };

    const NOW: i64 = 1_782_745_200_000;
    const DAY: Bar = Bar { min_assurance: Assurance::Ial2, max_age: Some(Duration::from_secs(86_400)) };

    #[test]
    fn evidence_dated_in_the_future_establishes_nothing_until_then() {
        let ada = person(vec![said("a", "civic", citizen(), 5)]);
        let (standing, until) = standing_of(&ada);
        assert_eq!(standing, Standing::Unattested);
        assert_eq!(until, moment(5));
    }

    #[test]
    fn evidence_older_than_the_directive_allows_establishes_nothing() {
        let ada = person(vec![said("a", "civic", citizen(), -86_400)]);
        assert_eq!(standing_of(&ada).0, Standing::Unattested);
        let ada = person(vec![said("a", "civic", citizen(), -86_399)]);
        assert_eq!(standing_of(&ada), (Standing::UsPerson(UsPersonLimb::Citizen), moment(1)));
    }

    #[test]
    fn issuers_that_contradict_each_other_leave_a_person_unattested() {
        let ada = person(vec![said("a", "civic", citizen(), -60), said("b", "roster", Claim::ForeignPerson, -90)]);
        assert_eq!(standing_of(&ada).0, Standing::Unattested);
    }

    #[test]
    fn what_an_issuer_took_back_does_not_return_when_the_later_word_expires() {
        let mut later = said("b", "civic", Claim::ForeignPerson, -60);
        later.expires_at = moment(-1);
        let ada = person(vec![said("a", "civic", citizen(), -90), later]);
        assert_eq!(standing_of(&ada).0, Standing::Unattested);
    }

    #[test]
    fn weak_evidence_that_a_person_is_foreign_still_contradicts() {
        let mut weak = said("b", "roster", Claim::ForeignPerson, -60);
        weak.assurance = Assurance::None;
        let ada = person(vec![said("a", "civic", citizen(), -60), weak.clone()]);
        assert_eq!(standing_of(&ada).0, Standing::Unattested);
        assert_eq!(standing_of(&person(vec![weak])).0, Standing::Unattested);
    }

    #[test]
    fn a_statement_about_somebody_else_establishes_nothing() {
        let mut other = said("a", "civic", citizen(), -60);
        other.person = PersonId::parse("bob").unwrap();
        assert_eq!(standing_of(&person(vec![other])).0, Standing::Unattested);
    }

    #[test]
    fn a_network_address_contradicts_a_location_and_never_establishes_one() {
        let located = |id, issuer, country: &str, method| {
            let country = Country::parse(country).unwrap();
            said(id, issuer, Claim::Location { country, method }, -60)
        };
        let network = located("n", "edge", "DE", LocationMethod::Network);
        let managed = located("m", "roster", "US", LocationMethod::Managed);
        assert_eq!(place_of(&person(vec![network.clone()])), None);
        assert_eq!(place_of(&person(vec![managed.clone()])), Some(Country::US));
        assert_eq!(place_of(&person(vec![managed, network])), None);
    }

    #[test]
    fn an_affiliation_holds_only_while_no_account_there_is_out_of_use() {
        let mut ada = person(Vec::new());
        ada.affiliations = vec![at("northgate"), at("larkspur")];
        let held = |accounts: Vec<Account>| {
            let ada = Person { accounts, ..ada.clone() };
            let mut horizon = Horizon::of(now());
            assert_eq!(acting_for(&ada, &mut horizon).len(), 2, "both still speak against her");
            affiliations(&ada, &mut horizon).iter().map(|held| held.organization.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(held(vec![account(Some("northgate"), AccountState::Active)]), ["northgate", "larkspur"]);
        for state in [AccountState::Suspended, AccountState::Ended] {
            assert_eq!(held(vec![account(Some("northgate"), state)]), ["larkspur"]);
            let two = [account(Some("northgate"), AccountState::Active), account(Some("northgate"), state)];
            assert_eq!(held(two.to_vec()), ["larkspur"]);
            assert_eq!(held(vec![account(None, state)]), ["northgate", "larkspur"], "a wallet is no employer");
        }
    }

    fn at(organization: &str) -> Affiliation {
        Affiliation {
            id: AffiliationId::parse(organization).unwrap(),
            person: PersonId::parse("ada").unwrap(),
            organization: OrganizationId::parse(organization).unwrap(),
            engagement: Engagement::Employee,
            issuer: IssuerId::parse("roster").unwrap(),
            evidence: "file".to_owned(),
            attested_at: moment(-60),
            ends_at: moment(60),
            channel: None,
        }
    }

    fn account(organization: Option<&str>, state: AccountState) -> Account {
        Account {
            channel: ChannelId::parse("directory").unwrap(),
            subject: SubjectName::parse("4711").unwrap(),
            organization: organization.map(|id| OrganizationId::parse(id).unwrap()),
            state,
            sessions_end: None,
        }
    }

    fn standing_of(person: &Person) -> (Standing, Moment) {
        let mut horizon = Horizon::of(now());
        let standing = standing(person, DAY, &mut horizon);
        (standing, horizon.until())
    }

    fn now() -> Now<'static> {
        Now { at: moment(0), channels: &[] }
    }

    fn place_of(person: &Person) -> Option<Country> {
        whereabouts(person, DAY, &mut Horizon::of(now())).established
    }

    fn moment(seconds: i64) -> Moment {
        Moment::from_millis(NOW + seconds * 1_000)
    }

    fn citizen() -> Claim {
        Claim::UsPerson { limb: UsPersonLimb::Citizen }
    }

    fn said(id: &str, issuer: &str, claim: Claim, seconds: i64) -> Attestation {
        Attestation {
            id: AttestationId::parse(id).unwrap(),
            person: PersonId::parse("ada").unwrap(),
            claim,
            issuer: IssuerId::parse(issuer).unwrap(),
            evidence: "file".to_owned(),
            assurance: Assurance::Ial2,
            issued_at: moment(seconds),
            expires_at: moment(30 * 86_400),
            supersedes: None,
            channel: None,
            fresh_until: None,
            means: None,
        }
    }

    fn person(attestations: Vec<Attestation>) -> Person {
        Person {
            id: PersonId::parse("ada").unwrap(),
            display_name: "Ada".to_owned(),
            screening: Screening::Cleared,
            active: true,
            attestations,
            affiliations: Vec::new(),
            accounts: Vec::new(),
        }
    }
}
