//! Receipts in the encoding of COSE: the same proof as in [`mod@crate::receipt`], under a signature of its own over the
//! root.
//!
//! # Source
//!
//! RFC 9942 sections 4 and 5.2; RFC 9052 section 4; RFC 9597 for the claims.

use minicbor::{Decoder, Encoder, data::Tag, decode, encode};

use crate::{
    note::{SignerKey, VerifierKey},
    tree::{Hash, leaf_hash, root_of_inclusion},
};

/// The longest receipt that is read, in bytes: 64 hashes, a name and a signature are below 3 KiB.
const RECEIPT_BYTES_MAX: usize = 4 << 10;
const HASHES_MAX: u64 = 64;

/// `alg`, with EdDSA (RFC 9053 section 2.2).
const ALG: (i64, i64) = (1, -8);
/// `kid`.
const KID: i64 = 4;
/// The claims of a CWT, of which `iss` is the first (RFC 8392 section 3.1.1).
const CLAIMS: i64 = 15;
const ISS: i64 = 1;
/// `vds`, the kind of verifiable data structure, with RFC9162_SHA256.
const VDS: (i64, i64) = (395, 1);
/// `vdp`, the proofs, of which those of inclusion have this label.
const VDP: i64 = 396;
const INCLUSION: i64 = -1;
const COSE_SIGN1: u64 = 18;

/// A proof that one entry is in a log, signed by the log over the root that the proof leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CoseReceipt {
    /// The size of the log whose root is signed; what is signed is the root alone, to which the proof may lead for other
    /// sizes too.
    pub size: u64,
    /// The entry's index in it.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling up.
    pub hashes: Vec<Hash>,
    /// The protected header, as it is signed.
    protected: Vec<u8>,
    signature: [u8; 64],
}

/// The bytes are no receipt, or prove nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadCoseReceipt {
    /// Not the encoding of one receipt of inclusion by this kind of tree.
    #[error("it is no COSE receipt of inclusion (RFC 9942) in deterministic CBOR")]
    Malformed,
    /// The proof leads nowhere, or the signature is not over where it leads.
    #[error("the receipt does not show that this entry is in the log")]
    Proof,
}

impl CoseReceipt {
    /// Signs the root of a log of `size` entries as a receipt of the entry that `hashes` prove to be at `index`.
    ///
    /// `root` must be the one of a checkpoint that the log signed.
    #[must_use]
    pub fn sign(key: &SignerKey, size: u64, root: &Hash, index: u64, hashes: Vec<Hash>) -> Self {
        let protected = protected(key.name());
        let signature = key.sign(&to_be_signed(&protected, root));
        Self { size, index, hashes, protected, signature }
    }

    /// Returns the receipt as tagged `COSE_Sign1` with a detached payload: the root.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let proof = written(|out| {
            out.array(3)?.u64(self.size)?.u64(self.index)?.array(count(&self.hashes))?;
            self.hashes.iter().try_for_each(|hash| out.bytes(hash).map(drop))
        });
        written(|out| {
            out.tag(Tag::new(COSE_SIGN1))?.array(4)?.bytes(&self.protected)?;
            out.map(1)?.i64(VDP)?.map(1)?.i64(INCLUSION)?.array(1)?.bytes(&proof)?;
            out.null()?.bytes(&self.signature)?;
            Ok(())
        })
    }

    /// Reads a receipt.
    ///
    /// # Errors
    ///
    /// [`BadCoseReceipt::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadCoseReceipt> {
        let read = if bytes.len() > RECEIPT_BYTES_MAX { None } else { read(bytes).ok() };
        // One receipt has one spelling: what is read is written again and compared.
        read.filter(|receipt| receipt.to_bytes() == bytes).ok_or(BadCoseReceipt::Malformed)
    }

    /// Checks that `leaf` is the entry at the index in the log, by the log's signature.
    ///
    /// # Errors
    ///
    /// [`BadCoseReceipt::Proof`]: nothing is proved.
    pub fn verify(&self, leaf: &[u8], key: &VerifierKey) -> Result<(), BadCoseReceipt> {
        let root = root_of_inclusion(&leaf_hash(leaf), self.index, self.size, &self.hashes);
        let root = root.map_err(|_| BadCoseReceipt::Proof)?;
        let names_the_log = self.protected == protected(key.name());
        match names_the_log && key.accepts(&to_be_signed(&self.protected, &root), &self.signature) {
            true => Ok(()),
            false => Err(BadCoseReceipt::Proof),
        }
    }
}

/// Returns the protected header of the log `origin`; maps are in the order of RFC 8949 section 4.2.1.
fn protected(origin: &str) -> Vec<u8> {
    written(|out| {
        out.map(4)?.i64(ALG.0)?.i64(ALG.1)?;
        out.i64(KID)?.bytes(origin.as_bytes())?;
        out.i64(CLAIMS)?.map(1)?.i64(ISS)?.str(origin)?;
        out.i64(VDS.0)?.i64(VDS.1)?;
        Ok(())
    })
}

