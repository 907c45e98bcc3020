//! What goes out of the record and what authorities add to it.

use proof::cose::CoseReceipt;
use tsp::{Asked, Roots, Stamp};

/// The root under which the time stamps of the corpus stand.
const ROOT: &[u8] = include_bytes!("time-stamp-root.pem");
/// SHA-256 of `it was there`, which they stamp.
const DIGEST: [u8; 32] = [
    0x16, 0x18, 0xa1, 0x90, 0x94, 0x04, 0x30, 0xb1, 0x77, 0x78, 0x28, 0x4e, 0xf5, 0x45, 0x1b, 0xbb, 0xc7, 0x6e, 0x12,
    0x85, 0x0f, 0x7b, 0x00, 0xb2, 0x4f, 0xbd, 0x0c, 0x8a, 0x7a, 0xec, 0x5c, 0x28,
];

/// A time stamp that is believed says nothing of another digest.
pub(crate) fn time_stamp(bytes: &[u8]) {
    if let (Some(_), Ok(roots)) = (read_time_stamp(bytes), Roots::parse_pem(ROOT)) {
        assert!(tsp::verify(bytes, Asked::Earlier(&[0; 32]), &roots).is_err());
    }
}

/// Reads a time stamp, if it is to be believed.
pub(crate) fn read_time_stamp(bytes: &[u8]) -> Option<Stamp> {
    tsp::verify(bytes, Asked::Earlier(&DIGEST), &Roots::parse_pem(ROOT).ok()?).ok()
}

/// A COSE receipt that parses is written as it was read.
pub(crate) fn cose_receipt(bytes: &[u8]) {
    if let Ok(receipt) = CoseReceipt::parse(bytes) {
        assert_eq!(receipt.to_bytes(), bytes);
    }
}
