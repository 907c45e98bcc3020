//! What is known about an attribute: the characteristics that drive parsing, filters, patches and projections.

use serde_json::{Map, Value, json};
use terms::Country;

/// The type of an attribute's values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DataType {
    String,
    Boolean,
    Integer,
    DateTime,
    Reference,
    Binary,
    Complex,
}

/// Who may set an attribute, and when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mutability {
    ReadOnly,
    ReadWrite,
    Immutable,
    WriteOnly,
}

/// When an attribute is part of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Returned {
    Always,
    Never,
    Default,
    Request,
}

/// Which values an attribute takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Values {
    /// Any of its type.
    Any,
    /// These are usual; others are taken too.
    Usual(&'static [&'static str]),
    /// These and no others.
    Only(&'static [&'static str]),
    /// A country, by its ISO 3166-1 alpha-2 code.
    Country,
    /// A country, or `QU` (not known), or `QS` (stateless).
    Nationality,
}

/// An attribute and its characteristics.
///
/// # Source
/// RFC 7643 section 2.2 and section 7.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) data_type: DataType,
    pub(crate) description: &'static str,
    pub(crate) multi_valued: bool,
    pub(crate) required: bool,
    pub(crate) case_exact: bool,
    pub(crate) mutability: Mutability,
    pub(crate) returned: Returned,
    pub(crate) unique: bool,
    pub(crate) values: Values,
    pub(crate) reference_types: &'static [&'static str],
    pub(crate) sub_attributes: &'static [Self],
}

/// The `value` of an attribute whose values have no parts, as in `citizenships[value eq "FR"]`.
static ITSELF: Attribute = Attribute::string("value", "The value itself.").exact();

/// How many values a multi-valued attribute holds at most; [`MEMBERS_MAX`] for members.
pub(crate) const VALUES_MAX: usize = 64;
/// How many members a group holds at most: with 36 characters each they fill half a mebibyte.
pub(crate) const MEMBERS_MAX: usize = 10_000;

impl Attribute {
    pub(crate) const fn new(name: &'static str, data_type: DataType, description: &'static str) -> Self {
        Self {
            name,
            data_type,
            description,
            multi_valued: false,
            required: false,
            case_exact: false,
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            unique: false,
            values: Values::Any,
            reference_types: &[],
            sub_attributes: &[],
        }
    }

    pub(crate) const fn string(name: &'static str, description: &'static str) -> Self {
        Self::new(name, DataType::String, description)
    }

    pub(crate) const fn boolean(name: &'static str, description: &'static str) -> Self {
        Self::new(name, DataType::Boolean, description)
    }

    pub(crate) const fn date_time(name: &'static str, description: &'static str) -> Self {
        Self::new(name, DataType::DateTime, description)
    }

