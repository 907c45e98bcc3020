//! The tree against vectors that others made.

mod merkle;
