//! The body of `add-entries`: a header, and packages of entries with their proofs.

use std::io::{self, Read};

use proof::{tile::TILE_WIDTH, tree::Hash};

use crate::request::PROOF_HASHES_MAX;

/// Entries of a full package; packages are cut where bundles of entries are.
pub(crate) const PACKAGE: u64 = TILE_WIDTH as u64;

/// What comes before the packages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    /// The log.
    pub(crate) origin: String,
    /// The index of the first entry that is uploaded.
    pub(crate) start: u64,
    /// Entries in the checkpoint that the proofs lead to; not below `start`.
    pub(crate) end: u64,
    /// What the mirror gave, or nothing.
    pub(crate) ticket: Vec<u8>,
}

/// The bytes are no request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadBody {
    /// They end early, or could not be read further.
    #[error("the body ends early")]
    Truncated,
    /// They say what cannot be.
    #[error("{0}")]
    Malformed(&'static str),
}

impl Header {
    /// Reads a header and nothing behind it.
    pub(crate) fn read(body: &mut dyn Read) -> Result<Self, BadBody> {
        let origin = read_short(body)?;
        let origin = String::from_utf8(origin).map_err(|_| BadBody::Malformed("the origin is not UTF-8"))?;
        if origin.is_empty() {
            return Err(BadBody::Malformed("the origin is empty"));
        }
        let (start, end) = (u64::from_be_bytes(read_array(body)?), u64::from_be_bytes(read_array(body)?));
        if start > end || i64::try_from(end).is_err() {
            return Err(BadBody::Malformed("the end is before the start, or beyond 2^63"));
        }
        let ticket = read_short(body)?;
        Ok(Self { origin, start, end, ticket })
    }

    /// Writes the header; `None` if origin or ticket is longer than two bytes can say.
    pub(crate) fn write(&self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        write_short(&mut body, self.origin.as_bytes())?;
        body.extend_from_slice(&self.start.to_be_bytes());
        body.extend_from_slice(&self.end.to_be_bytes());
        write_short(&mut body, &self.ticket)?;
        Some(body)
    }

    /// Returns the packages in which all of the upload comes, in order.
    pub(crate) fn packages(&self) -> impl Iterator<Item = Span> + use<> {
        let (start, end) = (self.start, self.end);
        let first = start / PACKAGE;
        let count = if start == end { 0 } else { end.div_ceil(PACKAGE) - first };
        (first..first + count).map(move |bundle| Span {
            bundle,
            start: start.max(bundle * PACKAGE),
            end: end.min((bundle + 1).saturating_mul(PACKAGE)),
        })
    }
}

/// The entries of one package.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Span {
    /// The index of the bundle that they are in, the first being 0.
    pub(crate) bundle: u64,
    /// The index of the first entry.
    pub(crate) start: u64,
    /// The index behind the last; at most 256 beyond the beginning of the bundle.
    pub(crate) end: u64,
}

impl Span {
    /// Returns the index of the first entry of the bundle.
    pub(crate) fn aligned(&self) -> u64 {
        self.bundle * PACKAGE
    }
}

/// Entries with the proof that their bundle, up to the last of them, is a part of the tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Package {
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) proof: Vec<Hash>,
}

impl Package {
    /// Reads a package of `count` entries, 1 to 256.
    pub(crate) fn read(body: &mut dyn Read, count: u64) -> Result<Self, BadBody> {
        let entries = (0..count).map(|_| read_short(body)).collect::<Result<_, _>>()?;
        let [hashes] = read_array(body)?;
        if usize::from(hashes) > PROOF_HASHES_MAX {
            return Err(BadBody::Malformed("a proof has more than 63 hashes"));
        }
        let proof = (0..hashes).map(|_| read_array(body)).collect::<Result<_, _>>()?;
        Ok(Self { entries, proof })
    }

