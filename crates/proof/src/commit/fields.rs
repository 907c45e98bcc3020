//! The fields of a private part, in rising order of their ids and each at most once.

use bytes::Bytes;

use super::{Commitment, Salt, combine, commit_to_field};
use crate::entry::Kind;

/// A field of a private part. Ordinals are stored and never reused.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Field {
    /// The facts of a decision, a document, a change or an act: what the kind of the entry says.
    Main = 1,
    /// The SHA-256 of the request body as it was forwarded.
    Request = 2,
    /// The SHA-256 of the response body as it was delivered up to the close.
    Response = 3,
    /// What the upstream called its response.
    UpstreamId = 4,
    /// The request body, sealed.
    SealedRequest = 5,
    /// The response body, sealed.
    SealedResponse = 6,
}

impl Field {
    /// Every field, in rising order.
    pub const ALL: [Self; 6] =
        [Self::Main, Self::Request, Self::Response, Self::UpstreamId, Self::SealedRequest, Self::SealedResponse];

    /// Returns the id that stands for the field wherever it is stored: 1 to 6.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// Returns true if the private part of an entry of this kind may have the field.
    #[must_use]
    pub const fn belongs_to(self, kind: Kind) -> bool {
        match self {
            Self::Main => true,
            Self::Request | Self::SealedRequest => matches!(kind, Kind::Open),
            Self::Response | Self::UpstreamId | Self::SealedResponse => matches!(kind, Kind::Close),
        }
    }

    /// Returns the field of an id; `None` if no field has it.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.id() == id)
    }
}

/// A field comes twice, or after one that it must come before.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("field {} does not come after all fields before it", .0.id())]
pub struct Unordered(pub Field);

/// The values of a private part.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fields(Sorted<Bytes>);

impl Fields {
    /// Sets `field`; whatever value it had before is gone.
    #[must_use]
    pub fn with(mut self, field: Field, value: Bytes) -> Self {
        self.0.put(field, value);
        self
    }

    /// Returns the value of `field`.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&Bytes> {
        self.0.get(field)
    }

    /// Returns fields and values in rising order; the values share their memory.
    pub fn iter(&self) -> impl Iterator<Item = (Field, Bytes)> {
        self.0.0.iter().map(|(field, value)| (*field, value.clone()))
    }

    /// Returns true if the private part has no fields, and the entry so no commitment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = &'a (Field, Bytes);
    type IntoIter = std::slice::Iter<'a, (Field, Bytes)>;

    /// Goes through fields and values in rising order.
    fn into_iter(self) -> Self::IntoIter {
        self.0.0.iter()
    }
}

impl FromIterator<(Field, Bytes)> for Fields {
    fn from_iter<I: IntoIterator<Item = (Field, Bytes)>>(fields: I) -> Self {
        fields.into_iter().fold(Self::default(), |all, (field, value)| all.with(field, value))
    }
}

/// What is told of one field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Opening {
    /// The commitment to it and no more.
    Withheld(Commitment),
    /// All of it.
    Shown {
        /// Its salt.
        salt: Salt,
        /// Its value.
        value: Bytes,
    },
}

impl Opening {
    /// Returns the commitment to `field` that this belongs to.
    #[must_use]
    pub fn commitment(&self, field: Field) -> Commitment {
        match self {
            Self::Withheld(commitment) => *commitment,
            Self::Shown { salt, value } => commit_to_field(field, salt, value),
        }
    }

    /// Returns the value; `None` if it is withheld.
    #[must_use]
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Withheld(_) => None,
            Self::Shown { value, .. } => Some(value),
        }
    }
}

/// What is told of each field of a private part.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Openings(Sorted<Opening>);

impl Openings {
    /// Adds a field after all that are there.
    ///
    /// # Errors
    ///
    /// [`Unordered`] if it does not come after them; nothing is added.
    pub fn push(&mut self, field: Field, opening: Opening) -> Result<(), Unordered> {
        if self.0.0.last().is_some_and(|(last, _)| *last >= field) {
            return Err(Unordered(field));
        }
        self.0.0.push((field, opening));
        Ok(())
    }

