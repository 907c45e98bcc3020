//! The extension by which an employer attests what export control asks about a person.
//!
//! Flat, because a directory that is common among employers maps no complex attribute with more than two sub-attributes.

use super::attribute::{Attribute, Returned, Values};

/// Why a person is a United States person, or that they are none, or that it is not known.
const BASES: &[&str] = &["citizen", "national", "lawfulPermanentResident", "refugee", "asylee", "none", "unknown"];
/// In what capacity a person works for the employer.
const EMPLOYMENTS: &[&str] = &["employee", "contractor", "secondee", "jointVenture", "intern", "agent"];

/// A nationality is answered only to who asks for it by name.
const fn country(name: &'static str, values: Values, description: &'static str) -> Attribute {
    Attribute::string(name, description).exact().values(values).returned(Returned::Request)
}

pub(super) const ATTRIBUTES: &[Attribute] = &[
    Attribute::string("usPersonBasis", "The limb of 15 CFR 772.1 by which the person is no foreign person.")
        .exact()
        .values(Values::Only(BASES))
        .returned(Returned::Request),
    country("citizenships", Values::Nationality, "Every citizenship now held.").many(),
    country("permanentResidencies", Values::Country, "Every permanent residency now held.").many(),
    country("formerCitizenships", Values::Country, "Citizenships once held.").many(),
    country(
        "mostRecentCitizenshipOrResidency",
        Values::Country,
        "The citizenship or permanent residency acquired last (15 CFR 734.13(b)).",
    ),
    country("residenceCountry", Values::Country, "Where the person resides."),
    Attribute::string("workLocationCountry", "Where the person works.").exact().values(Values::Country),
    Attribute::date_time("statusExpires", "When the status behind `usPersonBasis` ends."),
    Attribute::string("attestedBy", "The official of the employer who attests this."),
    Attribute::date_time("attestedAt", "When it was attested."),
    Attribute::string("evidenceRef", "Where the employer keeps the evidence; never the evidence itself.").exact(),
    Attribute::string("employmentType", "In what capacity the person works for the employer.")
        .exact()
        .values(Values::Only(EMPLOYMENTS)),
    Attribute::date_time("employmentStart", "When the employment begins."),
    Attribute::date_time("employmentEnd", "When the employment ends."),
    Attribute::string("employerEntityId", "The employer's LEI or its id in an annex.").exact(),
    Attribute::string("authorizations", "Licenses and other authorizations that name the person.").exact().many(),
];
