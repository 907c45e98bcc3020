//! Queries for many resources, and their answers.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use crate::{
    Fault, Filter, Projection, Resource, ResourceType,
    path::AttributePath,
    schema::{Place, attribute::Attribute},
    value::is_primary,
};

const LIST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const SEARCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// What a client asks of a list.
///
/// # Source
/// RFC 7644 sections 3.4.2 and 3.4.3.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Which resources; all if absent.
    pub filter: Option<Filter>,
    /// What of each.
    pub projection: Projection,
    sort_by: Option<AttributePath>,
    descending: bool,
    /// The first resource wanted, counted from 1.
    start_index: usize,
    /// How many at most; as many as fit if absent.
    count: Option<usize>,
    /// After which resource, where the client walks by cursor; empty at first.
    cursor: Option<String>,
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start<'a> {
    /// After so many resources.
    Skip(usize),
    /// After the resource of this id, in order of id; from the first one if it is empty.
    ///
    /// # Source
    /// RFC 9865 section 2.
    After(&'a str),
}

impl Query {
    /// Takes the parameters of a query string, each with its value. Unknown ones are ignored.
    ///
    /// # Errors
    ///
    /// [`Fault`] that names the parameter.
    pub fn from_parameters<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, Fault> {
        let mut sent = Map::new();
        for (name, value) in parameters {
            let value = match name {
                "startIndex" | "count" => number(name, value)?,
                "attributes" | "excludedAttributes" => {
                    value.split(',').filter(|name| !name.trim().is_empty()).collect()
                }
                _ => value.into(),
            };
            if sent.insert(name.to_owned(), value).is_some() {
                return Err(Fault::value(format!("`{name}` is given twice")));
            }
        }
        Self::read(&sent)
    }

    /// Takes the body of a search request.
    ///
    /// # Errors
    ///
    /// [`Fault`] that names the member.
    pub fn from_search(body: &Value) -> Result<Self, Fault> {
        let sent = body.as_object().ok_or_else(|| Fault::syntax("the body is not a JSON object"))?;
        let schemas = sent.get("schemas").and_then(Value::as_array).into_iter().flatten();
        if !schemas.into_iter().any(|urn| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(SEARCH_SCHEMA))) {
            return Err(Fault::syntax(format!("`schemas` lacks `{SEARCH_SCHEMA}`")));
        }
        Self::read(sent)
    }

    fn read(sent: &Map<String, Value>) -> Result<Self, Fault> {
        let sort_by = text(sent, "sortBy")?
            .map(|path| AttributePath::parse(path).map_err(|bad| Fault::value(format!("`sortBy`: {bad}"))));
        let whole = |name| integer(sent, name).map(|found| found.map(|number| usize::try_from(number).unwrap_or(0)));
        Ok(Self {
            filter: text(sent, "filter")?.map(Filter::parse).transpose()?,
            projection: Projection::new(&names(sent, "attributes")?, &names(sent, "excludedAttributes")?)?,
            sort_by: sort_by.transpose()?,
            descending: is_descending(text(sent, "sortOrder")?)?,
            start_index: whole("startIndex")?.unwrap_or(1).max(1),
            count: whole("count")?,
            cursor: text(sent, "cursor")?.map(str::to_owned),
        })
    }

    /// Checks that resources of type `kind` have what the filter and the order name.
    ///
    /// # Errors
    ///
    /// [`Fault`] that names the attribute.
    pub fn check(&self, kind: ResourceType) -> Result<(), Fault> {
        if let Some(path) = &self.sort_by {
            path.place(kind).ok_or_else(|| Fault::value(format!("there is no attribute `{path}` to sort by")))?;
        }
        self.filter.as_ref().map_or(Ok(()), |filter| filter.check(kind))
    }

    /// Returns true if the client asks for an order of its own, which a cursor cannot follow.
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        self.sort_by.is_some()
    }

    /// Returns true if nothing about a resource but its place in the list decides whether it is answered.
    #[must_use]
    pub fn is_a_walk(&self) -> bool {
        self.filter.is_none() && self.sort_by.is_none()
    }

    /// Returns true if `resource` is asked for.
    #[must_use]
    pub fn matches(&self, resource: &Resource) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(resource))
    }

    /// Returns where the answer starts in a list, and how many resources it holds, at most `most`.
    #[must_use]
    pub fn window(&self, most: usize) -> (Start<'_>, usize) {
        let skipped = self.start_index.saturating_sub(1);
        let start = self.cursor.as_deref().map_or(Start::Skip(skipped), Start::After);
        (start, self.count.map_or(most, |count| count.min(most)))
    }

    /// Sorts resources as the client asks; those without a value come last, first if descending.
    pub fn sort(&self, found: &mut [Resource]) {
        let Some(path) = &self.sort_by else { return };
        let sorted_by =
            |resource: &Resource| SortKey(path.place(resource.resource_type()).and_then(|at| key(&at, resource)));
        found.sort_by_cached_key(sorted_by);
        if self.descending {
            found.reverse();
        }
    }
}

/// Returns the body of an answer with `page` out of `total` resources, which starts at `start`; `next` is the cursor of the
/// page after it, if the client walks by cursor and there is one.
#[must_use]
pub fn list_response(page: &[Value], total: usize, start: Start<'_>, next: Option<&str>) -> Value {
    let mut body =
        json!({ "schemas": [LIST_SCHEMA], "totalResults": total, "itemsPerPage": page.len(), "Resources": page });
    let more = match start {
        Start::Skip(skipped) => Some(("startIndex", Value::from(skipped + 1))),
        Start::After(_) => next.map(|next| ("nextCursor", Value::from(next))),
    };
    if let (Some(body), Some((name, value))) = (body.as_object_mut(), more) {
        body.insert(name.to_owned(), value);
    }
    body
}

