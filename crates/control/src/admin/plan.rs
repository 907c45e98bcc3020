//! Planning, by officers; plans are read by auditors too.

use crate::{
    Admin, Control, Fault, Officer, Role,
    plan::{Job, PlanRequest, PlanState, Plans},
};

impl Officer<'_> {
    /// Begins to plan a change. The plan is made on a thread of its own: ask for it by its id.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`], [`Fault::DoesNotCompile`], [`Fault::Conflict`] while another plan is being made.
    pub(crate) fn make_plan(&self, control: &Control, request: PlanRequest) -> Result<PlanState, Fault> {
        let job = Job::new(control.clone(), self.admin.actor().clone(), request)?;
        self.admin.inner.plans.begin(move |progress| job.run(progress))
    }
}

impl Admin<'_> {
    /// Returns the plans, for an officer or an auditor.
    ///
    /// # Errors
    ///
    /// [`Fault::Forbidden`].
    pub(crate) fn plans(&self) -> Result<&Plans, Fault> {
        Ok(&self.allow(&[Role::Officer, Role::Auditor])?.inner.plans)
    }
}
