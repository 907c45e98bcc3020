//! The three functions that the page calls. Bytes pass one at a time, so that no pointer does.
#![expect(
    unsafe_code,
    reason = "the attribute that keeps a name is unsafe, for two could be the same; no code here is"
)]

use std::cell::RefCell;

use crate::answer;

/// What the page has put down, and what it has been answered.
#[derive(Default)]
struct Desk {
    /// The key, the entry, the receipt: UTF-8.
    given: [Vec<u8>; 3],
    answer: Vec<u8>,
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
}

/// Adds a byte, 0 to 255, to one of the texts: 0 the key, 1 the entry, 2 the receipt. Anything else is ignored.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn page_put(text: u32, byte: u32) {
    DESK.with_borrow_mut(|desk| {
        let text = usize::try_from(text).ok().and_then(|text| desk.given.get_mut(text));
        if let (Some(text), Ok(byte)) = (text, u8::try_from(byte)) {
            text.push(byte);
        }
    });
}

/// Takes the texts, answers as [`answer`] does, and returns the length of the answer in bytes.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn page_check() -> u32 {
    DESK.with_borrow_mut(|desk| {
        let given = std::mem::take(&mut desk.given);
        let [key, entry, receipt] = given.each_ref().map(|text| String::from_utf8_lossy(text));
        desk.answer = answer(&key, &entry, &receipt).into_bytes();
        u32::try_from(desk.answer.len()).unwrap_or(u32::MAX)
    })
}

/// Returns the byte of the answer at this place, 0 beyond its end.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn page_byte(at: u32) -> u32 {
    DESK.with_borrow(|desk| {
        let byte = usize::try_from(at).ok().and_then(|at| desk.answer.get(at));
        byte.copied().unwrap_or_default().into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(texts: [&str; 3]) -> String {
        for (text, number) in texts.iter().zip(0..) {
            text.bytes().for_each(|byte| page_put(number, byte.into()));
        }
        let answer = (0..page_check()).map(|at| u8::try_from(page_byte(at)).unwrap()).collect();
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn byte_by_byte_the_answer_is_the_same_and_nothing_is_left_for_the_next() {
        for texts in [["k\u{e9}y", "00", "c2sp.org"], ["a+00000000+AA==", "", ""], ["", "", ""]] {
            let [key, entry, receipt] = texts;
            assert_eq!(asked(texts), answer(key, entry, receipt));
        }
    }

    #[test]
    fn what_has_no_place_is_ignored() {
        page_put(3, 0);
        page_put(0, 256);
        assert_eq!(asked(["", "", ""]), answer("", "", ""));
        assert_eq!(page_byte(u32::MAX), 0);
    }
}
