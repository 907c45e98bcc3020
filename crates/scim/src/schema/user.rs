//! The core User and its enterprise extension.

use super::attribute::{Attribute, DataType, Mutability, Returned, Values};

const NAME: &[Attribute] = &[
    Attribute::string("formatted", "The full name, as it is shown."),
    Attribute::string("familyName", "The family name."),
    Attribute::string("givenName", "The given name."),
    Attribute::string("middleName", "The middle name or names."),
    Attribute::string("honorificPrefix", "What stands before the name, such as a title."),
    Attribute::string("honorificSuffix", "What stands after the name."),
];

/// Makes the sub-attributes that most multi-valued attributes have, with these usual types.
const fn plural(value: Attribute, types: &'static [&'static str]) -> [Attribute; 4] {
    [
        value,
        Attribute::string("display", "The value as it is shown."),
        Attribute::string("type", "What the value is used for.").values(Values::Usual(types)),
        Attribute::boolean("primary", "True for the preferred value, of which there is at most one."),
    ]
}

const PLACES: &[&str] = &["work", "home", "other"];
const EMAILS: &[Attribute] = &plural(Attribute::string("value", "An e-mail address."), PLACES);
const PHONES: &[Attribute] =
    &plural(Attribute::string("value", "A telephone number."), &["work", "home", "mobile", "fax", "pager", "other"]);
const IMS: &[Attribute] = &plural(
    Attribute::string("value", "An address for instant messages."),
    &["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"],
);
const PHOTOS: &[Attribute] =
    &plural(Attribute::reference("value", &["external"], "Where a picture is."), &["photo", "thumbnail"]);
const ENTITLEMENTS: &[Attribute] = &plural(Attribute::string("value", "Something the person is entitled to."), &[]);
const ROLES: &[Attribute] = &plural(Attribute::string("value", "A role."), &[]);
const CERTIFICATES: &[Attribute] =
    &plural(Attribute::new("value", DataType::Binary, "A certificate, DER in base64.").exact(), &[]);
const ADDRESSES: &[Attribute] = &[
    Attribute::string("formatted", "The whole address, as it is shown."),
    Attribute::string("streetAddress", "Street and number."),
    Attribute::string("locality", "The city."),
    Attribute::string("region", "The state or region."),
    Attribute::string("postalCode", "The postal code."),
    Attribute::string("country", "The country."),
    Attribute::string("type", "What the address is used for.").values(Values::Usual(PLACES)),
    Attribute::boolean("primary", "True for the preferred address, of which there is at most one."),
];
const GROUPS: &[Attribute] = &[
    Attribute::string("value", "The id of a group.").read_only().exact(),
    Attribute::reference("$ref", &["Group"], "Where the group is.").read_only(),
    Attribute::string("display", "What the group is called.").read_only(),
    Attribute::string("type", "Whether the membership is direct.").read_only(),
];

pub(super) const ATTRIBUTES: &[Attribute] = &[
    Attribute::string("userName", "The name by which the person signs in at the employer.").required().unique(),
    Attribute::complex("name", NAME, "The parts of the person's name."),
    Attribute::string("displayName", "The name as it is shown."),
    Attribute::string("nickName", "What the person is called casually."),
    Attribute::reference("profileUrl", &["external"], "Where the person's profile is."),
    Attribute::string("title", "The person's title."),
    Attribute::string("userType", "How the employer classes the person."),
    Attribute::string("preferredLanguage", "The language the person prefers, as in `Accept-Language`."),
    Attribute::string("locale", "Where the person is, for the form of numbers and dates."),
    Attribute::string("timezone", "The person's time zone, by its Olson name."),
    Attribute::boolean("active", "False suspends everything the person may do for the employer, at once."),
    Attribute::string("password", "Accepted and not kept: nobody signs in here with it.")
        .exact()
        .mutability(Mutability::WriteOnly)
        .returned(Returned::Never),
    Attribute::complex("emails", EMAILS, "E-mail addresses; none of them identifies a person here.").many(),
    Attribute::complex("phoneNumbers", PHONES, "Telephone numbers.").many(),
    Attribute::complex("ims", IMS, "Addresses for instant messages.").many(),
    Attribute::complex("photos", PHOTOS, "Pictures.").many(),
    Attribute::complex("addresses", ADDRESSES, "Postal addresses.").many(),
    Attribute::complex("groups", GROUPS, "Accepted and not kept: ask for the group.")
        .many()
        .read_only()
        .returned(Returned::Never),
    Attribute::complex("entitlements", ENTITLEMENTS, "Entitlements, as the employer words them.").many(),
    Attribute::complex("roles", ROLES, "Roles, as the employer words them.").many(),
    Attribute::complex("x509Certificates", CERTIFICATES, "Certificates.").many(),
];

const MANAGER: &[Attribute] = &[
    Attribute::string("value", "The id of the manager.").exact(),
    Attribute::reference("$ref", &["User"], "Where the manager is."),
    Attribute::string("displayName", "What the manager is called.").read_only(),
];

pub(super) const ENTERPRISE: &[Attribute] = &[
    Attribute::string("employeeNumber", "The number the employer gave the person."),
    Attribute::string("costCenter", "The cost center."),
    Attribute::string("organization", "The organization."),
    Attribute::string("division", "The division."),
    Attribute::string("department", "The department."),
    Attribute::complex("manager", MANAGER, "The person's manager."),
];
