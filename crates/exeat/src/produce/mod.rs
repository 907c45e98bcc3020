//! Productions: a part of the log written so that it can be checked without the rest.

mod certificate;
mod cosigned;
mod report;
#[cfg(test)]
mod sample;
mod summarize;
mod summary;
mod write;

pub(crate) use cosigned::Signatures;
pub(crate) use write::Writer;
