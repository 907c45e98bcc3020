//! Signed notes: text with Ed25519 signatures, and the keys that make and check them.
//!
//! # Source
//!
//! C2SP signed-note v1.0.0; RFC 8032.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::Signer;
use sha2::{Digest, Sha256};

/// A note is at most this long, in bytes: 16 post-quantum signatures of 5 kB in base64, and as much text again.
pub const NOTE_BYTES_MAX: usize = 262_144;
/// A note has at most this many signatures; the format asks for 16 or more.
pub const NOTE_SIGNATURES_MAX: usize = 64;

/// The signature type of plain Ed25519.
const ED25519: u8 = 0x01;
/// What a signature line begins with.
const MARK: &str = "\u{2014} ";

/// The key that checks signatures, with the name it signs under; written `name+hash+key`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifierKey {
    name: String,
    id: u32,
    key: ed25519_dalek::VerifyingKey,
}

/// The key that signs, with its name. It does not print.
pub struct SignerKey {
    name: String,
    id: u32,
    key: ed25519_dalek::SigningKey,
}

/// The text is not a key of a signed note.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadKey {
    /// The name is empty or has a space or a plus in it.
    #[error("a key's name is not empty and has neither spaces nor `+` nor control characters in it")]
    Name,
    /// Not the parts of a key, or not in hexadecimal and base64.
    #[error("a verifier key reads `name+hash+key`, a signer key `PRIVATE+KEY+name+hash+key`")]
    Malformed,
    /// A key of a type that does not fit here, or that is not known.
    #[error("a key of type {0} cannot be used here")]
    Type(u8),
    /// The hash is not the one of this name and key.
    #[error("the hash in the key is not that of its name and key: copy it again, whole")]
    Hash,
    /// The bytes are no usable public key.
    #[error("the bytes of the key are not a safe public key")]
    Point,
}

impl VerifierKey {
    /// Makes the key for `name` of 32 public bytes.
    ///
    /// # Errors
    ///
    /// [`BadKey::Name`]; [`BadKey::Point`] if the bytes are no point of the curve or one of small order.
    pub fn new(name: &str, public: &[u8; 32]) -> Result<Self, BadKey> {
        check_name(name)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(public).map_err(|_| BadKey::Point)?;
        if key.is_weak() {
            return Err(BadKey::Point);
        }
        let id = key_id(name, ED25519, public);
        Ok(Self { name: name.to_owned(), id, key })
    }

    /// Returns the name it signs under: for a log, its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the short identifier that signature lines carry; it identifies, it does not authenticate.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the public key itself: two keys of different names are one if this is equal.
    #[must_use]
    pub fn public_bytes(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// Returns true if `signature` is this key's over `text`; only the one strict reading of RFC 8032 counts.
    #[must_use]
    pub fn accepts(&self, text: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(text, &signature).is_ok())
    }
}

/// Returns true if `signature` is over `text` by the Ed25519 key with these public bytes; only the one strict reading of
/// RFC 8032 counts, and no key of small order.
pub(crate) fn is_signed_by(public: &[u8], text: &[u8], signature: &[u8]) -> bool {
    let key = public.try_into().ok().and_then(|bytes| ed25519_dalek::VerifyingKey::from_bytes(bytes).ok());
    let signature = ed25519_dalek::Signature::from_slice(signature).ok();
    key.zip(signature).is_some_and(|(key, signature)| !key.is_weak() && key.verify_strict(text, &signature).is_ok())
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = typed(ED25519, self.key.as_bytes());
        write!(f, "{}+{:08x}+{key}", self.name, self.id)
    }
}

impl FromStr for VerifierKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let (name, id, bytes) = parse_key(text)?;
        let key = Self::new(name, &bytes)?;
        if key.id == id { Ok(key) } else { Err(BadKey::Hash) }
    }
}

impl SignerKey {
    /// Makes the key for `name` of a secret seed of 32 random bytes.
    ///
    /// # Errors
    ///
    /// [`BadKey::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, BadKey> {
        check_name(name)?;
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let id = key_id(name, ED25519, key.verifying_key().as_bytes());
        Ok(Self { name: name.to_owned(), id, key })
    }

    /// Reads a key written by [`SignerKey::to_secret_text`].
    ///
    /// # Errors
    ///
    /// [`BadKey`]; it does not repeat what was given.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let rest = text.strip_prefix("PRIVATE+KEY+").ok_or(BadKey::Malformed)?;
        let (name, id, seed) = parse_key(rest)?;
        let key = Self::from_seed(name, &seed)?;
        if key.id == id { Ok(key) } else { Err(BadKey::Hash) }
    }

    /// Writes the secret key as `PRIVATE+KEY+name+hash+key`. Whoever reads this text can sign.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        let seed = typed(ED25519, self.key.as_bytes());
        format!("PRIVATE+KEY+{}+{:08x}+{seed}", self.name, self.id)
    }

    /// Returns the name it signs under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Signs what is not a note.
    ///
    /// What is signed must begin with a label that no text of a note begins with.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// Returns the key that checks its signatures.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey { name: self.name.clone(), id: self.id, key: self.key.verifying_key() }
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({}+{:08x})", self.name, self.id)
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), BadKey> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.contains(bad) {
        return Err(BadKey::Name);
    }
    Ok(())
}

