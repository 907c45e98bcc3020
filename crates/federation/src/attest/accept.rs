//! The changes that follow from a source's statements: what every part that hears of people makes its commits of.

use control::{Fault, FederatedChange, FieldFault, Review, View};
use terms::{Attestation, ChannelId, IssuerId, Moment, PersonId};

use super::{
    statement::Statement,
    trust::TrustList,
    weigh::{Conflict, Refusal, Weighed, weigh},
};

/// Returns the changes that follow from what `issuer` says about `person` through `channel`; empty if it is nothing new.
///
/// To be called inside the commit that makes the changes, so that nobody writes in between. A newer word supersedes the
/// same issuer's older one on the same question; nothing is edited, and nobody's word removes another's. Sources that
/// contradict each other are all kept, which leaves the policy without an answer, and a review is opened.
///
/// # Errors
///
/// [`Refusal`] if nothing of it is believed, or the source may not speak about this person.
pub(crate) fn accept(
    view: &View<'_>,
    trust: &TrustList,
    person: &PersonId,
    issuer: &IssuerId,
    channel: Option<&ChannelId>,
    statements: &[Statement],
    now: Moment,
) -> Result<Vec<FederatedChange>, Refusal> {
    let known = view.person(person)?.ok_or_else(|| Refusal::UnknownPerson(person.clone()))?;
    let channel = match channel {
        None => None,
        Some(id) => Some(view.channel(id)?.ok_or_else(|| Refusal::ChannelOff(id.to_string()))?),
    };
    let mut weighed = weigh(&known, trust, issuer, channel.as_ref(), statements, now)?;
    for why in &weighed.mistrusted {
        tracing::warn!(%issuer, %person, %why, "a statement was left out");
    }
    weighed.attestations = unheard(view, weighed.attestations)?;
    weighed.conflicts = unopened(view, weighed.conflicts)?;
    Ok(changes(person, weighed, now))
}

/// Leaves out the conflicts on which a review is open; one that was settled is opened again by newer word.
fn unopened(view: &View<'_>, conflicts: Vec<Conflict>) -> Result<Vec<Conflict>, Fault> {
    let mut new: Vec<Conflict> = Vec::with_capacity(conflicts.len());
    for conflict in conflicts {
        let open = view.review(&conflict.id)?.is_some_and(|review| review.closed_at.is_none());
        if !open && new.iter().all(|known| known.id != conflict.id) {
            new.push(conflict);
        }
    }
    Ok(new)
}

/// Leaves out what was heard before: a statement that was withdrawn does not return by being repeated.
fn unheard(view: &View<'_>, attestations: Vec<Attestation>) -> Result<Vec<Attestation>, Fault> {
    let mut new = Vec::with_capacity(attestations.len());
    for attestation in attestations {
        if view.attestation(&attestation.id)?.is_none() {
            new.push(attestation);
        }
    }
    Ok(new)
}

