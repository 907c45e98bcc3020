//! What logs, witnesses, mirrors and auditors send each other.

use proof::{equivocation::Equivocation, policy_file::Policy, shard::ShardProof};
use witness::{AddCheckpoint, MirrorInfo, fuzzing};

/// Says whether the parser of the target `name` takes `bytes`.
pub(crate) fn accepts(name: &str, bytes: &[u8]) -> bool {
    match name {
        "tlog_policy" => Policy::parse(bytes).is_ok(),
        "add_checkpoint" => AddCheckpoint::parse(bytes).is_ok(),
        "add_entries" => fuzzing::add_entries(bytes),
        "mirror_info" => MirrorInfo::parse(bytes).is_some(),
        "equivocation" => text(bytes).is_some_and(|text| Equivocation::parse(text).is_ok()),
        _ => text(bytes).is_some_and(|text| ShardProof::parse(text).is_ok()),
    }
}

/// A policy that is read is satisfied by nothing that nobody signed.
pub(crate) fn tlog_policy(bytes: &[u8]) {
    if let Ok(policy) = Policy::parse(bytes) {
        assert!(policy.check(b"log\n1\n\n").is_err());
        assert!(policy.check(bytes).is_err());
    }
}

/// A request that is read is written as it was.
pub(crate) fn add_checkpoint(bytes: &[u8]) {
    if let Ok(request) = AddCheckpoint::parse(bytes) {
        assert_eq!(request.to_body().into_bytes(), bytes);
    }
}

/// Entries that are read are written as they were; that is seen to where they are read.
pub(crate) fn add_entries(bytes: &[u8]) {
    fuzzing::add_entries(bytes);
}

/// An answer that is read is written as it was.
pub(crate) fn mirror_info(bytes: &[u8]) {
    if let Some(info) = MirrorInfo::parse(bytes) {
        assert_eq!(info.to_string().into_bytes(), bytes);
    }
}

/// A proof that is read is written as it was, and proves nothing without a trusted key.
pub(crate) fn equivocation(bytes: &[u8]) {
    if let Some(Ok(proof)) = text(bytes).map(Equivocation::parse) {
        assert_eq!(proof.to_string().into_bytes(), bytes);
        assert!(proof.verify(crate::ORIGIN, &[]).is_err());
    }
}

/// A proof that is read is written as it was.
pub(crate) fn shard_proof(bytes: &[u8]) {
    if let Some(Ok(proof)) = text(bytes).map(ShardProof::parse) {
        assert_eq!(proof.to_string().into_bytes(), bytes);
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