/// Returns the `Sig_structure` of RFC 9052 section 4.4.
fn to_be_signed(protected: &[u8], root: &Hash) -> Vec<u8> {
    written(|out| {
        out.array(4)?.str("Signature1")?.bytes(protected)?.bytes(&[])?.bytes(root)?;
        Ok(())
    })
}

type Written = Result<(), encode::Error<std::convert::Infallible>>;

/// Writes CBOR into memory, which does not fail.
fn written(write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Written) -> Vec<u8> {
    let mut bytes = Vec::new();
    match write(&mut Encoder::new(&mut bytes)) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

fn count(hashes: &[Hash]) -> u64 {
    hashes.len() as u64
}

/// Reads the parts; whether they are spelled as they must be is compared afterwards.
fn read(bytes: &[u8]) -> Result<CoseReceipt, decode::Error> {
    let mut input = Decoder::new(bytes);
    input.tag()?;
    input.array()?;
    let protected = input.bytes()?.to_vec();
    input.map()?;
    input.i64()?;
    input.map()?;
    input.i64()?;
    input.array()?;
    let (size, index, hashes) = read_proof(input.bytes()?)?;
    input.null()?;
    let signature = fixed(input.bytes()?)?;
    Ok(CoseReceipt { size, index, hashes, protected, signature })
}

fn read_proof(bytes: &[u8]) -> Result<(u64, u64, Vec<Hash>), decode::Error> {
    let mut proof = Decoder::new(bytes);
    proof.array()?;
    let (size, index) = (proof.u64()?, proof.u64()?);
    let count = proof.array()?.filter(|count| *count <= HASHES_MAX);
    let count = count.ok_or_else(|| decode::Error::message("more hashes than any tree needs"))?;
    let hashes = (0..count).map(|_| fixed(proof.bytes()?)).collect::<Result<_, _>>()?;
    Ok((size, index, hashes))
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], decode::Error> {
    bytes.try_into().map_err(|_| decode::Error::message("a string of another length"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::naive;

    const ORIGIN: &str = "log.example.com/exeat/1";

    fn key() -> SignerKey {
        SignerKey::from_seed(ORIGIN, &[9; 32]).unwrap()
    }

    /// A receipt for entry `index` of a log of `size` entries; entry n is `n` as 8 bytes.
    fn receipt(index: u64, size: u64) -> CoseReceipt {
        let leaves: Vec<Hash> = (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let hashes = naive::path(usize::try_from(index).unwrap(), &leaves);
        CoseReceipt::sign(&key(), size, &naive::root(&leaves), index, hashes)
    }

    #[test]
    fn a_receipt_proves_its_entry_and_no_other() {
        for (index, size) in [(0, 1), (4, 11), (10, 11), (7, 8)] {
            let receipt = receipt(index, size);
            assert_eq!(receipt.verify(&index.to_be_bytes(), &key().verifier()), Ok(()));
            let other = receipt.verify(&(index + 1).to_be_bytes(), &key().verifier());
            assert_eq!(other, Err(BadCoseReceipt::Proof));
        }
    }

    #[test]
    fn a_receipt_of_another_log_or_key_proves_nothing() {
        let leaf = 4_u64.to_be_bytes();
        let renamed = SignerKey::from_seed("log.example.com/exeat/2", &[9; 32]).unwrap();
        let stranger = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
        for key in [renamed, stranger] {
            assert_eq!(receipt(4, 11).verify(&leaf, &key.verifier()), Err(BadCoseReceipt::Proof));
        }
    }

    #[test]
    fn every_changed_bit_of_a_receipt_is_noticed_but_in_the_size_that_nobody_signs() {
        let good = receipt(4, 11);
        let bytes = good.to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let Ok(changed) = CoseReceipt::parse(&changed) else {
                continue;
            };
            if changed.verify(&4_u64.to_be_bytes(), &key().verifier()).is_ok() {
                assert_eq!(CoseReceipt { size: good.size, ..changed }, good, "bit {bit}");
            }
        }
    }

    #[test]
    fn the_headers_are_those_of_the_specification() {
        let bytes = receipt(0, 1).to_bytes();
        // 18([h'{1: -8, 4: .., 15: {1: ..}, 395: 1}', {396: {-1: [..]}}, null, ..])
        assert_eq!(bytes[..6], [0xd2, 0x84, 0x58, 0x3b, 0xa4, 0x01]);
        assert_eq!(bytes[6..9], [0x27, 0x04, 0x57]);
        assert_eq!(bytes[0x3b..0x3f], [0x19, 0x01, 0x8b, 0x01]);
        assert_eq!(bytes[0x3f..0x46], [0xa1, 0x19, 0x01, 0x8c, 0xa1, 0x20, 0x81]);
    }

    proptest! {
        #[test]
        fn a_receipt_reads_back(size: u64, index: u64, hashes in proptest::collection::vec(any::<Hash>(), 0..=64)) {
            let receipt = CoseReceipt::sign(&key(), size, &[7; 32], index, hashes);
            prop_assert_eq!(CoseReceipt::parse(&receipt.to_bytes()), Ok(receipt));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            prop_assert!(CoseReceipt::parse(&bytes).is_err());
        }
    }
}
