//! The core Group.

use super::attribute::{Attribute, Mutability, Values};

const MEMBERS: &[Attribute] = &[
    Attribute::string("value", "The id of a user or group.").exact().mutability(Mutability::Immutable),
    Attribute::reference("$ref", &["User", "Group"], "Where the member is.").mutability(Mutability::Immutable),
    Attribute::string("display", "What the member is called."),
    Attribute::string("type", "What the member is.")
        .mutability(Mutability::Immutable)
        .values(Values::Usual(&["User", "Group"])),
];

pub(super) const ATTRIBUTES: &[Attribute] = &[
    Attribute::string("displayName", "What the group is called.").required(),
    Attribute::complex("members", MEMBERS, "Who belongs to the group; nobody gains access by it.").many(),
];