/// Returns the first four bytes of the hash over name, type and key.
pub(crate) fn key_id(name: &str, kind: u8, public: &[u8]) -> u32 {
    let hash: [u8; 32] =
        Sha256::new().chain_update(name).chain_update([b'\n', kind]).chain_update(public).finalize().into();
    let [a, b, c, d, ..] = hash;
    u32::from_be_bytes([a, b, c, d])
}

/// Writes key bytes after their type, in base64.
pub(crate) fn typed(kind: u8, key: &[u8]) -> String {
    STANDARD.encode([&[kind], key].concat())
}

fn parse_key(text: &str) -> Result<(&str, u32, [u8; 32]), BadKey> {
    let (name, id, kind, key) = parse_typed(text)?;
    if kind != ED25519 {
        return Err(BadKey::Type(kind));
    }
    let key = key.try_into().map_err(|_| BadKey::Malformed)?;
    Ok((name, id, key))
}

/// Reads `name+hash+key` of a key of any type: its name, its identifier, its type and its bytes.
pub(crate) fn parse_typed(text: &str) -> Result<(&str, u32, u8, Vec<u8>), BadKey> {
    let mut parts = text.splitn(3, '+');
    let mut part = || parts.next().ok_or(BadKey::Malformed);
    let (name, id, key) = (part()?, part()?, part()?);
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if id.len() != 8 || !id.bytes().all(lower) {
        return Err(BadKey::Malformed);
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| BadKey::Malformed)?;
    let bytes = STANDARD.decode(key).map_err(|_| BadKey::Malformed)?;
    let (kind, key) = bytes.split_first().ok_or(BadKey::Malformed)?;
    Ok((name, id, *kind, key.to_vec()))
}

/// A text with its signatures, none of them checked yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line of a note: whose it says it is, and its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: String,
    /// The short identifier of the key.
    pub id: u32,
    /// The signature, in the form its type has; never empty.
    pub bytes: Vec<u8>,
}

/// The bytes are no note, or the note proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadNote {
    /// Longer than [`NOTE_BYTES_MAX`] or with more than [`NOTE_SIGNATURES_MAX`] signatures.
    #[error("the note is too long or has too many signatures")]
    TooLong,
    /// Not UTF-8, or with control characters in it.
    #[error("the note is not plain UTF-8 text")]
    NotText,
    /// No text that ends its line, an empty line, and signature lines.
    #[error("the note is not a text, an empty line and signature lines")]
    Malformed,
    /// A signature line is not `— name base64`.
    #[error("line {0} of the note's signatures is not `\u{2014} name base64`")]
    SignatureLine(usize),
    /// None of the trusted keys signed it.
    #[error("no trusted key signed the note: pin the key it should be signed with")]
    Unsigned,
    /// A signature that says it is a trusted key's is not.
    #[error("the signature of `{0}` does not match the note: it was changed or is forged")]
    Signature(String),
}

impl Note {
    /// Takes a text to be signed: one or more whole lines, the last ended by a newline.
    ///
    /// # Errors
    ///
    /// [`BadNote::TooLong`], [`BadNote::NotText`], [`BadNote::Malformed`].
    pub fn new(text: String) -> Result<Self, BadNote> {
        if !text.ends_with('\n') {
            return Err(BadNote::Malformed);
        }
        check_text(&text)?;
        let signatures = Vec::new();
        Ok(Self { text, signatures })
    }