    pub(crate) const fn reference(
        name: &'static str,
        types: &'static [&'static str],
        description: &'static str,
    ) -> Self {
        let plain = Self::new(name, DataType::Reference, description);
        Self { reference_types: types, case_exact: true, ..plain }
    }

    pub(crate) const fn complex(name: &'static str, sub: &'static [Self], description: &'static str) -> Self {
        Self { sub_attributes: sub, ..Self::new(name, DataType::Complex, description) }
    }

    pub(crate) const fn many(self) -> Self {
        Self { multi_valued: true, ..self }
    }

    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(crate) const fn exact(self) -> Self {
        Self { case_exact: true, ..self }
    }

    pub(crate) const fn unique(self) -> Self {
        Self { unique: true, ..self }
    }

    pub(crate) const fn mutability(self, mutability: Mutability) -> Self {
        Self { mutability, ..self }
    }

    pub(crate) const fn read_only(self) -> Self {
        self.mutability(Mutability::ReadOnly)
    }

    pub(crate) const fn returned(self, returned: Returned) -> Self {
        Self { returned, ..self }
    }

    pub(crate) const fn values(self, values: Values) -> Self {
        Self { values, ..self }
    }

    /// Returns the sub-attribute of that name, in any case.
    pub(crate) fn sub(&'static self, name: &str) -> Option<&'static Self> {
        find(self.sub_attributes, name)
    }

    /// Returns the sub-attribute of that name, or the values themselves as `value` where they have no parts.
    pub(crate) fn part(&'static self, name: &str) -> Option<&'static Self> {
        let is_plain = self.multi_valued && self.data_type != DataType::Complex;
        if is_plain && name.eq_ignore_ascii_case(ITSELF.name) { Some(&ITSELF) } else { self.sub(name) }
    }

    /// Returns `text` as it is compared: in lower case unless case makes a difference.
    pub(crate) fn folded(&self, text: &str) -> String {
        if self.case_exact { text.to_owned() } else { text.to_lowercase() }
    }

    /// Returns true if the attribute has a Boolean `primary` that at most one of its values may set.
    pub(crate) fn has_primary(&self) -> bool {
        self.multi_valued && self.sub_attributes.iter().any(|sub| sub.name == "primary")
    }

    /// Returns how many values it holds at most.
    pub(crate) fn values_max(&self) -> usize {
        if self.name == "members" { MEMBERS_MAX } else { VALUES_MAX }
    }

    /// Describes the attribute as `/Schemas` does.
    pub(crate) fn describe(&self) -> Value {
        let mut out = json!({
            "name": self.name,
            "type": self.data_type.as_str(),
            "multiValued": self.multi_valued,
            "description": self.description,
            "required": self.required,
            "caseExact": self.case_exact,
            "mutability": self.mutability.as_str(),
            "returned": self.returned.as_str(),
            "uniqueness": if self.unique { "server" } else { "none" },
        });
        if let Some(map) = out.as_object_mut() {
            self.describe_lists(map);
        }
        out
    }

    fn describe_lists(&self, out: &mut Map<String, Value>) {
        let values = self.values.listed();
        if !values.is_empty() {
            out.insert("canonicalValues".to_owned(), values.into());
        }
        if !self.reference_types.is_empty() {
            out.insert("referenceTypes".to_owned(), self.reference_types.into());
        }
        if self.data_type == DataType::Complex {
            let subs: Vec<Value> = self.sub_attributes.iter().map(Self::describe).collect();
            out.insert("subAttributes".to_owned(), subs.into());
        }
    }
}

/// Returns the attribute of that name, in any case.
pub(crate) fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

impl DataType {
    fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::DateTime => "dateTime",
            Self::Reference => "reference",
            Self::Binary => "binary",
            Self::Complex => "complex",
        }
    }
}

impl Mutability {
    fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "readOnly",
            Self::ReadWrite => "readWrite",
            Self::Immutable => "immutable",
            Self::WriteOnly => "writeOnly",
        }
    }
}

impl Returned {
    fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Default => "default",
            Self::Request => "request",
        }
    }
}

/// A nationality that is not known, and that of a person whom no country calls its own.
pub(crate) const NO_COUNTRY: [&str; 2] = ["QU", "QS"];

impl Values {
    /// Returns true if `text` is a value that is taken.
    pub(crate) fn take(self, text: &str) -> bool {
        match self {
            Self::Any | Self::Usual(_) => true,
            Self::Only(known) => known.contains(&text),
            Self::Country => Country::parse(text).is_ok(),
            Self::Nationality => NO_COUNTRY.contains(&text) || Country::parse(text).is_ok(),
        }
    }

    /// Returns the values in words, for an error message.
    pub(crate) fn in_words(self) -> String {
        match self {
            Self::Any | Self::Usual(_) => "any text".to_owned(),
            Self::Only(known) => format!("one of `{}`", known.join("`, `")),
            Self::Country => "an ISO 3166-1 alpha-2 code in capitals".to_owned(),
            Self::Nationality => {
                "an ISO 3166-1 alpha-2 code in capitals, `QU` (not known) or `QS` (stateless)".to_owned()
            }
        }
    }

    fn listed(self) -> Vec<&'static str> {
        match self {
            Self::Any => Vec::new(),
            Self::Usual(known) | Self::Only(known) => known.to_vec(),
            Self::Country => Country::codes().collect(),
            Self::Nationality => Country::codes().chain(NO_COUNTRY).collect(),
        }
    }
}
