//! Names that are part of what is stored or of what others see.

/// The id of the one credential that is asked for.
pub(super) const PID_QUERY: &str = "pid";
/// The claim of identity data that is asked for.
pub(super) const NATIONALITIES: &str = "nationalities";
/// Documents: issuers whose credentials are taken, by what the trust list calls them.
pub(super) const ISSUERS: &str = "wallet.issuers";
/// Documents: links that are still good, by the digest of their secret.
pub(super) const LINKS: &str = "wallet.links";
/// Documents: the status lists that are watched, by the id of their channel.
pub(super) const LISTS: &str = "wallet.lists";
/// Documents: credentials that were presented, by their digest; looked up by their channel and by their holder's key.
pub(super) const CREDENTIALS: &str = "wallet.credentials";
/// Documents: clearance credentials that were issued, by their index in our status list.
pub(super) const CLEARANCES: &str = "wallet.clearances";
/// The type of our clearance credentials.
pub(super) const CLEARANCE_VCT: &str = "urn:exeat:clearance:1";
