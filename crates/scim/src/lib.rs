//! What does an employer's directory say? SCIM 2.0 schemas, resources, filters and patches (RFC 7643, RFC 7644). No I/O.

mod error;
mod export_control;
mod filter;
mod list;
mod named;
mod patch;
mod path;
mod project;
mod resource;
mod schema;
mod value;

pub use error::{ERROR_SCHEMA, Fault, ScimType, error_body};
pub use export_control::{EmploymentType, ExportControl, Nationality, UsPersonBasis};
pub use filter::{Filter, Lookup, LookupKey};
pub use list::{Query, Start, list_response};
pub use named::Named;
pub use patch::Patch;
pub use project::Projection;
pub use resource::{Meta, Resource};
pub use schema::{
    Bounds, ENTERPRISE_USER, EXPORT_CONTROL, GROUP, ResourceType, USER, resource_types, schemas,
    service_provider_config,
};