fn changes(person: &PersonId, weighed: Weighed, now: Moment) -> Vec<FederatedChange> {
    let Weighed { attestations, replaced, affiliations, conflicts, .. } = weighed;
    let withdrawn = |attestation| {
        let reason = "replaced by the issuer's newer word".to_owned();
        FederatedChange::Withdrawal { attestation, reason }
    };
    let review = |(id, what)| {
        FederatedChange::Review(Review { id, person: Some(person.clone()), what, opened_at: now, closed_at: None })
    };
    let conflicts = conflicts.into_iter().map(|conflict| (conflict.id, conflict.what));
    let changes = attestations.into_iter().map(FederatedChange::Attestation);
    let changes = changes.chain(replaced.into_iter().map(withdrawn));
    let changes = changes.chain(affiliations.into_iter().map(FederatedChange::Affiliation));
    changes.chain(conflicts.map(review)).collect()
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Registry(fault) => fault,
            refused => Self::Invalid(vec![FieldFault::new("statements", refused.to_string())]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use control::Source;
    use terms::{Assurance, Claim, Means, OrganizationId, UsPersonLimb};

    use super::{
        super::{
            statement::{ClaimKind, Said},
            trust::TrustEntry,
        },
        *,
    };
    use crate::world::World;

    fn trust() -> TrustList {
        let entry = |issuer: &str| TrustEntry {
            issuer: IssuerId::parse(issuer).unwrap(),
            claims: vec![ClaimKind::Standing, ClaimKind::Employment],
            assurance: Assurance::Ial2,
            means: BTreeSet::new(),
            frameworks: BTreeSet::new(),
            good_for_days: None,
        };
        TrustList::new(vec![entry("vendor"), entry("other")]).unwrap()
    }

    fn said(said: Said, issued_at: Moment) -> Statement {
        Statement {
            said,
            assurance: Assurance::Ial2,
            means: Some(Means::Document),
            framework: None,
            evidence: "file/1".to_owned(),
            issued_at,
            expires_at: None,
        }
    }

    fn us_person() -> Said {
        Said::Claim(Claim::UsPerson { limb: UsPersonLimb::Citizen })
    }

    /// Commits what `issuer` says about Ada through a channel.
    fn hear(world: &World, issuer: &str, channel: &str, statement: Statement) -> Result<(), Fault> {
        let (channel, issuer) = (ChannelId::parse(channel).unwrap(), IssuerId::parse(issuer).unwrap());
        let ada = PersonId::parse("ada").unwrap();
        let source = Source::evidence(channel.clone(), "test.evidence", "message");
        let committed = world.federation().commit(&source, |view| {
            Ok(accept(view, &trust(), &ada, &issuer, Some(&channel), &[statement], view.now())?)
        });
        committed.map(drop)
    }

    #[test]
    fn what_is_accepted_is_held_and_its_successor_takes_its_place() {
        let world = World::new();
        let start = world.now();
        hear(&world, "vendor", "proofing", said(us_person(), start)).unwrap();
        hear(&world, "vendor", "proofing", said(us_person(), start)).unwrap();
        let first = world.ada().attestations;
        assert_eq!(first.len(), 1, "the same said twice is held once");
        world.clock.advance(std::time::Duration::from_secs(60));
        hear(&world, "vendor", "proofing", said(us_person(), world.now())).unwrap();
        let second = world.ada().attestations;
        assert_eq!((second.len(), second[0].supersedes.clone()), (1, Some(first[0].id.clone())));
        assert_eq!(second[0].channel.as_ref().map(ChannelId::as_str), Some("proofing"));
    }

    #[test]
    fn a_contradiction_leaves_both_words_and_opens_one_review() {
        let world = World::new();
        hear(&world, "vendor", "proofing", said(us_person(), world.now())).unwrap();
        hear(&world, "other", "proofing", said(Said::Claim(Claim::ForeignPerson), world.now())).unwrap();
        hear(&world, "other", "proofing", said(Said::Claim(Claim::ForeignPerson), world.now())).unwrap();
        assert_eq!(world.ada().attestations.len(), 2);
        let reviews = reviews(&world);
        assert_eq!(reviews.len(), 1);
        assert!(reviews[0].what.contains("standing") && reviews[0].closed_at.is_none());
    }

    fn reviews(world: &World) -> Vec<Review> {
        world.federation().read(|view| view.reviews("", 10)).unwrap()
    }

    #[tokio::test]
    async fn a_conflict_that_is_renewed_opens_no_second_review_and_one_that_was_settled_is_opened_again() {
        let world = World::new();
        hear(&world, "vendor", "proofing", said(us_person(), world.now())).unwrap();
        for _ in 0..3 {
            world.clock.advance(std::time::Duration::from_secs(60));
            hear(&world, "other", "proofing", said(Said::Claim(Claim::ForeignPerson), world.now())).unwrap();
            hear(&world, "vendor", "proofing", said(us_person(), world.now())).unwrap();
        }
        let open = reviews(&world);
        assert_eq!((open.len(), world.ada().attestations.len()), (1, 2));
        world.admin(&format!("POST /admin/v1/reviews/{}/close", open[0].id), serde_json::json!({})).await;
        assert!(reviews(&world)[0].closed_at.is_some());
        world.clock.advance(std::time::Duration::from_secs(60));
        hear(&world, "vendor", "proofing", said(us_person(), world.now())).unwrap();
        let again = reviews(&world);
        assert_eq!((again.len(), again[0].closed_at, again[0].opened_at), (1, None, world.now()));
    }

    #[test]
    fn a_withdrawn_statement_does_not_return_by_being_repeated() {
        let world = World::new();
        let word = said(us_person(), world.now());
        hear(&world, "vendor", "proofing", word.clone()).unwrap();
        let held = world.ada().attestations[0].id.clone();
        let source = Source::signal(ChannelId::parse("proofing").unwrap(), "test.withdrawal", "message");
        let gone = FederatedChange::Withdrawal { attestation: held, reason: "redacted".to_owned() };
        world.federation().commit(&source, |_| Ok(vec![gone])).unwrap();
        hear(&world, "vendor", "proofing", word).unwrap();
        assert_eq!(world.ada().attestations, []);
    }

    #[test]
    fn an_employers_word_about_its_own_employee_is_taken_and_about_anybody_elses_is_not() {
        let world = World::new();
        let employed = |organization: &str| Said::Employment {
            organization: OrganizationId::parse(organization).unwrap(),
            engagement: terms::Engagement::Employee,
            ends_at: None,
        };
        hear(&world, "other", "larkspur-hr", said(employed("larkspur"), world.now())).unwrap();
        assert_eq!(world.ada().affiliations.len(), 2, "the registrar's and the employer's own");
        let refused = hear(&world, "other", "larkspur-hr", said(employed("umbra"), world.now())).unwrap_err();
        assert!(format!("{refused:?}").contains("another organization"), "{refused:?}");
        let stranger = hear(&world, "other", "umbra-hr", said(us_person(), world.now())).unwrap_err();
        assert!(format!("{stranger:?}").contains("does not belong"), "{stranger:?}");
    }

    #[test]
    fn nobody_is_told_about_people_or_channels_that_are_not_known() {
        let world = World::new();
        let refused = hear(&world, "vendor", "nowhere", said(us_person(), world.now())).unwrap_err();
        assert!(matches!(refused, Fault::Invalid(_) | Fault::NotFound { .. }), "{refused:?}");
        let (trust, issuer) = (trust(), IssuerId::parse("vendor").unwrap());
        let nobody = PersonId::parse("nobody").unwrap();
        let asked = world.federation().read(|view| {
            Ok(accept(view, &trust, &nobody, &issuer, None, &[said(us_person(), view.now())], view.now())?)
        });
        assert!(format!("{asked:?}").contains("is not known"));
    }
}
