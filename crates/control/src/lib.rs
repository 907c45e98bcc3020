//! The control plane of the embedded default: the registry, the admin API and the directive desk.
//!
//! The ledger is the source of truth and the registry a projection of it. A change is validated, recorded in the ledger,
//! stored, and brought to the live calls, in this order; whoever asked gets the index of the entry as a receipt.

mod access;
mod admin;
mod amend;
mod approval;
mod commit;
mod control;
mod fault;
mod federation;
mod follow;
mod gate;
mod glass;
mod history;
mod hold;
mod http;
mod instrument;
mod plan;
mod production;
mod record;
mod schema;
mod sources;
mod store;
mod supersede;
mod token;

pub use admin::{
    Admin, Advice, AffiliationEnd, AttestationStatus, BoundTo, Changed, Emergency, InstrumentState, Minted,
    MintedToken, NewAffiliation, NewApprover, NewAttestation, NewErasure, NewHold, NewKey, NewOrganization, NewPerson,
    NewProduction, NewRelease, NewToken, NewWorkload, Officer, OrganizationUpdate, PersonUpdate, Placed, Produced,
    ProductionState, Registrar, Root, SignedAct, Thumbprint, WithdrawalReason, WorkloadUpdate,
};
pub use amend::{Bearing, Change, Meaning, diff};
pub use approval::{
    ActKind, ActVerb, Approval, ApprovalAct, Approver, ApproverKey, ApproverRole, BadNumber, DeskPolicy, PublicKey,
    document_sha256,
};
pub use control::{Control, Effect, OpenError, Publish, Reload, Settings};
pub use fault::{Fault, FieldFault};
pub use federation::{
    Cause, Committed, Document, Ended, Ending, FederatedChange, Federation, Happened, Happening, Once, Review, Source,
    View,
};
pub use follow::FollowError;
pub use gate::ProofPolicy;
pub use glass::{BreakGlass, GlassEnd, GlassEndReason};
pub use hold::{Erased, Hold, HoldScope, Release};
pub use instrument::{Instrument, InstrumentKind, Turn};
pub use plan::{PlanRequest, PlanState, PlannedReplay, ReplayWindow};
pub use production::{Custody, Production, Signed};
pub use sources::{Placed as SourcePlaced, Sources};
pub use store::StoreError;
pub use token::{Actor, AdminToken, Role};
