//! What reading something hostile costs. One process of its own, so that nothing else takes memory meanwhile.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, io::Write as _};

use flate2::{Compression, write::ZlibEncoder};
use jose::base64url;
use vc::status_list::{Bits, ListFault, MAX_LIST_BYTES, StatusList};

/// Bytes of the bomb once inflated.
const INFLATED: usize = 64 << 20;

/// The most memory that this process had at a time so far, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: usize = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kilobytes << 10
}

fn bomb() -> String {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..INFLATED / zeros.len() {
        encoder.write_all(&zeros).unwrap();
    }
    base64url::encode(encoder.finish().unwrap())
}

#[test]
fn a_status_list_that_inflates_to_sixty_four_megabytes_is_refused_in_the_memory_of_the_largest_that_is_taken() {
    let bomb = bomb();
    let before = peak();
    for bits in [Bits::One, Bits::Two, Bits::Four, Bits::Eight] {
        assert!(matches!(StatusList::inflate(bits, &bomb), Err(ListFault::TooLong(_))));
    }
    // The list as it grows, its copy while it is moved, and the compressed bytes.
    let bound = 3 * MAX_LIST_BYTES + 2 * bomb.len();
    let grown = peak() - before;
    assert!(grown <= bound, "{grown} bytes for a bound of {bound}");
}
