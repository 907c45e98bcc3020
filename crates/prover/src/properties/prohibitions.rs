//! I3: what the law forbids to everybody, nothing permits.

use super::{Fault, Property, Rulebook, Session};
use crate::{assume, rulebook::parse_one, session::Heading};

const TITLE: &str = "nothing permits it, whatever licenses there are or may come";

/// A license that permits everything to everybody: if not even this one helps, none does.
const ANY_LICENSE: &str = r#"@id("any-license") permit (principal, action, resource);"#;

/// What is forbidden, and when. Written from the law, not from the rules.
///
/// # Source
/// 31 CFR chapter V (blocked persons; the 50 percent rule, OFAC FAQ 398 to 402); 31 CFR parts 510, 515 and 560
/// (embargoes); 15 CFR 744.11 and 744.16 (Entity List); 764.2(k) (denied persons); part 746 (E:1, E:2). What was
/// published is not subject to the EAR (734.7), but to OFAC.
const FORBIDDEN: [(&str, &str); 7] = [
    ("a blocked person or organization", r#"context.parties.contains("blocked")"#),
    ("an organization that blocked persons own by half", r#"context.parties.contains("covered_blocked")"#),
    ("a comprehensively sanctioned country", r#"context.near.contains(Group::"sanctioned")"#),
    ("a party on the Entity List", r#"!resource.published && context.parties.contains("entity_listed")"#),
    ("a denied person", r#"!resource.published && context.parties.contains("denied_person")"#),
    (
        "an embargoed country (E:1, E:2)",
        r#"!resource.published && context.near.containsAny([Group::"E:1", Group::"E:2"])"#,
    ),
    ("a model version without the certificate it needs", "resource.certificateRequired"),
];

pub(super) async fn settle(session: &mut Session<'_>, book: &Rulebook<'_>) -> Result<Vec<Property>, Fault> {
    let any_license = [parse_one(ANY_LICENSE)?];
    let mut properties = Vec::new();
    for (what, condition) in FORBIDDEN {
        let heading = Heading { id: "I3", title: TITLE, about: what.to_owned() };
        let assumed = assume::serve_question(condition)?;
        let finding = "forbidden to everybody";
        let work = async |asker: &mut _| super::nobody_is_served(asker, book, &assumed, &any_license, finding).await;
        properties.push(session.settle(heading, work).await?);
    }
    Ok(properties)
}
