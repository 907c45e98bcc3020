//! People as the directory holds them: packed, so that a million fit beside everything else.
//!
//! A person read from the registry is a dozen small allocations; packed it is one. What many people share, the ids of
//! organizations and issuers, is kept once in [`Names`]. The bytes never leave the process, so their form may change with
//! every release.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use terms::{
    Account, AccountState, Affiliation, AffiliationId, Assurance, Attestation, AttestationId, ChannelId, Claim,
    Country, Engagement, IssuerId, LocationMethod, Means, Moment, OrganizationId, Person, PersonId, Screening,
    SubjectName, UsPersonLimb,
};

const SCREENINGS: [Screening; 5] =
    [Screening::Cleared, Screening::Review, Screening::EntityListed, Screening::DeniedPerson, Screening::Blocked];
const ASSURANCES: [Assurance; 4] = [Assurance::None, Assurance::Ial1, Assurance::Ial2, Assurance::Ial3];
const LIMBS: [UsPersonLimb; 6] = [
    UsPersonLimb::Citizen,
    UsPersonLimb::National,
    UsPersonLimb::LawfulPermanentResident,
    UsPersonLimb::TemporaryResident,
    UsPersonLimb::Refugee,
    UsPersonLimb::Asylee,
];
const METHODS: [LocationMethod; 3] = [LocationMethod::Declared, LocationMethod::Managed, LocationMethod::Network];
const ENGAGEMENTS: [Engagement; 4] =
    [Engagement::Employee, Engagement::RegularEmployee, Engagement::Contractor, Engagement::Intern];
const MEANS: [Means; 4] = [Means::Document, Means::ElectronicRecord, Means::Vouch, Means::ElectronicSignature];
const STATES: [AccountState; 3] = [AccountState::Active, AccountState::Suspended, AccountState::Ended];

/// One person in one allocation, in order of their id, which stands first: its length in one byte, then its text.
#[derive(Debug)]
pub(crate) struct Packed(Box<[u8]>);

impl Packed {
    /// Packs a person. [`Packed::open`] with the same names returns an equal one.
    pub(crate) fn pack(person: &Person, names: &Names) -> Self {
        let mut out = Writer { bytes: Vec::with_capacity(256), names, person: &person.id };
        let id = person.id.as_str();
        out.bytes.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
        out.bytes.extend_from_slice(id.as_bytes());
        out.place(&SCREENINGS, &person.screening);
        out.flag(person.active);
        out.text(&person.display_name);
        out.number(u64::try_from(person.attestations.len()).unwrap_or(u64::MAX));
        person.attestations.iter().for_each(|attestation| out.attestation(attestation));
        out.number(u64::try_from(person.affiliations.len()).unwrap_or(u64::MAX));
        person.affiliations.iter().for_each(|affiliation| out.affiliation(affiliation));
        person.accounts.iter().for_each(|account| out.account(account));
        // A copy of just its size; to shrink the buffer in place would leave the rest as a hole too small for the next.
        Self(Box::from(out.bytes.as_slice()))
    }

    /// Unpacks a person. `None` if the bytes are not what [`Packed::pack`] wrote, which leaves the caller unknown.
    pub(crate) fn open(&self, names: &Names) -> Option<Person> {
        let id = PersonId::parse(std::str::from_utf8(self.id()).ok()?).ok()?;
        let rest = self.0.get(1 + self.id().len()..)?;
        let mut bytes = Reader { rest, names, person: &id };
        let (screening, active, display_name) = (bytes.place(&SCREENINGS)?, bytes.flag()?, bytes.text()?);
        let count = bytes.number()?;
        let attestations = (0..count).map(|_| bytes.attestation()).collect::<Option<Vec<_>>>()?;
        let count = bytes.number()?;
        let affiliations = (0..count).map(|_| bytes.affiliation()).collect::<Option<Vec<_>>>()?;
        let mut accounts = Vec::new();
        while !bytes.rest.is_empty() {
            accounts.push(bytes.account()?);
        }
        Some(Person { display_name, screening, active, attestations, affiliations, accounts, id })
    }

    fn id(&self) -> &[u8] {
        let Some((len, rest)) = self.0.split_first() else {
            return &[];
        };
        rest.get(..usize::from(*len)).unwrap_or(rest)
    }
}

/// Found by the bytes of an id.
impl Borrow<[u8]> for Packed {
    fn borrow(&self) -> &[u8] {
        self.id()
    }
}

impl Ord for Packed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id().cmp(other.id())
    }
}

impl PartialOrd for Packed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Packed {}

/// Texts that many people share, by number. It only grows, with the organizations and issuers of the registry.
#[derive(Debug, Default)]
pub(crate) struct Names(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    numbers: BTreeMap<Arc<str>, u64>,
    texts: Vec<Arc<str>>,
}

