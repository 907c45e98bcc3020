//! What administrators do, as typed methods. A role is asked for first and yields the methods that belong to it.

mod approve;
mod approvers;
mod ask;
mod bound;
mod checks;
mod desk;
mod erasure;
mod evidence;
mod glass;
mod holds;
mod keys;
mod parties;
mod plan;
mod productions;
mod read;
mod requests;
mod tokens;

use terms::Moment;

use crate::{
    Actor, Effect, Fault, Role,
    commit::{Act, Receipt},
    control::{Inner, Registry},
    record::Record,
};

pub(crate) use ask::{Question, When};
pub use bound::{BoundTo, Thumbprint};
pub use desk::{Advice, InstrumentState, Officer, Placed};
pub use keys::Minted;
pub use productions::{Produced, ProductionState};
pub use read::AttestationStatus;
pub(crate) use read::{Area, Health};
pub use requests::{
    AffiliationEnd, Emergency, NewAffiliation, NewApprover, NewAttestation, NewErasure, NewHold, NewKey,
    NewOrganization, NewPerson, NewProduction, NewRelease, NewToken, NewWorkload, OrganizationUpdate, PersonUpdate,
    SignedAct, WithdrawalReason, WorkloadUpdate,
};
pub use tokens::{MintedToken, Root};

/// A change that was made: where it is recorded, what it did to live calls, and the thing as it is now.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Changed<T> {
    /// The index of the ledger entry.
    pub receipt: u64,
    /// What it did to live calls.
    pub effect: Effect,
    /// The thing as it is now.
    pub item: T,
}

/// What one actor may do. Ask for a role to get its methods.
#[derive(Clone)]
pub struct Admin<'a> {
    inner: &'a Inner,
    actor: Actor,
}

impl<'a> Admin<'a> {
    pub(crate) fn new(inner: &'a Inner, actor: Actor) -> Self {
        Self { inner, actor }
    }

    pub(crate) fn inner(&self) -> &Inner {
        self.inner
    }

    /// Returns who acts.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns what a registrar may do: people, organizations, workloads, evidence and keys.
    ///
    /// # Errors
    ///
    /// [`Fault::Forbidden`] if the actor is neither registrar nor root.
    pub fn registrar(&self) -> Result<Registrar<'_>, Fault> {
        self.allow(&[Role::Registrar]).map(Registrar)
    }

    /// Returns what an officer may do: directives and licenses.
    ///
    /// # Errors
    ///
    /// [`Fault::Forbidden`] if the actor is neither officer nor root.
    pub fn officer(&self) -> Result<Officer<'_>, Fault> {
        self.allow(&[Role::Officer]).map(Officer::new)
    }

    /// Returns what only root may do: admin tokens.
    ///
    /// # Errors
    ///
    /// [`Fault::Forbidden`] if the actor is not root.
    pub fn root(&self) -> Result<Root<'_>, Fault> {
        self.allow(&[]).map(Root)
    }

    /// Reads the configuration again, through the attached [`crate::Reload`].
    ///
    /// # Errors
    ///
    /// [`Fault::Forbidden`], [`Fault::NotOffered`], or [`Fault::Invalid`] with each fault of the configuration, in
    /// which case the old one stays.
    pub fn reload(&self) -> Result<Effect, Fault> {
        self.allow(&[Role::Operator])?;
        let reload = crate::control::read(&self.inner.reload).clone();
        let reload = reload.ok_or(Fault::NotOffered("this server was not started from a file"))?;
        reload.reload().map_err(|faults| {
            let fault = |detail| crate::FieldFault::new("", detail);
            Fault::Invalid(faults.into_iter().map(fault).collect())
        })
    }

    /// Returns the actor's own view if the actor is root or has one of `roles`.
    fn allow(&self, roles: &[Role]) -> Result<&Self, Fault> {
        let has = self.actor.role();
        if has == Role::Root || roles.contains(&has) {
            return Ok(self);
        }
        let mut needs: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
        needs.push("`root`".to_owned());
        Err(Fault::Forbidden { needs: needs.join(" or "), has })
    }

    fn now(&self) -> Moment {
        self.inner.clock.now()
    }

    fn commit<T>(
        &self,
        registry: &mut Registry,
        code: &'static str,
        record: Record,
        item: T,
    ) -> Result<Changed<T>, Fault> {
        let act = Act::new(&self.actor, code);
        let receipt = self.inner.commit(registry, act, record)?;
        Ok(Changed::new(receipt, item))
    }
}

impl<T> Changed<T> {
    fn new(receipt: Receipt, item: T) -> Self {
        Self { receipt: receipt.index, effect: receipt.effect, item }
    }

    /// Shows the thing in another form.
    pub(crate) fn map<U>(self, form: impl FnOnce(T) -> U) -> Changed<U> {
        Changed { receipt: self.receipt, effect: self.effect, item: form(self.item) }
    }
}

/// What a registrar may do: people, organizations, workloads, evidence and keys.
///
/// Every method validates completely before it records anything, and returns when the change is durable and in effect on
/// every live call.
#[derive(Clone, Copy)]
pub struct Registrar<'a>(&'a Admin<'a>);

/// Makes an id that nobody chose: `prefix`, a hyphen and 96 random bits in hexadecimal.
fn random_id(prefix: &str) -> Result<String, Fault> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes)?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{prefix}-{hex}"))
}
