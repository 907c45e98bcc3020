//! Productions: a part of a log, one chain between two heads entries, complete, and nothing of any other.
//!
//! | file            | what it is                                                       |
//! |-----------------|------------------------------------------------------------------|
//! | `manifest.json` | what is produced, and the SHA-256 of every other file: [`Manifest`] |
//! | `checkpoint`, `log.vkey` | as in a bundle of a whole log                           |
//! | `policy`        | whose signatures are asked for                                   |
//! | `entries`       | the entries that are shown, see [`crate::bundle`]                |
//! | `hashes`        | what joins them to the root, see [`crate::multi`]                |
//! | `heads.json`    | the heads between which the chain is complete: [`HeadsFile`]     |
//! | `sums.json`     | the calls that are shown in the sums of their hours: [`SumsFile`] |
//! | `names.json`    | openings of pseudonyms: [`NamesFile`]                            |
//! | `calls.csv`     | the calls, for people: [`CallsWriter`]                           |
//!
//! `docs/log-format.md` section 10.

mod calls;
mod custody;
mod files;
mod manifest;
mod selection;
mod span;
mod time;

pub use calls::CallsWriter;
pub use custody::{Approver, BadCustody, Custody};
pub use files::{BadFile, HeadsFile, HourSums, Name, NamesFile, Span, Standing, SumsFile};
pub use manifest::{BadManifest, Engine, FILES_MAX, Manifest, PAYLOAD_TYPE, is_file_name};
pub use selection::{Disclosure, Selected, Selection};
pub use span::{BadSpan, SpanWalk};

/// The name of the manifest in the directory.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The name of the policy in the directory.
pub const POLICY_FILE: &str = "policy";
/// The name of the hashes in the directory.
pub const HASHES_FILE: &str = "hashes";
/// The name of the heads in the directory.
pub const HEADS_FILE: &str = "heads.json";
/// The name of the sums in the directory.
pub const SUMS_FILE: &str = "sums.json";
/// The name of the openings of pseudonyms in the directory.
pub const NAMES_FILE: &str = "names.json";
/// The name of the calls in the directory.
pub const CALLS_FILE: &str = "calls.csv";
