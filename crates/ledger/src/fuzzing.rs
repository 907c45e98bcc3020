//! What a fuzzer may reach of this crate's parsers.

use crate::{batch, heads::Saved, quorum, seal, segment, vault};

/// Reads a message between a log and a follower, which begins with its length, and returns it as it is written; `None` if
/// the bytes do not begin with one.
#[must_use]
pub fn follower_message(bytes: &[u8]) -> Option<Vec<u8>> {
    quorum::rewritten(bytes)
}

/// Reads a batch of the write-ahead log, its header and its frames, and returns it as it is written, without padding;
/// `None` if the bytes are none.
#[must_use]
pub fn wal_batch(bytes: &[u8]) -> Option<Vec<u8>> {
    let (head, body) = bytes.split_first_chunk()?;
    let header = batch::Header::decode(head)?;
    let frames = batch::frames(&header, body).ok()?;
    let mut again = header.encode().to_vec();
    for frame in frames {
        frame.write(&frame.head()?, &mut again);
    }
    Some(again)
}

/// Reads the header of a segment, without padding, and returns it as it is written, with; `None` if the bytes are none.
#[must_use]
pub fn segment_header(bytes: &[u8]) -> Option<Vec<u8>> {
    segment::Start::decode(bytes).map(|start| start.encode())
}

/// Reads a slot of a vault whose key is all zeros; returns whether it is one with something in it.
#[must_use]
pub fn vault_slot(bytes: &[u8]) -> bool {
    vault::is_slot(bytes, &[0; 32])
}

/// Reads the file that says where every chain stood; returns whether it is whole.
#[must_use]
pub fn saved_heads(bytes: &[u8]) -> bool {
    Saved::decode(bytes).is_some_and(|saved| saved.restore(None).is_err())
}

/// Reads a private part as it was before it was sealed, and returns it as it is written; `None` if the bytes are none.
#[must_use]
pub fn private_part(bytes: &[u8]) -> Option<Vec<u8>> {
    seal::rewritten(bytes)
}
