//! From digests and disclosures to the claims that are shown.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Disclosure, HashAlg};

/// How deep claims may nest, disclosures within disclosures included.
const MAX_DEPTH: usize = 32;
/// Digests that one credential may hold, disclosed or not.
const MAX_DIGESTS: usize = 4096;

/// What is wrong with the disclosures of an SD-JWT, or with the payload that they belong to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResolveFault {
    /// A hash algorithm that is not known, or a name of another type.
    #[error("its `_sd_alg` is not `sha-256` or `sha-384`")]
    HashAlg,
    /// Digests in another place or of another type than the format says.
    #[error("it has `{0}` where the format does not allow it")]
    Misplaced(&'static str),
    /// Nested too deep.
    #[error("its claims nest deeper than {MAX_DEPTH}")]
    Depth,
    /// Too many digests.
    #[error("it has more than {MAX_DIGESTS} digests")]
    TooManyDigests,
    /// The same digest twice in the payload or in what was disclosed.
    #[error("a digest stands in it twice")]
    DigestTwice,
    /// The same disclosure twice.
    #[error("a disclosure comes twice")]
    DisclosureTwice,
    /// A disclosure that no digest stands for.
    #[error("a disclosure belongs to no digest that the issuer signed")]
    Unused,
    /// The disclosure of a member where an element is wanted, or the other way round.
    #[error("a disclosure has the shape of a member where an element belongs, or of an element where a member belongs")]
    Shape,
    /// A member that is there already.
    #[error("a disclosure brings `{0}`, which is there already")]
    Collision(String),
    /// A claim that its issuer must not let the holder withhold.
    #[error("`{0}` is disclosed, but must be signed in the open")]
    Reserved(String),
}

/// What an SD-JWT shows once every digest was looked up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disclosed {
    /// The claims, without any trace of digests.
    pub claims: Map<String, Value>,
    /// Names of the top-level claims under which digests stay that nothing was shown for: something may be withheld.
    pub incomplete: BTreeSet<String>,
    /// How its disclosures were digested, and what a key binding presents.
    pub hash_alg: HashAlg,
}

/// Replaces each digest in `payload` by what was disclosed for it, and drops the others.
///
/// `payload` is what the issuer signed, verified; the members of `open` may not be disclosed at its top level.
///
/// # Errors
///
/// [`ResolveFault`]: the whole SD-JWT must be refused.
///
/// # Source
/// RFC 9901, section 7.1, step 3.
pub fn resolve(
    mut payload: Map<String, Value>,
    disclosures: &[Disclosure],
    open: &[&str],
) -> Result<Disclosed, ResolveFault> {
    let alg = hash_alg(&mut payload)?;
    let mut resolver = Resolver { pending: by_digest(disclosures, alg)?, seen: BTreeSet::new(), withheld: false };
    let disclosed = resolver.root(payload, open)?;
    if resolver.pending.is_empty() { Ok(Disclosed { hash_alg: alg, ..disclosed }) } else { Err(ResolveFault::Unused) }
}

/// Takes `_sd_alg` out of the payload of an issuer and says which algorithm it names.
///
/// # Errors
///
/// [`ResolveFault::HashAlg`] if it names one that is not known.
fn hash_alg(payload: &mut Map<String, Value>) -> Result<HashAlg, ResolveFault> {
    match payload.remove("_sd_alg") {
        None => Ok(HashAlg::Sha256),
        Some(Value::String(name)) => HashAlg::parse(&name).ok_or(ResolveFault::HashAlg),
        Some(_) => Err(ResolveFault::HashAlg),
    }
}

fn by_digest(disclosures: &[Disclosure], alg: HashAlg) -> Result<BTreeMap<String, &Disclosure>, ResolveFault> {
    let mut found = BTreeMap::new();
    for disclosure in disclosures {
        if found.insert(alg.digest(disclosure.text()), disclosure).is_some() {
            return Err(ResolveFault::DisclosureTwice);
        }
    }
    Ok(found)
}

struct Resolver<'a> {
    /// Disclosures whose digest was not met yet.
    pending: BTreeMap<String, &'a Disclosure>,
    /// Every digest met.
    seen: BTreeSet<String>,
    /// Whether a digest without a disclosure was met since this was last set back.
    withheld: bool,
}