    /// Returns what is told of `field`; `None` if the private part does not have it.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&Opening> {
        self.0.get(field)
    }

    /// Returns the value of `field`; `None` if there is no such field or it is withheld.
    #[must_use]
    pub fn value(&self, field: Field) -> Option<&Bytes> {
        self.get(field).and_then(Opening::value)
    }

    /// Returns fields and openings in rising order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Field, &Opening)> {
        self.0.0.iter().map(|(field, opening)| (*field, opening))
    }

    /// Returns true if nothing is told: there is no private part, or all of it is withheld.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.0.is_empty()
    }

    /// Withholds every field that `shown` is false of.
    #[must_use]
    pub fn showing(mut self, shown: impl Fn(Field) -> bool) -> Self {
        for (field, opening) in &mut self.0.0 {
            if !shown(*field) {
                *opening = Opening::Withheld(opening.commitment(*field));
            }
        }
        self
    }

    /// Returns the commitment that these fields open, to be compared with that of the entry; `None` without fields.
    #[must_use]
    pub fn commitment(&self) -> Option<Commitment> {
        combine(self.iter().map(|(field, opening)| (field, opening.commitment(field))))
    }
}

impl FromIterator<(Field, Opening)> for Openings {
    fn from_iter<I: IntoIterator<Item = (Field, Opening)>>(fields: I) -> Self {
        let mut all = Self::default();
        for (field, opening) in fields {
            all.0.put(field, opening);
        }
        all
    }
}

/// A list in rising order of fields, each at most once.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Sorted<T>(Vec<(Field, T)>);

impl<T> Sorted<T> {
    fn put(&mut self, field: Field, value: T) {
        match self.0.binary_search_by_key(&field, |(field, _)| *field) {
            Err(at) => self.0.insert(at, (field, value)),
            Ok(at) => {
                if let Some((_, old)) = self.0.get_mut(at) {
                    *old = value;
                }
            }
        }
    }

    fn get(&self, field: Field) -> Option<&T> {
        self.0.iter().find_map(|(of, value)| (*of == field).then_some(value))
    }
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn ids_and_fields_belong_together() {
        for (id, field) in (1..).zip(Field::ALL) {
            assert_eq!((field.id(), Field::from_id(id)), (id, Some(field)));
        }
        assert_eq!((Field::from_id(0), Field::from_id(7)), (None, None));
    }

    #[test]
    fn fields_belong_to_the_kinds_that_the_format_says() {
        let of = |kind| Field::ALL.map(|field| field.belongs_to(kind));
        assert_eq!(of(Kind::Open), [true, true, false, false, true, false]);
        assert_eq!(of(Kind::Close), [true, false, true, true, false, true]);
        assert_eq!(of(Kind::Refusal), [true, false, false, false, false, false]);
    }

    #[test]
    fn fields_stand_in_order_whatever_order_they_came_in() {
        let fields: Fields = [(Field::Response, text("b")), (Field::Main, text("a")), (Field::Response, text("c"))]
            .into_iter()
            .collect();
        assert_eq!(fields.iter().collect::<Vec<_>>(), [(Field::Main, text("a")), (Field::Response, text("c"))]);
        assert_eq!(fields.get(Field::Main), Some(&text("a")));
        assert_eq!(fields.get(Field::Request), None);
        assert!(!fields.is_empty() && Fields::default().is_empty());
    }

    #[test]
    fn openings_out_of_order_are_refused() {
        let mut openings = Openings::default();
        openings.push(Field::Request, Opening::Withheld([1; 32])).unwrap();
        for field in [Field::Main, Field::Request] {
            assert_eq!(openings.push(field, Opening::Withheld([2; 32])), Err(Unordered(field)));
        }
        assert_eq!(openings.iter().len(), 1);
        assert_eq!(Unordered(Field::Main).to_string(), "field 1 does not come after all fields before it");
    }

    #[test]
    fn what_is_withheld_has_no_value() {
        let openings: Openings =
            [(Field::Main, Opening::Shown { salt: [7; 16], value: text("why") })].into_iter().collect();
        assert_eq!(openings.value(Field::Main), Some(&text("why")));
        let withheld = openings.showing(|_| false);
        assert_eq!(withheld.value(Field::Main), None);
        assert!(matches!(withheld.get(Field::Main), Some(Opening::Withheld(_))));
    }
}
