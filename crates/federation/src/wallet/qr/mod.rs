//! QR codes: a link that is open on one device, for the wallet on another.
//!
//! Text is written in byte mode at the lowest level of error correction, which a screen needs no more of.
//!
//! # Source
//! ISO/IEC 18004:2015.

mod matrix;
mod words;

use std::fmt::Write as _;

use self::matrix::Matrix;

/// The largest version that is made: 858 bytes of text.
const MAX_VERSION: usize = 20;
/// Light modules around the code.
const QUIET: usize = 4;

/// Returns a code of `text` as SVG, readable without a style sheet; `None` if it is longer than 858 bytes.
pub(super) fn svg(text: &str) -> Option<String> {
    let version = (1..=MAX_VERSION).find(|version| words::capacity(*version) >= text.len())?;
    let matrix = Matrix::of(version, &words::encode(version, text.as_bytes()));
    let (size, side) = (matrix.size(), matrix.size() + 2 * QUIET);
    let mut path = String::new();
    for (x, y) in (0..size).flat_map(|y| (0..size).map(move |x| (x, y))).filter(|(x, y)| matrix.is_dark(*x, *y)) {
        // Writing to a string does not fail.
        let _ = write!(path, "M{} {}h1v1h-1z", x + QUIET, y + QUIET);
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" width=\"280\" height=\"280\" role=\"img\" \
         aria-label=\"QR code of the link\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}h-{side}z\"/>\
         <path fill=\"#000\" d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_grows_with_its_text_until_it_is_too_long() {
        let size = |len: usize| {
            let svg = svg(&"a".repeat(len))?;
            let side = svg.split("viewBox=\"0 0 ").nth(1)?.split(' ').next()?;
            side.parse::<usize>().ok().map(|side| side - 2 * QUIET)
        };
        // Table 7: the bytes of versions 1, 2, 9, 10 and 20 at level L.
        for (len, version) in [(17, 1), (18, 2), (32, 2), (230, 9), (231, 10), (271, 10), (858, 20)] {
            assert_eq!(size(len), Some(17 + 4 * version), "{len}");
        }
        assert_eq!(size(859), None);
    }
}
