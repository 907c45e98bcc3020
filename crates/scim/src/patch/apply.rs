//! Applies one operation to a resource.

use serde_json::{Map, Value};

use super::{
    Operation, Verb, check_writable,
    path::{Path, Target},
};
use crate::{
    Fault, Filter, Resource, ResourceType, ScimType,
    error::quoted,
    resource::{holder, is_kept, names_schemas, no_such_attribute},
    schema::{
        Place,
        attribute::{Attribute, DataType, Mutability},
    },
    value::{canonical, canonical_one, check_values, demote, identity, is_primary, merge, merge_parts},
};

pub(super) fn operation(resource: &mut Resource, operation: &Operation) -> Result<(), Fault> {
    match &operation.path {
        Some(path) => at_path(resource, operation.verb, path, &operation.value),
        None => members(resource, operation.verb, &operation.value),
    }
}

/// Applies an operation whose value names the attributes. Each name may be a path; what the service sets is passed over,
/// since some clients send a resource back with its id.
fn members(resource: &mut Resource, verb: Verb, value: &Value) -> Result<(), Fault> {
    let value = value.as_object().ok_or_else(|| Fault::value("an operation without a `path` needs an object"))?;
    for (name, value) in value {
        let path = Path::parse(name)?;
        if !is_set_by_service(resource.resource_type(), &path) {
            at_path(resource, verb, &path, value)?;
        }
    }
    Ok(())
}

fn is_set_by_service(kind: ResourceType, path: &Path) -> bool {
    match path.target(kind) {
        Ok(Target::Attribute(place, _)) => {
            place.attribute.name == "schemas" || place.attribute.mutability == Mutability::ReadOnly
        }
        _ => false,
    }
}

fn at_path(resource: &mut Resource, verb: Verb, path: &Path, value: &Value) -> Result<(), Fault> {
    let kind = resource.resource_type();
    match path.target(kind)? {
        Target::Extension(urn) => extension(resource, verb, urn, value),
        Target::Attribute(place, filter) => {
            check_place(&place)?;
            let value = unwrapped(&place, value);
            let mut slot = Slot::take(resource, place);
            match filter {
                None => slot.whole(verb, value)?,
                Some(filter) => slot.selected(verb, filter, value)?,
            }
            slot.put_back(resource)
        }
    }
}

fn extension(resource: &mut Resource, verb: Verb, urn: &'static str, value: &Value) -> Result<(), Fault> {
    if verb == Verb::Remove {
        resource.body_mut().remove(urn);
        return Ok(());
    }
    let kind = resource.resource_type();
    let values = value.as_object().ok_or_else(|| Fault::value(format!("`{urn}` needs an object")))?;
    for (name, value) in values.iter().filter(|(name, _)| !names_schemas(name)) {
        let path = Path::parse(&format!("{urn}:{name}")).map_err(|_| no_such_attribute(kind, name))?;
        at_path(resource, verb, &path, value)?;
    }
    Ok(())
}

fn check_place(place: &Place) -> Result<(), Fault> {
    let attribute = place.attribute;
    if attribute.name == "schemas" {
        return Err(Fault::new(ScimType::Mutability, "`schemas` follows from the attributes"));
    }
    check_writable(attribute.name, attribute.mutability)?;
    place.sub.map_or(Ok(()), |sub| check_writable(sub.name, sub.mutability))
}

/// Unpacks a single value that a common directory wraps in a list, and in an object with `value`.
fn unwrapped<'a>(place: &Place, value: &'a Value) -> &'a Value {
    let leaf = place.leaf();
    let is_list = leaf.multi_valued && place.sub.is_none();
    match value {
        Value::Array(values) if !is_list => match values.as_slice() {
            [Value::Object(parts)] if leaf.data_type != DataType::Complex => parts.get("value").unwrap_or(value),
            [only] => only,
            _ => value,
        },
        _ => value,
    }
}

/// The values of one attribute, taken out of the resource to be changed.
struct Slot {
    place: Place,
    values: Vec<Value>,
}

impl Slot {
    fn take(resource: &mut Resource, place: Place) -> Self {
        let taken = match place.extension {
            None => resource.body_mut().remove(place.attribute.name),
            Some(urn) => {
                resource.body_mut().get_mut(urn).and_then(|values| values.as_object_mut()?.remove(place.attribute.name))
            }
        };
        let values = match taken {
            Some(Value::Array(values)) => values,
            Some(single) => vec![single],
            None => Vec::new(),
        };
        Self { place, values }
    }

    fn put_back(self, resource: &mut Resource) -> Result<(), Fault> {
        let attribute = self.place.attribute;
        let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
        let mut values: Vec<Value> = self.values.into_iter().filter(|value| !is_empty(value)).collect();
        check_values(attribute, &values)?;
        let value = if attribute.multi_valued { Some(Value::Array(values)) } else { values.pop() };
        let kept = value.filter(|value| is_kept(attribute) && value.as_array().is_none_or(|values| !values.is_empty()));
        if let Some(value) = kept {
            holder(resource.body_mut(), self.place.extension).insert(attribute.name.to_owned(), value);
        }
        Ok(())
    }

