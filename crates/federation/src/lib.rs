//! Who says who they are, and is it still true? Signals, provisioning, wallets, tokens and the liveness of each source.

mod attest;
mod keys;
mod page;
mod plane;
mod receive;
mod same_origin;
mod scim;
pub mod token;
mod transmit;
mod wallet;
mod webhook;
#[cfg(test)]
mod world;

pub use attest::{BadTrust, ClaimKind, TrustEntry, TrustList, Vault, VaultFault};
pub use keys::{KeyCache, KeyTerms, KeysUnavailable};
pub use page::Pages;
pub use plane::{Plane, PlaneFault, PlaneSettings};
pub use receive::{
    Authorization, ClientCredentials, KeySource, ManageFault, Management, Receive, Receiver, ReceiverParts, Registered,
    SsfReceiver, register, registered, unregister,
};
pub use scim::{NewTenant, Reconciled, Scim, ScimSettings, TenantEntry, Token};
pub use transmit::{
    DeadLetter, QueueFault, Retry, SsfAccess, SsfClient, StreamReport, Transmitter, TransmitterFault, TransmitterParts,
    TransmitterSettings,
};
pub use wallet::{
    ClientIdPrefix, CredentialIssuer, CredentialKeys, RequestCertificate, Wallet, WalletOpenFault, WalletParts,
    WalletSettings,
};
pub use webhook::{BadVendor, Secret, Vendor, VendorKind, Webhooks};