    /// Reads a note; its text must not be used before [`Note::verify`].
    ///
    /// # Errors
    ///
    /// [`BadNote`], except [`BadNote::Unsigned`] and [`BadNote::Signature`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadNote> {
        let note = std::str::from_utf8(bytes).map_err(|_| BadNote::NotText)?;
        check_text(note)?;
        let (text, lines) = note.rsplit_once("\n\n").ok_or(BadNote::Malformed)?;
        let lines = lines.strip_suffix('\n').ok_or(BadNote::Malformed)?;
        let signatures: Vec<_> = lines
            .split('\n')
            .enumerate()
            .map(|(n, line)| parse_signature(line).ok_or(BadNote::SignatureLine(n + 1)))
            .collect::<Result<_, _>>()?;
        if signatures.len() > NOTE_SIGNATURES_MAX {
            return Err(BadNote::TooLong);
        }
        let text = format!("{text}\n");
        Ok(Self { text, signatures })
    }

    /// Adds the signature of `key`.
    pub fn sign(&mut self, key: &SignerKey) {
        let signature = key.key.sign(self.text.as_bytes());
        self.signatures.push(NoteSignature {
            name: key.name.clone(),
            id: key.id,
            bytes: signature.to_bytes().to_vec(),
        });
    }

    /// Checks the signatures of all keys in `trusted` and returns those that signed, each once; at least one.
    ///
    /// Signatures of other keys are ignored, also where they share a name or an identifier with a trusted key.
    ///
    /// # Errors
    ///
    /// [`BadNote::Unsigned`] if no trusted key signed; [`BadNote::Signature`] if a signature under the name and
    /// identifier of a trusted key is not its own. Either way the text must be disregarded.
    pub fn verify<'k>(&self, trusted: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, BadNote> {
        let mut signers: Vec<&VerifierKey> = Vec::new();
        for signature in &self.signatures {
            let known = |key: &&VerifierKey| key.id == signature.id && key.name == signature.name;
            let Some(key) = trusted.iter().find(known) else {
                continue;
            };
            if !key.accepts(self.text.as_bytes(), &signature.bytes) {
                return Err(BadNote::Signature(key.name.clone()));
            }
            if !signers.contains(&key) {
                signers.push(key);
            }
        }
        if signers.is_empty() {
            return Err(BadNote::Unsigned);
        }
        Ok(signers)
    }

    /// Adds a signature that was made elsewhere; it is not checked.
    pub fn attach(&mut self, signature: NoteSignature) {
        self.signatures.push(signature);
    }

    /// Returns the text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the signatures, in order.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            writeln!(f, "{signature}")?;
        }
        Ok(())
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id.to_be_bytes(), self.bytes.as_slice()].concat();
        write!(f, "{MARK}{} {}", self.name, STANDARD.encode(bytes))
    }
}

