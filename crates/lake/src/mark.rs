//! How far objects were read back: the file `lake.mark`, a line with the number of leaves.

/// Writes the mark.
pub(crate) fn print(covered: u64) -> String {
    format!("{covered}\n")
}

/// Reads the mark; `None` if the bytes are none.
pub(crate) fn parse(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mark_reads_back(covered: u64) {
            prop_assert_eq!(parse(print(covered).as_bytes()), Some(covered));
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>) {
            let _read = parse(&bytes);
        }
    }
}