impl Names {
    fn number(&self, text: &str) -> u64 {
        if let Some(number) = self.0.read().unwrap_or_else(PoisonError::into_inner).numbers.get(text) {
            return *number;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let next = u64::try_from(known.texts.len()).unwrap_or(u64::MAX);
        let text: Arc<str> = Arc::from(text);
        let number = *known.numbers.entry(Arc::clone(&text)).or_insert(next);
        if number == next {
            known.texts.push(text);
        }
        number
    }

    fn text(&self, number: u64) -> Option<Arc<str>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.texts.get(usize::try_from(number).ok()?).cloned()
    }
}

struct Writer<'a> {
    bytes: Vec<u8>,
    names: &'a Names,
    person: &'a PersonId,
}

impl Writer<'_> {
    fn attestation(&mut self, attestation: &Attestation) {
        self.text(attestation.id.as_str());
        self.owner(&attestation.person);
        self.claim(&attestation.claim);
        self.number(self.names.number(attestation.issuer.as_str()));
        self.text(&attestation.evidence);
        self.place(&ASSURANCES, &attestation.assurance);
        self.moment(attestation.issued_at);
        self.moment(attestation.expires_at);
        self.text(attestation.supersedes.as_ref().map_or("", |id| id.as_str()));
        self.maybe(attestation.means.as_ref(), |out, means| out.place(&MEANS, means));
        self.maybe(attestation.fresh_until, Self::moment);
        self.maybe(attestation.channel.as_ref(), Self::channel);
    }

    fn affiliation(&mut self, affiliation: &Affiliation) {
        self.text(affiliation.id.as_str());
        self.owner(&affiliation.person);
        self.number(self.names.number(affiliation.organization.as_str()));
        self.place(&ENGAGEMENTS, &affiliation.engagement);
        self.number(self.names.number(affiliation.issuer.as_str()));
        self.text(&affiliation.evidence);
        self.moment(affiliation.attested_at);
        self.moment(affiliation.ends_at);
        self.maybe(affiliation.channel.as_ref(), Self::channel);
    }

    fn account(&mut self, account: &Account) {
        self.channel(&account.channel);
        self.text(account.subject.as_str());
        self.maybe(account.organization.as_ref(), |out, id| out.number(out.names.number(id.as_str())));
        self.place(&STATES, &account.state);
        self.maybe(account.sessions_end, Self::moment);
    }

    fn channel(&mut self, channel: &ChannelId) {
        self.number(self.names.number(channel.as_str()));
    }

    fn claim(&mut self, claim: &Claim) {
        match claim {
            Claim::UsPerson { limb } => {
                self.bytes.push(0);
                self.place(&LIMBS, limb);
            }
            Claim::ForeignPerson => self.bytes.push(1),
            Claim::Citizenship { country, from, until } => self.dated(2, *country, [*from, *until]),
            Claim::PermanentResidency { country, from, until } => self.dated(3, *country, [*from, *until]),
            Claim::Stateless => self.bytes.push(4),
            Claim::Location { country, method } => {
                self.bytes.push(5);
                self.bytes.extend_from_slice(country.as_str().as_bytes());
                self.place(&METHODS, method);
            }
        }
    }

    fn dated(&mut self, tag: u8, country: Country, dates: [Option<Moment>; 2]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(country.as_str().as_bytes());
        for date in dates {
            self.maybe(date, Self::moment);
        }
    }

    /// Writes whether there is a value, then the value.
    fn maybe<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
    }

    /// Whose a statement is: nearly always the person's under whom it is kept.
    fn owner(&mut self, owner: &PersonId) {
        self.text(if owner == self.person { "" } else { owner.as_str() });
    }

    /// Writes text; an even run of 16 or more hexadecimal digits at its end, as our own ids have, takes half the room.
    fn text(&mut self, text: &str) {
        let digits = text.bytes().rev().take_while(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b)).count();
        let packed = if digits >= 16 { digits - digits % 2 } else { 0 };
        let (plain, hex) = text.split_at(text.len() - packed);
        self.number(u64::try_from(plain.len() * 2 + usize::from(packed > 0)).unwrap_or(u64::MAX));
        self.bytes.extend_from_slice(plain.as_bytes());
        if packed > 0 {
            self.number(u64::try_from(packed / 2).unwrap_or(u64::MAX));
            let value = |pair: &[u8]| pair.iter().fold(0, |value, digit| value * 16 + nibble(*digit));
            self.bytes.extend(hex.as_bytes().chunks(2).map(value));
        }
    }

    fn moment(&mut self, moment: Moment) {
        self.number(u64::try_from(moment.as_millis()).unwrap_or(0));
    }

    fn flag(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    fn place<T: PartialEq>(&mut self, all: &[T], value: &T) {
        let place = all.iter().position(|known| known == value).and_then(|place| u8::try_from(place).ok());
        self.bytes.push(place.unwrap_or(u8::MAX));
    }

    /// Writes seven bits a byte, the low ones first.
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
            value >>= 7;
        }
        self.bytes.push(u8::try_from(value).unwrap_or(0));
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    names: &'a Names,
    person: &'a PersonId,
}