fn check_text(text: &str) -> Result<(), BadNote> {
    if text.len() > NOTE_BYTES_MAX {
        return Err(BadNote::TooLong);
    }
    if text.bytes().any(|b| b < b' ' && b != b'\n') {
        return Err(BadNote::NotText);
    }
    Ok(())
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, signature) = line.strip_prefix(MARK)?.split_once(' ')?;
    check_name(name).ok()?;
    let bytes = STANDARD.decode(signature).ok()?;
    let (id, rest) = bytes.split_first_chunk::<4>()?;
    (!rest.is_empty()).then(|| NoteSignature {
        name: name.to_owned(),
        id: u32::from_be_bytes(*id),
        bytes: rest.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The worked example of C2SP signed-note.
    const EXAMPLE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    const EXAMPLE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    fn signer(name: &str, seed: u8) -> SignerKey {
        SignerKey::from_seed(name, &[seed; 32]).unwrap()
    }

    #[test]
    fn the_worked_example_of_the_specification_verifies() {
        let key: VerifierKey = EXAMPLE_KEY.parse().unwrap();
        assert_eq!((key.name(), key.id()), ("example.com/foo", 0x530d_903a));
        assert_eq!(key.to_string(), EXAMPLE_KEY);
        let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(note.text(), "This is an example message.\n");
        assert_eq!(note.verify(std::slice::from_ref(&key)), Ok(vec![&key]));
        assert_eq!(note.to_string(), EXAMPLE);
    }

    #[test]
    fn every_changed_bit_of_the_worked_example_is_noticed() {
        let key = [EXAMPLE_KEY.parse().unwrap()];
        for bit in 0..EXAMPLE.len() * 8 {
            let mut bytes = EXAMPLE.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let verified = Note::parse(&bytes).and_then(|note| note.verify(&key).map(drop));
            assert!(verified.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_signer_key_reads_back_and_signs_what_its_verifier_key_accepts() {
        let key = SignerKey::parse(&signer("log.example.com", 7).to_secret_text()).unwrap();
        let mut note = Note::new("one\n\ntwo\n".to_owned()).unwrap();
        note.sign(&key);
        let read = Note::parse(note.to_string().as_bytes()).unwrap();
        assert_eq!(read, note);
        assert_eq!(read.verify(&[key.verifier()]).unwrap().len(), 1);
        assert!(!format!("{key:?}").contains(&STANDARD.encode([1, 7, 7])));
    }

    #[test]
    fn unknown_keys_are_ignored_even_if_they_share_a_name_or_an_id() {
        let (known, other) = (signer("log", 1), signer("log", 2));
        let mut note = Note::new("text\n".to_owned()).unwrap();
        note.sign(&other);
        assert_eq!(note.verify(&[known.verifier()]), Err(BadNote::Unsigned));
        note.signatures.push(NoteSignature { name: "another".to_owned(), id: known.id, bytes: vec![0; 3_000] });
        note.sign(&known);
        assert_eq!(note.verify(&[known.verifier()]).unwrap().len(), 1);
    }

    #[test]
    fn a_bad_signature_of_a_known_key_rejects_the_note_whoever_else_signed() {
        let (good, bad) = (signer("good", 1), signer("bad", 2));
        let mut note = Note::new("text\n".to_owned()).unwrap();
        note.sign(&good);
        note.sign(&bad);
        note.signatures[1].bytes[9] ^= 1;
        let keys = [good.verifier(), bad.verifier()];
        assert_eq!(note.verify(&keys), Err(BadNote::Signature("bad".to_owned())));
        assert_eq!(note.verify(&keys[..1]).unwrap().len(), 1);
    }

    #[test]
    fn sixteen_signatures_are_accepted_and_too_many_refused() {
        let mut note = Note::new("text\n".to_owned()).unwrap();
        for seed in 0..16 {
            note.sign(&signer(&format!("key{seed}"), seed));
        }
        let last = [signer("key15", 15).verifier()];
        let read = Note::parse(note.to_string().as_bytes()).unwrap();
        assert_eq!(read.verify(&last).unwrap().len(), 1);
        for _ in 0..NOTE_SIGNATURES_MAX {
            note.sign(&signer("more", 99));
        }
        let refused = Note::parse(note.to_string().as_bytes());
        assert_eq!(refused, Err(BadNote::TooLong));
    }

    #[test]
    fn malformed_notes_are_refused() {
        let line = EXAMPLE.lines().last().unwrap();
        for note in [
            String::new(),
            "text\n".to_owned(),
            "text\n\n".to_owned(),
            format!("text\n{line}\n"),
            format!("text\n\n{line}"),
            format!("text\n\n{line}\n\n"),
            format!("te\txt\n\n{line}\n"),
            format!("text\r\n\r\n{line}\r\n"),
            format!("text\n\n{line}\nmore\n"),
            "text\n\n\u{2014} name AAAAAA==\n".to_owned(),
            "text\n\n\u{2014} name AAAAAAB=\n".to_owned(),
            "text\n\n\u{2014}  AAAAAAA=\n".to_owned(),
            "text\n\n\u{2014} a+b AAAAAAA=\n".to_owned(),
            "text\n\n- name AAAAAAA=\n".to_owned(),
        ] {
            assert!(Note::parse(note.as_bytes()).is_err(), "{note:?}");
        }
        assert_eq!(Note::parse(b"\xff\n\n"), Err(BadNote::NotText));
        assert_eq!(Note::new("no end".to_owned()), Err(BadNote::Malformed));
    }

    #[test]
    fn malformed_keys_are_refused_with_the_reason() {
        let parse = |text: &str| text.parse::<VerifierKey>().unwrap_err();
        assert_eq!(parse("example.com/foo"), BadKey::Malformed);
        assert_eq!(parse(&EXAMPLE_KEY.replace("foo", "fop")), BadKey::Hash);
        assert_eq!(parse(&EXAMPLE_KEY.replace("530d", "530D")), BadKey::Malformed);
        assert_eq!(parse(&EXAMPLE_KEY.replace("+Aek", "+Bek")), BadKey::Type(5));
        assert_eq!(parse(&EXAMPLE_KEY.replace(".com", " com")), BadKey::Name);
        let weak = VerifierKey::new("weak", &[0; 32]);
        assert_eq!(weak.unwrap_err(), BadKey::Point);
    }

    proptest! {
        #[test]
        fn parsing_never_fails_but_by_saying_so(bytes: Vec<u8>, text in "[a\n\u{2014} +=/A]{0,80}") {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                if let Ok(note) = Note::parse(bytes) {
                    prop_assert_eq!(note.to_string().into_bytes(), bytes);
                }
            }
        }

        #[test]
        fn a_signed_text_reads_back(text in "([ -~\u{e9}]{0,20}\n){1,6}") {
            let mut note = Note::new(text).unwrap();
            note.sign(&signer("k", 3));
            prop_assert_eq!(Note::parse(note.to_string().as_bytes()).unwrap(), note);
        }
    }
}