/// Sorts what is absent last.
#[derive(Eq, PartialEq)]
struct SortKey(Option<String>);

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let absent = self.0.is_none().cmp(&other.0.is_none());
        absent.then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Of several values the primary one counts, or else the first (RFC 7644 section 3.4.2.3).
fn key(place: &Place, resource: &Resource) -> Option<String> {
    let value = match place.value_in(resource.body())? {
        Value::Array(values) => values.iter().find(|value| is_primary(value)).or_else(|| values.first())?,
        single => single,
    };
    let (leaf, value): (&Attribute, &Value) = match (place.sub, value) {
        (Some(sub), Value::Object(parts)) => (sub, parts.get(sub.name)?),
        (None, Value::Object(parts)) => (place.attribute.sub("value")?, parts.get("value")?),
        (_, plain) => (place.leaf(), plain),
    };
    Some(value.as_str().map_or_else(|| value.to_string(), |text| leaf.folded(text)))
}

fn number(name: &str, value: &str) -> Result<Value, Fault> {
    let number: i64 = value.parse().map_err(|_| Fault::value(format!("`{name}` is not a whole number")))?;
    Ok(number.into())
}

fn integer(sent: &Map<String, Value>, name: &str) -> Result<Option<i64>, Fault> {
    match sent.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_i64().ok_or_else(|| Fault::value(format!("`{name}` is not a whole number")))?;
            Ok(Some(number.max(0)))
        }
    }
}

fn text<'a>(sent: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Fault> {
    match sent.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::value(format!("`{name}` is not a text"))),
    }
}

fn names<'a>(sent: &'a Map<String, Value>, name: &str) -> Result<Vec<&'a str>, Fault> {
    let bad = || Fault::value(format!("`{name}` is not a list of attribute names"));
    match sent.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(names)) => names.iter().map(|name| name.as_str().ok_or_else(bad)).collect(),
        Some(_) => Err(bad()),
    }
}

fn is_descending(order: Option<&str>) -> Result<bool, Fault> {
    match order {
        None => Ok(false),
        Some(order) if order.eq_ignore_ascii_case("ascending") => Ok(false),
        Some(order) if order.eq_ignore_ascii_case("descending") => Ok(true),
        Some(_) => Err(Fault::value("`sortOrder` is `ascending` or `descending`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::USER;

    fn query(parameters: &[(&str, &str)]) -> Result<Query, Fault> {
        Query::from_parameters(parameters.iter().copied())
    }

    fn user(name: &str, title: Option<&str>) -> Resource {
        let body = json!({ "schemas": [USER], "userName": name, "title": title });
        Resource::parse(ResourceType::User, &body).unwrap()
    }

    #[test]
    fn a_window_begins_at_one_and_may_be_empty() {
        assert_eq!(query(&[]).unwrap().window(100), (Start::Skip(0), 100));
        assert_eq!(query(&[("startIndex", "0"), ("count", "-1")]).unwrap().window(100), (Start::Skip(0), 0));
        assert_eq!(query(&[("startIndex", "11"), ("count", "0")]).unwrap().window(100), (Start::Skip(10), 0));
        assert_eq!(query(&[("count", "1000")]).unwrap().window(100), (Start::Skip(0), 100));
        assert_eq!(query(&[("cursor", "a"), ("startIndex", "9")]).unwrap().window(100), (Start::After("a"), 100));
    }

    #[test]
    fn a_parameter_that_is_malformed_or_there_twice_is_refused_with_its_name() {
        let cases: [&[(&str, &str)]; 6] = [
            &[("count", "ten")],
            &[("count", "1"), ("count", "2")],
            &[("sortOrder", "up")],
            &[("sortBy", "a b")],
            &[("attributes", "id"), ("excludedAttributes", "id")],
            &[("filter", "x")],
        ];
        for parameters in cases {
            assert!(query(parameters).is_err(), "{parameters:?}");
        }
    }

    #[test]
    fn a_search_request_says_the_same_in_json() {
        let body = json!({ "schemas": [SEARCH_SCHEMA], "startIndex": 2, "count": 5, "attributes": ["userName"] });
        let search = Query::from_search(&body).unwrap();
        assert_eq!(search.window(100), (Start::Skip(1), 5));
        assert_eq!(search.projection, query(&[("attributes", "userName")]).unwrap().projection);
        assert!(Query::from_search(&json!({ "count": 5 })).is_err());
        assert!(Query::from_search(&json!({ "schemas": [SEARCH_SCHEMA], "count": "5" })).is_err());
    }

    #[test]
    fn what_has_no_value_is_sorted_last() {
        let mut found = [user("a", None), user("b", Some("Zoo")), user("c", Some("art"))];
        let names = |found: &[Resource]| found.iter().filter_map(|r| r.text("userName")).collect::<String>();
        query(&[("sortBy", "title")]).unwrap().sort(&mut found);
        assert_eq!(names(&found), "cba");
        query(&[("sortBy", "title"), ("sortOrder", "Descending")]).unwrap().sort(&mut found);
        assert_eq!(names(&found), "abc");
        assert!(query(&[("sortBy", "nope")]).unwrap().check(ResourceType::User).is_err());
    }
}
