//! Planning, for officers and auditors.

use crate::{
    Admin, Control, Fault, Role,
    plan::{Job, PlanRequest, PlanState},
};

impl Admin<'_> {
    /// Begins to plan a change. The plan is made on a thread of its own: ask for it by its id.
    ///
    /// # Errors
    ///
    /// [`Fault::Forbidden`], [`Fault::Invalid`], [`Fault::DoesNotCompile`], [`Fault::Conflict`] while another plan is
    /// being made.
    pub(crate) fn make_plan(&self, control: &Control, request: PlanRequest) -> Result<PlanState, Fault> {
        self.allow(&[Role::Officer, Role::Auditor])?;
        let job = Job::new(control.clone(), self.actor.clone(), request)?;
        self.inner.plans.begin(move |progress| job.run(progress))
    }

    /// Returns how far a plan is, with the plan once it is made.
    ///
    /// # Errors
    ///
    /// [`Fault::Forbidden`], [`Fault::NotFound`].
    pub(crate) fn plan(&self, id: u64) -> Result<PlanState, Fault> {
        self.allow(&[Role::Officer, Role::Auditor])?.inner.plans.get(id)
    }
}
