//! Whether enough different people have approved one act. Pure.

use std::collections::BTreeSet;

use terms::{Moment, PersonId};

use super::{ActVerb, Approval, Approver, ApproverRole};
use crate::FieldFault;

/// One act that waits for approvals, and what is known of those it has.
pub(crate) struct Quorum<'a> {
    /// How many are needed.
    pub(crate) needs: u8,
    /// What would be done.
    pub(crate) act: ActVerb,
    /// Of the document as it would be put in force.
    pub(crate) document_sha256: &'a str,
    /// What was approved, at most one by each person.
    pub(crate) approvals: &'a [Approval],
    /// Everyone who approved, as registered now.
    pub(crate) approvers: &'a [Approver],
    /// True for a person who proposed the act.
    pub(crate) proposed: &'a dyn Fn(&PersonId) -> bool,
    /// Now.
    pub(crate) now: Moment,
}

impl Quorum<'_> {
    /// Requires enough approvals, each by another person in another role; returns those that count.
    ///
    /// # Errors
    ///
    /// What is missing, and of each approval that does not count why not.
    pub(crate) fn check(&self) -> Result<Vec<&Approval>, Vec<FieldFault>> {
        let mut roles = BTreeSet::new();
        let mut counted = Vec::new();
        let mut faults = Vec::new();
        for approval in self.approvals {
            match self.objection(approval, &roles) {
                Some(why) => faults.push(FieldFault::new(&format!("approvals.{}", approval.approver), why)),
                None => {
                    roles.insert(approval.role);
                    counted.push(approval);
                }
            }
        }
        if roles.len() >= usize::from(self.needs) {
            return Ok(counted);
        }
        let detail = format!(
            "{} approvals of `{}` are needed, by different people with different roles, none of them the proposer; {} count",
            self.needs,
            self.act,
            roles.len()
        );
        faults.insert(0, FieldFault::new("approvals", detail));
        Err(faults)
    }

    /// Says why an approval does not count beside those of `roles`.
    fn objection(&self, approval: &Approval, roles: &BTreeSet<ApproverRole>) -> Option<String> {
        if self.now >= approval.act.valid_until {
            return Some(format!("ended at {}: sign again", approval.act.valid_until));
        }
        if approval.act.act != self.act || approval.act.document_sha256 != self.document_sha256 {
            return Some("is of another act or of another document".to_owned());
        }
        let current = self.approvers.iter().find(|approver| approver.id == approval.approver);
        if current.is_none_or(|approver| approver.revoked_at.is_some() || approver.public_key != approval.public_key) {
            return Some("was made with a key that was revoked".to_owned());
        }
        if (self.proposed)(&approval.approver) {
            return Some("is the proposer's own".to_owned());
        }
        let role = approval.role;
        roles.contains(&role).then(|| format!("counts once with the other approval in the role `{role}`"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::approval::{ApprovalAct, ApproverKey};

    const NOON: &str = "2026-06-12T12:00:00Z";

    fn moment(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    fn signed(who: &str, role: ApproverRole) -> (Approver, Approval) {
        let key = ApproverKey::generate().unwrap();
        let id = PersonId::parse(who).unwrap();
        let document = json!({ "type": "directive/v1", "id": "DIR-1", "version": 1, "status": "in_force" });
        let act = ApprovalAct::on(&document, moment("2026-06-12T13:00:00Z")).unwrap();
        let public_key = key.public();
        let (jws, at) = (key.sign(&act, &id).unwrap(), moment(NOON));
        let approver =
            Approver { id: id.clone(), role, public_key: public_key.clone(), created_at: at, revoked_at: None };
        (approver, Approval { act, approver: id, role, public_key, jws, at })
    }

    /// Asks whether two approvals of `all` are there at `now`; returns the places of what is wrong.
    fn wrong(all: &[(Approver, Approval)], now: &str, proposer: &str) -> Vec<String> {
        let (approvers, approvals): (Vec<_>, Vec<_>) = all.iter().cloned().unzip();
        let sha =
            approvals.first().map_or_else(String::new, |approval: &Approval| approval.act.document_sha256.clone());
        let quorum = Quorum {
            needs: 2,
            act: ActVerb::Apply,
            document_sha256: &sha,
            approvals: &approvals,
            approvers: &approvers,
            proposed: &|person| person.as_str() == proposer,
            now: moment(now),
        };
        let faults = quorum.check().err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn two_people_in_two_roles_are_enough_and_in_one_role_are_not() {
        let counsel = signed("iris", ApproverRole::Counsel);
        let security = signed("otto", ApproverRole::Security);
        let again = signed("nora", ApproverRole::Counsel);
        assert!(wrong(&[counsel.clone(), security.clone()], NOON, "ada").is_empty());
        assert!(wrong(&[counsel.clone(), again.clone(), security], NOON, "ada").is_empty());
        assert_eq!(wrong(&[counsel, again], NOON, "ada"), ["approvals", "approvals.nora"]);
    }

    #[test]
    fn the_proposer_the_revoked_the_replaced_and_the_late_do_not_count() {
        let counsel = signed("iris", ApproverRole::Counsel);
        let good = signed("otto", ApproverRole::Security);
        let both = [counsel.clone(), good.clone()];
        assert_eq!(wrong(&both, NOON, "otto"), ["approvals", "approvals.otto"]);
        assert_eq!(wrong(&both, "2026-06-12T13:00:00Z", "ada").len(), 3);
        let mut revoked = good.clone();
        revoked.0.revoked_at = Some(moment(NOON));
        assert_eq!(wrong(&[counsel.clone(), revoked], NOON, "ada"), ["approvals", "approvals.otto"]);
        let mut replaced = good;
        replaced.0.public_key = ApproverKey::generate().unwrap().public();
        assert_eq!(wrong(&[counsel, replaced], NOON, "ada"), ["approvals", "approvals.otto"]);
    }

    #[test]
    fn an_approval_of_another_act_or_document_does_not_count() {
        let counsel = signed("iris", ApproverRole::Counsel);
        let mut other = signed("otto", ApproverRole::Security);
        other.1.act.act = ActVerb::Lift;
        assert_eq!(wrong(&[counsel.clone(), other.clone()], NOON, "ada"), ["approvals", "approvals.otto"]);
        other.1.act.act = ActVerb::Apply;
        other.1.act.document_sha256 = "0".repeat(64);
        assert_eq!(wrong(&[counsel, other], NOON, "ada"), ["approvals", "approvals.otto"]);
        assert_eq!(wrong(&[], NOON, "ada"), ["approvals"]);
    }
}
