//! On whom a reading can bear: most questions about an instrument make no difference to most people.
//!
//! A class is decided only under the readings that can matter to it. Each test here errs on the side of deciding: it
//! says no only where every answer to the question leads to the same determination. A property test compares the
//! matrix with deciding every key under every reading.

use terms::{Country, Engagement, UsPersonLimb};

use super::{
    lens::Lens,
    reading::{Question, bit},
    seats::Seats,
    shape::{Live, PersonShape, Shape, StandingClaim, Word},
};

/// Returns the questions, by the bits of their places, whose answers can bear on a shape.
pub(crate) fn mask(questions: &[Question], shape: &Shape, lens: &Lens, seats: &Seats) -> u32 {
    let Shape::Live(live) = shape else {
        return 0;
    };
    let bearing = questions.iter().enumerate().filter(|(_, question)| bears(**question, live, lens, seats));
    bearing.map(|(at, _)| bit(at)).sum()
}

fn bears(question: Question, live: &Live, lens: &Lens, seats: &Seats) -> bool {
    let mut people = live.people.iter();
    match question {
        Question::PersonDefinition => people.any(is_protected),
        Question::UnknownStanding => people.any(|person| lens.asks_nationality() || !is_attested(person, lens)),
        Question::Destination => people.any(|person| !is_in_united_states(person, lens)),
        Question::EmployeeScope => people.any(|person| has_other_role(person, seats)),
        Question::EntityScope => {
            let roles = people.flat_map(|person| &person.roles).map(|role| role.seat);
            roles.chain(live.tenant).chain(live.employer).any(|seat| seats.is_tied(seat))
        }
    }
}

/// Someone whom 15 CFR 772.1 excepts and a definition by citizenship does not.
fn is_protected(person: &PersonShape) -> bool {
    let narrow = |word: &Word<StandingClaim>| match word.claim {
        StandingClaim::UsPerson(limb) => limb > UsPersonLimb::National,
        StandingClaim::ForeignPerson => false,
    };
    person.standings.iter().any(narrow)
}

/// Someone whose standing is established whatever assurance or age is asked for.
fn is_attested(person: &PersonShape, lens: &Lens) -> bool {
    let is_foreign = |word: &Word<StandingClaim>| word.claim == StandingClaim::ForeignPerson;
    let agree = person.standings.iter().all(is_foreign) || !person.standings.iter().any(is_foreign);
    agree && person.standings.iter().any(|word| lens.is_best(word))
}

/// Someone who is in the United States whatever assurance or age is asked for.
fn is_in_united_states(person: &PersonShape, lens: &Lens) -> bool {
    let mut countries = person.places.iter().map(|word| word.claim.country);
    let first = countries.next();
    let one = countries.all(|country| Some(country) == first);
    let here = first.is_some_and(|country| lens.kind(country) == lens.kind(Country::US));
    one && here && person.places.iter().any(|word| !word.claim.network && lens.is_best(word))
}

/// Someone who acts for an organization that instruments name, or may mean, otherwise than as an employee.
fn has_other_role(person: &PersonShape, seats: &Seats) -> bool {
    let named = |role: &&super::shape::RoleShape| seats.is_named(role.seat) || seats.is_tied(role.seat);
    person.roles.iter().filter(named).any(|role| role.engagement != Engagement::Employee)
}
