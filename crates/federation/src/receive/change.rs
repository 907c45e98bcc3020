//! What the effects of an event come to in the registry: the changes that it takes to make each of them true.
//!
//! A change that is so already is left out. So an event that comes twice, or after a later one, changes nothing more.

use std::collections::{BTreeMap, BTreeSet};

use control::{Fault, FederatedChange, Review, View};
use identity::{Confirmation, SessionEnd};
use sha2::{Digest, Sha256};
use terms::{
    Account, AccountState, Assurance, Attestation, AttestationId, ChannelKind, KeyId, Moment, Person, PersonId,
};

use super::{
    effect::{Effect, Which},
    question::{self, Question},
    tenant::{Named, Tenant},
};

/// What one message says about people: its effects, and since when.
pub(crate) struct Word<'a> {
    pub(crate) effects: &'a [Effect],
    /// Sessions and tokens that began until then are meant.
    pub(crate) until: Moment,
    /// Names the message, for reviews.
    pub(crate) message: &'a str,
}

/// Returns what a message changes for one person of a tenant, who was named by these accounts.
pub(crate) fn about(
    view: &View<'_>,
    tenant: &Tenant,
    word: &Word<'_>,
    (id, named): (&PersonId, &[&Named]),
) -> Result<Vec<FederatedChange>, Fault> {
    let Some(person) = view.person(id)? else { return Ok(Vec::new()) };
    let accounts = tenant.accounts(&person).map(|account| Fate::of(account, named)).collect();
    let (withdrawn, revoked, reviews) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    let mut ruling = Ruling { view, tenant, word, person: &person, accounts, withdrawn, revoked, reviews };
    for effect in word.effects {
        ruling.apply(effect)?;
    }
    ruling.finish()
}

/// Returns what a message changes for sessions that it names outright, each once; those that are over are left out.
pub(crate) fn session_ends(
    view: &View<'_>,
    tenant: &Tenant,
    word: &Word<'_>,
    named: &BTreeSet<terms::SubjectName>,
) -> Result<Vec<FederatedChange>, Fault> {
    let mut ends = Vec::new();
    if !word.effects.contains(&Effect::EndSessions) {
        return Ok(ends);
    }
    let begins = |kind| matches!(kind, ChannelKind::Oidc | ChannelKind::Ssf);
    for channel in tenant.channels().iter().filter(|channel| begins(channel.kind)) {
        for session in named {
            if !view.session_ended(&channel.id, session)? {
                let end = SessionEnd { channel: channel.id.clone(), session: session.clone(), at: word.until };
                ends.push(FederatedChange::SessionEnd(end));
            }
        }
    }
    Ok(ends)
}

/// What becomes of one account.
struct Fate {
    before: Account,
    after: Account,
    /// How the message named it: not at all, by its own name, or by one that a directory has for its user.
    named: Naming,
    detached: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Naming {
    Not,
    Own,
    Directory,
}

impl Fate {
    fn of(account: &Account, named: &[&Named]) -> Self {
        let mut own = named.iter().filter(|name| name.channel == account.channel && name.subject == account.subject);
        let named = match own.clone().next() {
            None => Naming::Not,
            Some(_) if own.any(|name| !name.by_directory) => Naming::Own,
            Some(_) => Naming::Directory,
        };
        Self { before: account.clone(), after: account.clone(), named, detached: false }
    }

    /// The name of an account no longer stands for the person. If the name is the directory's, the directory and the
    /// message contradict each other, and the account opens nothing until the directory says that the user is active.
    fn detach(&mut self) {
        match self.named {
            Naming::Not => {}
            Naming::Own => self.detached = true,
            Naming::Directory => self.suspend(),
        }
    }

    /// An account that was named is over; one that is the same person's, or known to the directory still, is suspended.
    fn end(&mut self) {
        if self.named == Naming::Own { self.after.state = AccountState::Ended } else { self.suspend() }
    }

    fn suspend(&mut self) {
        if self.after.state == AccountState::Active {
            self.after.state = AccountState::Suspended;
        }
    }

    /// An account that is suspended or over keeps its name: with the name its state would go, and that would grant.
    fn change(self, person: &PersonId) -> Option<FederatedChange> {
        let person = person.clone();
        if self.detached && self.after.state == AccountState::Active {
            return Some(FederatedChange::AccountGone { person, account: self.before });
        }
        (self.after != self.before).then_some(FederatedChange::Account { person, account: self.after })
    }
}

/// What a message comes to for one person.
struct Ruling<'a> {
    view: &'a View<'a>,
    tenant: &'a Tenant,
    word: &'a Word<'a>,
    person: &'a Person,
    accounts: Vec<Fate>,
    /// What is withdrawn, each with why.
    withdrawn: BTreeMap<AttestationId, String>,
    revoked: BTreeSet<KeyId>,
    /// By id: two effects may ask for the same one.
    reviews: BTreeMap<String, Review>,
}

