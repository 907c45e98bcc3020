//! A class in words: attributes only, never a name.

use terms::Engagement;

use super::{
    Study,
    classes::index,
    seats::Seat,
    shape::{CallerShape, Live, PersonShape, Place, Shape, StandingClaim, Word},
};

impl Study<'_> {
    /// Returns what the keys of a class have in common, each in a few words.
    pub(super) fn describe(&self, class: u32) -> Vec<String> {
        match self.classes.shapes.get(index(class)) {
            Some(Shape::Ended) => vec!["the credential is revoked or expired".to_owned()],
            Some(Shape::Inactive) => vec!["deactivated".to_owned()],
            Some(Shape::Live(Live { caller, tenant, people, .. })) => {
                let mut words = vec![called(*caller, people.len())];
                words.extend(tenant.map(|seat| format!("under the tenant of {}", self.organization(seat))));
                words.extend(people.iter().flat_map(|person| self.person(person)));
                words
            }
            None => Vec::new(),
        }
    }

    fn person(&self, person: &PersonShape) -> Vec<String> {
        let mut words: Vec<String> = person.standings.iter().map(|word| self.standing(word)).collect();
        if words.is_empty() {
            words.push("standing not attested".to_owned());
        }
        words.extend(person.places.iter().map(|word| self.place(word)));
        words.extend(
            person.roles.iter().map(|role| format!("{} of {}", engaged(role.engagement), self.organization(role.seat))),
        );
        if person.screening != terms::Screening::Cleared {
            words.push(format!("screening: {}", spelled(&person.screening)));
        }
        words
    }

    fn standing(&self, word: &Word<StandingClaim>) -> String {
        let claim = match word.claim {
            StandingClaim::UsPerson(limb) => format!("U.S. person ({})", spelled(&limb)),
            StandingClaim::ForeignPerson => "foreign person".to_owned(),
        };
        format!("{claim}, {}", self.quality(word))
    }

    fn place(&self, word: &Word<Place>) -> String {
        let place = format!("in a country such as {}", word.claim.country);
        if word.claim.network {
            return format!("{place}, by network address");
        }
        format!("{place}, {}", self.quality(word))
    }

    fn quality<T>(&self, word: &Word<T>) -> String {
        let assurance = spelled(&self.shaper.lens.assurance_of(word.assurance));
        let age = usize::from(word.age).checked_sub(1).and_then(|at| self.shaper.lens.ages().get(at));
        match age {
            Some(age) => format!("attested at {assurance}, {} hours ago or more", age.as_secs() / 3_600),
            None => format!("attested at {assurance}"),
        }
    }

    fn organization(&self, seat: Seat) -> String {
        let organizations = &self.population.organizations;
        let known = self.shaper.seats.sitting(organizations, seat);
        let Some(organization) = known.and_then(|(place, _)| organizations.get(place?)) else {
            return "an organization that is not known".to_owned();
        };
        let named = self.shaper.lens.mentions(organization.id.as_str()).next().is_some();
        let named = if named { "an organization that instruments name" } else { "an organization" };
        let mut words = format!("{named} (kind: {}", spelled(&organization.kind));
        if organization.screening != terms::Screening::Cleared {
            words.push_str(&format!(", screening: {}", spelled(&organization.screening)));
        }
        if organization.coverage != terms::Coverage::None {
            words.push_str(&format!(", ownership: {}", spelled(&organization.coverage)));
        }
        if organization.resells {
            words.push_str(", resells");
        }
        words.push(')');
        words
    }
}

fn called(caller: CallerShape, people: usize) -> String {
    match caller {
        CallerShape::Person => "a person".to_owned(),
        CallerShape::Unbound => "a shared key".to_owned(),
        CallerShape::Workload { complete: true, .. } => format!("a workload with {people} kinds of recipients"),
        CallerShape::Workload { complete: false, .. } => "a workload without established recipients".to_owned(),
    }
}

fn engaged(engagement: Engagement) -> &'static str {
    match engagement {
        Engagement::Employee => "employee",
        Engagement::RegularEmployee => "regular employee (22 CFR 120.64)",
        Engagement::Contractor => "contractor",
        Engagement::Intern => "intern",
    }
}

/// Spells a value as documents do.
fn spelled(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().replace('_', " ")
}