impl Reader<'_> {
    fn attestation(&mut self) -> Option<Attestation> {
        Some(Attestation {
            id: AttestationId::parse(&self.text()?).ok()?,
            person: self.owner()?,
            claim: self.claim()?,
            issuer: IssuerId::parse(&self.name()?).ok()?,
            evidence: self.text()?,
            assurance: self.place(&ASSURANCES)?,
            issued_at: self.moment()?,
            expires_at: self.moment()?,
            supersedes: match self.text()? {
                none if none.is_empty() => None,
                id => Some(AttestationId::parse(&id).ok()?),
            },
            means: self.maybe(|bytes| bytes.place(&MEANS))?,
            fresh_until: self.date()?,
            channel: self.maybe(Self::channel)?,
        })
    }

    fn affiliation(&mut self) -> Option<Affiliation> {
        Some(Affiliation {
            id: AffiliationId::parse(&self.text()?).ok()?,
            person: self.owner()?,
            organization: OrganizationId::parse(&self.name()?).ok()?,
            engagement: self.place(&ENGAGEMENTS)?,
            issuer: IssuerId::parse(&self.name()?).ok()?,
            evidence: self.text()?,
            attested_at: self.moment()?,
            ends_at: self.moment()?,
            channel: self.maybe(Self::channel)?,
        })
    }

    fn account(&mut self) -> Option<Account> {
        Some(Account {
            channel: self.channel()?,
            subject: SubjectName::parse(&self.text()?).ok()?,
            organization: self.maybe(|bytes| OrganizationId::parse(&bytes.name()?).ok())?,
            state: self.place(&STATES)?,
            sessions_end: self.date()?,
        })
    }

    fn channel(&mut self) -> Option<ChannelId> {
        ChannelId::parse(&self.name()?).ok()
    }

    fn claim(&mut self) -> Option<Claim> {
        Some(match self.byte()? {
            0 => Claim::UsPerson { limb: self.place(&LIMBS)? },
            1 => Claim::ForeignPerson,
            2 => Claim::Citizenship { country: self.country()?, from: self.date()?, until: self.date()? },
            3 => Claim::PermanentResidency { country: self.country()?, from: self.date()?, until: self.date()? },
            4 => Claim::Stateless,
            5 => Claim::Location { country: self.country()?, method: self.place(&METHODS)? },
            _ => return None,
        })
    }

    fn owner(&mut self) -> Option<PersonId> {
        match self.text()? {
            own if own.is_empty() => Some(self.person.clone()),
            other => PersonId::parse(&other).ok(),
        }
    }

    fn name(&mut self) -> Option<Arc<str>> {
        let number = self.number()?;
        self.names.text(number)
    }

    fn text(&mut self) -> Option<String> {
        let head = self.number()?;
        let plain = self.take(usize::try_from(head / 2).ok()?)?;
        let mut text = std::str::from_utf8(plain).ok()?.to_owned();
        if head % 2 == 1 {
            let count = usize::try_from(self.number()?).ok()?;
            let digit = |value: u8| char::from_digit(u32::from(value), 16);
            for byte in self.take(count)? {
                text.push(digit(byte >> 4)?);
                text.push(digit(byte & 0xf)?);
            }
        }
        Some(text)
    }

    fn country(&mut self) -> Option<Country> {
        Country::parse(std::str::from_utf8(self.take(2)?).ok()?).ok()
    }

    fn date(&mut self) -> Option<Option<Moment>> {
        self.maybe(Self::moment)
    }

    /// Reads a value that may be absent; the outer `None` is a failure.
    fn maybe<T>(&mut self, take: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        Some(if self.flag()? { Some(take(self)?) } else { None })
    }

    fn moment(&mut self) -> Option<Moment> {
        Some(Moment::from_millis(i64::try_from(self.number()?).ok()?))
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.byte()? == 1)
    }

    fn place<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        all.get(usize::from(self.byte()?)).copied()
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'0'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, option, prelude::*, sample::select};

    fn ids() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z][a-z0-9-]{0,20}", "att-[0-9a-f]{32}", "[0-9a-f]{15,40}"]
    }

    fn moments() -> impl Strategy<Value = Moment> {
        (0_i64..253_402_207_200_000).prop_map(Moment::from_millis)
    }

    fn claims() -> impl Strategy<Value = Claim> {
        let country = select(vec!["US", "CN", "GB"]).prop_map(|code| Country::parse(code).unwrap());
        let dates = || (option::of(moments()), option::of(moments()));
        prop_oneof![
            select(LIMBS.to_vec()).prop_map(|limb| Claim::UsPerson { limb }),
            Just(Claim::ForeignPerson),
            Just(Claim::Stateless),
            (country.clone(), dates()).prop_map(|(country, (from, until))| Claim::Citizenship { country, from, until }),
            (country.clone(), dates()).prop_map(|(country, (from, until))| Claim::PermanentResidency {
                country,
                from,
                until
            }),
            (country, select(METHODS.to_vec())).prop_map(|(country, method)| Claim::Location { country, method }),
        ]
    }

    fn attestations() -> impl Strategy<Value = Attestation> {
        (
            ids(),
            ids(),
            claims(),
            ids(),
            "\\PC{0,40}",
            select(ASSURANCES.to_vec()),
            (moments(), moments(), option::of(moments())),
            option::of(ids()),
            (option::of(select(MEANS.to_vec())), option::of(ids())),
        )
            .prop_map(
                |(id, person, claim, issuer, evidence, assurance, dates, supersedes, (means, channel))| {
                    let (issued_at, expires_at, fresh_until) = dates;
                    Attestation {
                        id: AttestationId::parse(&id).unwrap(),
                        person: PersonId::parse(&person).unwrap(),
                        claim,
                        issuer: IssuerId::parse(&issuer).unwrap(),
                        evidence,
                        assurance,
                        issued_at,
                        expires_at,
                        supersedes: supersedes.map(|id| AttestationId::parse(&id).unwrap()),
                        means,
                        fresh_until,
                        channel: channel.map(|id| ChannelId::parse(&id).unwrap()),
                    }
                },
            )
    }

    fn affiliations() -> impl Strategy<Value = Affiliation> {
        let dates = (moments(), moments());
        (ids(), ids(), ids(), select(ENGAGEMENTS.to_vec()), ids(), "\\PC{0,40}", dates, option::of(ids())).prop_map(
            |(id, person, organization, engagement, issuer, evidence, (attested_at, ends_at), channel)| Affiliation {
                id: AffiliationId::parse(&id).unwrap(),
                person: PersonId::parse(&person).unwrap(),
                organization: OrganizationId::parse(&organization).unwrap(),
                engagement,
                issuer: IssuerId::parse(&issuer).unwrap(),
                evidence,
                attested_at,
                ends_at,
                channel: channel.map(|id| ChannelId::parse(&id).unwrap()),
            },
        )
    }

    fn accounts() -> impl Strategy<Value = Account> {
        (ids(), "\\PC{1,40}", option::of(ids()), select(STATES.to_vec()), option::of(moments())).prop_map(
            |(channel, subject, organization, state, sessions_end)| Account {
                channel: ChannelId::parse(&channel).unwrap(),
                subject: SubjectName::parse(&subject).unwrap(),
                organization: organization.map(|id| OrganizationId::parse(&id).unwrap()),
                state,
                sessions_end,
            },
        )
    }

    fn people() -> impl Strategy<Value = Person> {
        let parts = (vec(attestations(), 0..4), vec(affiliations(), 0..3), vec(accounts(), 0..3));
        (ids(), "\\PC{0,40}", select(SCREENINGS.to_vec()), any::<bool>(), parts).prop_map(
            |(id, display_name, screening, active, (mut attestations, affiliations, accounts))| {
                let id = PersonId::parse(&id).unwrap();
                if let Some(own) = attestations.first_mut() {
                    own.person = id.clone();
                }
                Person { id, display_name, screening, active, attestations, affiliations, accounts }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whoever_is_packed_comes_out_the_same(people in vec(people(), 1..4)) {
            let names = Names::default();
            let packed: Vec<Packed> = people.iter().map(|person| Packed::pack(person, &names)).collect();
            for (person, packed) in people.iter().zip(&packed) {
                prop_assert_eq!(packed.id(), person.id.as_str().as_bytes());
                let opened = packed.open(&names);
                prop_assert_eq!(opened.as_ref(), Some(person));
            }
        }

        #[test]
        fn bytes_that_were_cut_short_are_nobody_or_at_least_no_panic(person in people(), part in 0.0..1.0_f64) {
            let names = Names::default();
            let whole = Packed::pack(&person, &names);
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "any")]
            let cut = (whole.0.len() as f64 * part) as usize;
            let cut = Packed(whole.0.get(..cut).unwrap().into());
            prop_assert_ne!(cut.open(&names), Some(person));
        }
    }
}