impl Ruling<'_> {
    fn apply(&mut self, effect: &Effect) -> Result<(), Fault> {
        match effect {
            Effect::EndSessions => self.end_sessions(),
            Effect::Suspend => self.suspend(),
            Effect::End => self.accounts.iter_mut().for_each(Fate::end),
            Effect::Detach => self.accounts.iter_mut().for_each(Fate::detach),
            Effect::RevokeKeys(which) => self.revoke_keys(*which)?,
            Effect::Contradict(claims) => self.contradict(claims),
            Effect::Cap(level) => self.cap(*level),
            Effect::DropPresented => self.drop_presented(),
            Effect::Review(why) => self.review(why),
        }
        Ok(())
    }

    /// Which account a token came from is not always which one the event names, so sessions end for each of the tenant's.
    fn end_sessions(&mut self) {
        for fate in &mut self.accounts {
            fate.after.sessions_end = fate.after.sessions_end.max(Some(self.word.until));
        }
    }

    fn suspend(&mut self) {
        self.accounts.iter_mut().for_each(Fate::suspend);
    }

    fn revoke_keys(&mut self, which: Which) -> Result<(), Fault> {
        let organization = self.tenant.own().organization.as_ref();
        for key in self.view.keys_of(&self.person.id)? {
            let bound = matches!(key.confirmation, Some(Confirmation::Certificate(_)));
            let meant = which == Which::All || bound;
            if meant && key.revoked_at.is_none() && key.organization.as_ref() == organization {
                self.revoked.insert(key.id);
            }
        }
        Ok(())
    }

    /// New values of claims take back what the tenant attested otherwise. That somebody is a citizen of other countries
    /// than attested leaves open, too, whether they are a U.S. person.
    fn contradict(&mut self, claims: &serde_json::Map<String, serde_json::Value>) {
        let answers = question::answers(claims);
        let mut contested: BTreeSet<Question> = answers
            .iter()
            .filter(|answer| !answer.agrees(self.attested(answer.question).map(|attestation| &attestation.claim)))
            .map(|answer| answer.question)
            .collect();
        if contested.contains(&Question::Nationality) {
            contested.insert(Question::Standing);
        }
        if contested.is_empty() {
            return;
        }
        self.end_sessions();
        for question in contested {
            match question {
                Question::Employment => self.suspend(),
                question => self.take_back(question),
            }
        }
        self.review("claims changed that decisions rest on");
    }

    fn cap(&mut self, level: Assurance) {
        let above = |attestation: &&Attestation| attestation.assurance > level;
        let questions: BTreeSet<_> =
            self.own_attestations().filter(above).map(|attestation| question::asked_by(&attestation.claim)).collect();
        if questions.is_empty() {
            return;
        }
        questions.into_iter().for_each(|question| self.take_back(question));
        self.review("the assurance of an identity is lower than attested");
    }

    fn drop_presented(&mut self) {
        let presented = |attestation: &&Attestation| {
            attestation.channel.as_ref().is_some_and(|channel| self.tenant.has_of(ChannelKind::Wallet, channel))
        };
        let questions: BTreeSet<_> = self
            .own_attestations()
            .filter(presented)
            .map(|attestation| question::asked_by(&attestation.claim))
            .collect();
        questions.into_iter().for_each(|question| self.take_back(question));
    }

    /// Makes the tenant's word on one question count no longer.
    ///
    /// If it is the only word, it is withdrawn, and the question is open. If others have spoken too, to withdraw it could
    /// settle a contradiction in the person's favor; so it stays, and the accounts of the tenant are suspended instead.
    fn take_back(&mut self, question: Question) {
        let own: BTreeSet<_> = self.attested(question).map(|attestation| attestation.id.clone()).collect();
        let asked = |attestation: &&Attestation| question::asked_by(&attestation.claim) == question;
        let others = self.person.attestations.iter().filter(asked).any(|attestation| !own.contains(&attestation.id));
        if own.is_empty() {
            return;
        }
        if others {
            return self.suspend();
        }
        let reason = format!("contradicted through channel `{}`", self.tenant.own().id);
        for attestation in own {
            self.withdrawn.insert(attestation, reason.clone());
        }
    }

    fn attested(&self, question: Question) -> impl Iterator<Item = &Attestation> {
        self.own_attestations().filter(move |attestation| question::asked_by(&attestation.claim) == question)
    }

    fn own_attestations(&self) -> impl Iterator<Item = &Attestation> {
        let own = |attestation: &&Attestation| attestation.channel.as_ref().is_some_and(|id| self.tenant.has(id));
        self.person.attestations.iter().filter(own)
    }

    fn review(&mut self, why: &str) {
        let channel = &self.tenant.own().id;
        let id = review_id(&[channel.as_str(), self.word.message, self.person.id.as_str(), why]);
        let review = Review {
            id: id.clone(),
            person: Some(self.person.id.clone()),
            what: format!("{why}, says channel `{channel}`"),
            opened_at: self.view.now(),
            closed_at: None,
        };
        self.reviews.insert(id, review);
    }

    /// Leaves out what is so already, so that asking again finds only what is still to be done.
    fn finish(self) -> Result<Vec<FederatedChange>, Fault> {
        let person = &self.person.id;
        let accounts = self.accounts.into_iter().filter_map(|fate| fate.change(person));
        let withdrawal = |(attestation, reason)| FederatedChange::Withdrawal { attestation, reason };
        let withdrawn = self.withdrawn.into_iter().map(withdrawal);
        let revoked = self.revoked.into_iter().map(FederatedChange::RevokeKey);
        let mut changes: Vec<_> = accounts.chain(withdrawn).chain(revoked).collect();
        for (id, review) in self.reviews {
            if self.view.review(&id)?.is_none() {
                changes.push(FederatedChange::Review(review));
            }
        }
        Ok(changes)
    }
}

/// Names a review so that the same message opens the same one.
fn review_id(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let hex = digest.finalize().iter().take(16).fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    format!("signal-{hex}")
}