    /// Appends the package; `None` if an entry is longer than two bytes can say, or the proof than one.
    pub(crate) fn write(&self, body: &mut Vec<u8>) -> Option<()> {
        self.entries.iter().try_for_each(|entry| write_short(body, entry))?;
        body.push(u8::try_from(self.proof.len()).ok()?);
        self.proof.iter().for_each(|hash| body.extend_from_slice(hash));
        Some(())
    }
}

/// Reads bytes after their length in two bytes.
fn read_short(body: &mut dyn Read) -> Result<Vec<u8>, BadBody> {
    let length = u16::from_be_bytes(read_array(body)?);
    let mut bytes = vec![0; usize::from(length)];
    fill(body, &mut bytes)?;
    Ok(bytes)
}

fn read_array<const N: usize>(body: &mut dyn Read) -> Result<[u8; N], BadBody> {
    let mut bytes = [0; N];
    fill(body, &mut bytes)?;
    Ok(bytes)
}

fn fill(body: &mut dyn Read, bytes: &mut [u8]) -> Result<(), BadBody> {
    body.read_exact(bytes).map_err(|error: io::Error| {
        tracing::debug!(%error, "an upload ended early");
        BadBody::Truncated
    })
}

fn write_short(body: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    body.extend_from_slice(&u16::try_from(bytes.len()).ok()?.to_be_bytes());
    body.extend_from_slice(bytes);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(start: u64, end: u64) -> Header {
        Header { origin: "log.example".to_owned(), start, end, ticket: b"ticket".to_vec() }
    }

    #[test]
    fn packages_are_cut_where_bundles_are() {
        let spans = |start, end| -> Vec<_> { header(start, end).packages().map(|s| (s.start, s.end)).collect() };
        assert_eq!(spans(0, 600), [(0, 256), (256, 512), (512, 600)]);
        assert_eq!(spans(300, 301), [(300, 301)]);
        assert_eq!(spans(255, 257), [(255, 256), (256, 257)]);
        assert_eq!(spans(256, 512), [(256, 512)]);
        assert_eq!(spans(600, 600), []);
    }

    #[test]
    fn every_header_that_is_cut_short_is_refused() {
        let whole = header(3, 9).write().unwrap();
        for cut in 0..whole.len() {
            assert!(matches!(Header::read(&mut &whole[..cut]), Err(BadBody::Truncated)), "{cut}");
        }
        assert_eq!(Header::read(&mut whole.as_slice()).unwrap(), header(3, 9));
    }

    #[test]
    fn headers_that_say_what_cannot_be_are_refused() {
        let refused = |header: Header| {
            matches!(Header::read(&mut header.write().unwrap().as_slice()), Err(BadBody::Malformed(_)))
        };
        assert!(refused(Header { origin: String::new(), ..header(0, 0) }));
        assert!(refused(header(600, 300)));
        assert!(refused(header(1 << 63, 1 << 63)));
        assert!(refused(header(0, 1 << 63)));
        let not_utf8 = [0, 1, 0xff].iter().copied().chain([0; 18]).collect::<Vec<u8>>();
        assert!(matches!(Header::read(&mut not_utf8.as_slice()), Err(BadBody::Malformed(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>, count in 1_u64..=256) {
            if let Ok(header) = Header::read(&mut bytes.as_slice()) {
                prop_assert!(bytes.starts_with(&header.write().unwrap()));
            }
            if let Ok(package) = Package::read(&mut bytes.as_slice(), count) {
                let mut written = Vec::new();
                package.write(&mut written).unwrap();
                prop_assert!(bytes.starts_with(&written));
            }
        }

        #[test]
        fn a_package_reads_back(
            entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..=256),
            proof in proptest::collection::vec(any::<Hash>(), 0..=63),
        ) {
            let package = Package { entries, proof };
            let mut body = Vec::new();
            package.write(&mut body).unwrap();
            prop_assert_eq!(Package::read(&mut body.as_slice(), package.entries.len() as u64).unwrap(), package);
        }
    }
}
