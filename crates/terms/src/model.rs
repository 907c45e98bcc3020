//! Model versions and what they ask of a caller.

use crate::{ModelFamily, ModelVersionId};

/// The wire dialect of a call or of an upstream.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// The OpenAI API.
    Openai,
    /// The Anthropic API.
    Anthropic,
}

impl Dialect {
    /// Returns the name that `gen_ai.provider.name` uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
        }
    }
}

/// Whether a model version can come under export control.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Published (15 CFR 734.7): not subject to the EAR, no instrument reaches it.
    Published,
    /// Subject to the EAR; instruments in force decide.
    Subject,
}

/// The least that a caller must have shown to use a model version, before any instrument is asked.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clearance {
    /// Any valid credential.
    Open,
    /// A credential bound to a person or to a workload with owners.
    Identified,
    /// A person whose standing is attested at IAL2 or better.
    Attested,
}

/// One released model, exactly.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelVersion {
    /// Names the version.
    pub id: ModelVersionId,
    /// The family that instruments name.
    pub family: ModelFamily,
    /// The family it was derived from, if another: fine-tuned, distilled, merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derived_from: Option<ModelFamily>,
    /// Whether instruments reach it.
    pub control: Control,
    /// What every caller must have shown.
    pub clearance: Clearance,
    /// Whether a safety certificate must be current before it serves (the check itself comes with certification).
    #[serde(default)]
    pub certificate_required: bool,
}
