//! Tests against a fake upstream.
