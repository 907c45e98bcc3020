//! The nouns every other crate agrees on. No I/O, no async; the one clock is in [`moment`].

mod attestation;
mod channel;
mod country;
mod id;
mod leap;
mod model;
mod moment;
mod plain;
mod registry;
mod retention;
pub mod tagged;
mod text;

pub use attestation::{Assurance, Attestation, Claim, LocationMethod, Means, Standing, UsPersonLimb};
pub use channel::{Account, AccountState, BadSubjectName, Channel, ChannelKind, Freshness, SubjectName};
pub use country::{BadCountry, Country};
pub use id::{
    AffiliationId, AliasName, AttestationId, BadId, CallId, ChannelId, ClientId, EndUse, FederationRuleId,
    InstrumentId, IssuerId, KeyId, ModelFamily, ModelVersionId, OrganizationId, PersonId, ProvisionId, WorkloadId,
};
pub use model::{Clearance, Control, Dialect, ModelVersion};
pub use moment::{BadMoment, Clock, ManualClock, Moment, SystemClock};
pub use registry::{
    Affiliation, Coverage, Engagement, Organization, OrganizationKind, Person, Screening, Tie, TieKind, Workload,
};
pub use retention::{Retention, RetentionRule};