    /// Applies an operation to the whole attribute, or to one part of each of its values.
    fn whole(&mut self, verb: Verb, value: &Value) -> Result<(), Fault> {
        match (self.place.sub, verb) {
            (Some(sub), _) => self.part(verb, sub, value),
            (None, Verb::Remove) => self.remove(value),
            (None, _) => self.set(verb, value),
        }
    }

    fn set(&mut self, verb: Verb, value: &Value) -> Result<(), Fault> {
        let attribute = self.place.attribute;
        let new = match (canonical(attribute, value)?, verb) {
            (Some(Value::Array(values)), _) => values,
            (Some(single), _) => vec![single],
            (None, Verb::Add) => return Ok(()),
            (None, _) => Vec::new(),
        };
        match (attribute.multi_valued, self.values.first_mut(), new.as_slice()) {
            (true, _, _) if verb == Verb::Add => merge(attribute, &mut self.values, new),
            (false, Some(old @ Value::Object(_)), [addition]) => merge_parts(old, addition.clone()),
            _ => self.values = new,
        }
        Ok(())
    }

    /// Removes the attribute, or of a multi-valued one only the values that are listed.
    fn remove(&mut self, listed: &Value) -> Result<(), Fault> {
        let attribute = self.place.attribute;
        if listed.is_null() || !attribute.multi_valued {
            self.values.clear();
            return Ok(());
        }
        let gone = canonical(attribute, listed)?;
        let gone: Vec<String> =
            gone.iter().filter_map(Value::as_array).flatten().map(|value| identity(attribute, value)).collect();
        self.values.retain(|value| !gone.contains(&identity(attribute, value)));
        Ok(())
    }

    fn part(&mut self, verb: Verb, sub: &'static Attribute, value: &Value) -> Result<(), Fault> {
        if self.place.attribute.data_type != DataType::Complex {
            return Err(Fault::path(format!("the values of `{}` have no parts", self.place.attribute.name)));
        }
        let value = if verb == Verb::Remove { None } else { canonical_one(sub, value)? };
        if self.values.is_empty() && value.is_some() {
            self.values.push(Value::Object(Map::new()));
        }
        self.set_part(sub, value.as_ref(), |_| true);
        Ok(())
    }

    /// Applies an operation to the values that fulfill `filter`, or to one part of each of them.
    fn selected(&mut self, verb: Verb, filter: &Filter, value: &Value) -> Result<(), Fault> {
        let attribute = self.place.attribute;
        let matching = |value: &Value| filter.matches_value(attribute, value);
        let mut chosen: Vec<usize> = (0..).zip(&self.values).filter(|(_, v)| matching(v)).map(|(at, _)| at).collect();
        if chosen.is_empty() {
            let described = filter.described(attribute).filter(|_| verb == Verb::Add);
            let Some(new) = described else {
                let what = format!("no value of `{}` fulfills {}", attribute.name, quoted(&filter.to_string()));
                return Err(Fault::new(ScimType::NoTarget, what));
            };
            chosen.push(self.values.len());
            self.values.push(new);
        }
        match (self.place.sub, verb) {
            (Some(_), Verb::Remove) => self.change_parts(&chosen, None),
            (Some(sub), _) => self.change_parts(&chosen, canonical_one(sub, value)?.as_ref()),
            (None, Verb::Remove) => {
                self.keep_others(&chosen);
                Ok(())
            }
            (None, _) => self.change_values(verb, &chosen, value),
        }
    }

    fn keep_others(&mut self, chosen: &[usize]) {
        let mut at = 0;
        self.values.retain(|_| {
            at += 1;
            !chosen.contains(&(at - 1))
        });
    }

    fn change_parts(&mut self, chosen: &[usize], value: Option<&Value>) -> Result<(), Fault> {
        let Some(sub) = self.place.sub.filter(|_| self.place.attribute.data_type == DataType::Complex) else {
            return Err(Fault::path(format!("the values of `{}` have no parts", self.place.attribute.name)));
        };
        if sub.name == "primary" && value == Some(&Value::Bool(true)) {
            demote(&mut self.values, |at| chosen.contains(&at));
        }
        self.set_part(sub, value, |at| chosen.contains(&at));
        Ok(())
    }

    fn set_part(&mut self, sub: &Attribute, value: Option<&Value>, chosen: impl Fn(usize) -> bool) {
        for (at, parts) in self.values.iter_mut().enumerate() {
            let Some(parts) = parts.as_object_mut().filter(|_| chosen(at)) else { continue };
            match value {
                Some(value) => drop(parts.insert(sub.name.to_owned(), value.clone())),
                None => drop(parts.remove(sub.name)),
            }
        }
    }

    fn change_values(&mut self, verb: Verb, chosen: &[usize], value: &Value) -> Result<(), Fault> {
        let attribute = self.place.attribute;
        let single = match value {
            Value::Array(values) if values.len() == 1 => values.first().unwrap_or(value),
            _ => value,
        };
        let Some(new) = canonical_one(attribute, single)? else {
            self.keep_others(chosen);
            return Ok(());
        };
        if attribute.has_primary() && is_primary(&new) {
            demote(&mut self.values, |at| chosen.contains(&at));
        }
        for (_, old) in self.values.iter_mut().enumerate().filter(|(at, _)| chosen.contains(at)) {
            match verb {
                Verb::Add if old.is_object() => merge_parts(old, new.clone()),
                _ => *old = new.clone(),
            }
        }
        Ok(())
    }
}