impl<'a> Resolver<'a> {
    fn root(&mut self, payload: Map<String, Value>, open: &[&str]) -> Result<Disclosed, ResolveFault> {
        let mut disclosed = Disclosed::default();
        let (members, revealed) = self.split(payload)?;
        if let Some((name, _)) = revealed.iter().find(|(name, _)| open.contains(&name.as_str())) {
            return Err(ResolveFault::Reserved(name.clone()));
        }
        for (name, value) in members.into_iter().chain(revealed) {
            self.withheld = false;
            let value = self.value(value, 1)?;
            if self.withheld {
                disclosed.incomplete.insert(name.clone());
            }
            put(&mut disclosed.claims, name, value)?;
        }
        Ok(disclosed)
    }

    fn value(&mut self, value: Value, depth: usize) -> Result<Value, ResolveFault> {
        if depth > MAX_DEPTH {
            return Err(ResolveFault::Depth);
        }
        match value {
            Value::Object(members) => self.object(members, depth).map(Value::Object),
            Value::Array(elements) => self.array(elements, depth).map(Value::Array),
            plain => Ok(plain),
        }
    }

    fn object(&mut self, members: Map<String, Value>, depth: usize) -> Result<Map<String, Value>, ResolveFault> {
        let (members, revealed) = self.split(members)?;
        let mut resolved = Map::new();
        for (name, value) in members.into_iter().chain(revealed) {
            let value = self.value(value, depth + 1)?;
            put(&mut resolved, name, value)?;
        }
        Ok(resolved)
    }

    fn array(&mut self, elements: Vec<Value>, depth: usize) -> Result<Vec<Value>, ResolveFault> {
        let mut resolved = Vec::with_capacity(elements.len());
        for element in elements {
            let shown = match element_digest(&element)? {
                None => Some(element),
                Some(digest) => self.element(digest)?,
            };
            if let Some(value) = shown {
                resolved.push(self.value(value, depth + 1)?);
            }
        }
        Ok(resolved)
    }

    /// Takes the digests out of an object and returns its own members and those that were disclosed.
    fn split(&mut self, mut members: Map<String, Value>) -> Result<(Map<String, Value>, Revealed), ResolveFault> {
        let digests = members.remove("_sd");
        for (name, known) in [("...", "..."), ("_sd_alg", "_sd_alg")] {
            if members.contains_key(name) {
                return Err(ResolveFault::Misplaced(known));
            }
        }
        let mut revealed = Vec::new();
        for digest in texts(digests)? {
            if let Some(disclosure) = self.take(&digest)? {
                let name = disclosure.name().ok_or(ResolveFault::Shape)?;
                revealed.push((name.to_owned(), disclosure.value().clone()));
            }
        }
        Ok((members, revealed))
    }

    fn element(&mut self, digest: &str) -> Result<Option<Value>, ResolveFault> {
        let Some(disclosure) = self.take(digest)? else { return Ok(None) };
        match disclosure.name() {
            Some(_) => Err(ResolveFault::Shape),
            None => Ok(Some(disclosure.value().clone())),
        }
    }

    /// Looks up one digest, which may be met only once.
    fn take(&mut self, digest: &str) -> Result<Option<&'a Disclosure>, ResolveFault> {
        if self.seen.len() >= MAX_DIGESTS {
            return Err(ResolveFault::TooManyDigests);
        }
        if !self.seen.insert(digest.to_owned()) {
            return Err(ResolveFault::DigestTwice);
        }
        let found = self.pending.remove(digest);
        self.withheld |= found.is_none();
        Ok(found)
    }
}

/// Members that were disclosed.
type Revealed = Vec<(String, Value)>;

fn put(members: &mut Map<String, Value>, name: String, value: Value) -> Result<(), ResolveFault> {
    if members.contains_key(&name) {
        return Err(ResolveFault::Collision(name));
    }
    members.insert(name, value);
    Ok(())
}

/// Reads the digests of `_sd`; none if it is absent.
fn texts(digests: Option<Value>) -> Result<Vec<String>, ResolveFault> {
    match digests {
        None => Ok(Vec::new()),
        Some(digests) => serde_json::from_value(digests).map_err(|_| ResolveFault::Misplaced("_sd")),
    }
}

/// Returns the digest of an element `{"...": digest}`; `None` for any element without that name.
fn element_digest(element: &Value) -> Result<Option<&str>, ResolveFault> {
    let Some(digest) = element.as_object().and_then(|members| members.get("...")) else { return Ok(None) };
    match (digest, element.as_object().map(Map::len)) {
        (Value::String(digest), Some(1)) => Ok(Some(digest)),
        _ => Err(ResolveFault::Misplaced("...")),
    }
}
