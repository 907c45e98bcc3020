//! What does a wallet show? SD-JWT credentials (RFC 9901), status lists, DCQL and OpenID4VP. No I/O.

pub mod claim_path;
pub mod dcql;
mod json;
pub mod openid4vp;
pub mod pid;
pub mod sd_jwt;
pub mod sd_jwt_vc;
pub mod status_list;
#[cfg(test)]
mod testing;
pub mod trust;
