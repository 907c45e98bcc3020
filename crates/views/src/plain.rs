//! The entry's own fields, by the names that `docs/log-format.md` gives them.

use proof::hex;
use serde_json::{Map, Value, json};

use crate::{
    event::Event,
    words::{class, kind, moment},
};

/// Returns the fields that the entry has, after what names it.
pub(crate) fn fields(event: &Event) -> Value {
    let mut all = json!({
        "origin": event.origin, "index": event.index, "leaf_hash": hex(&event.leaf_hash()),
    });
    if let Some(object) = all.as_object_mut() {
        object.extend(of_the_entry(event));
    }
    all
}

/// Returns the fields of the entry itself; what it does not have is left out.
pub(crate) fn of_the_entry(event: &Event) -> Map<String, Value> {
    let entry = &event.entry;
    let usage = entry.usage.map(|usage| {
        json!({
            "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens,
            "delivered_events": usage.delivered_events, "delivered_bytes": usage.delivered_bytes,
        })
    });
    let links = entry.links.as_ref().map(|links| {
        let link = |link: &proof::entry::Link| {
            json!({ "class": class(link.class), "id": hex(&link.id), "seq": link.seq, "back": link.back })
        };
        links.iter().map(link).collect::<Vec<_>>()
    });
    let fields = json!({
        "kind": kind(entry.kind), "time": moment(entry.at_ms).to_string(),
        "call": entry.call.map(|call| hex(&call)), "opened": entry.opened,
        "subject": entry.subject.map(|subject| hex(&subject)), "model": entry.model, "requested": entry.requested,
        "snapshot": entry.snapshot.map(|digest| hex(&digest)), "basis": entry.basis, "code": entry.code,
        "outcome": entry.outcome.map(|of| of.name()), "usage": usage, "lease": entry.lease, "facts": entry.facts,
        "private": entry.private.map(|commitment| hex(&commitment)), "key_epoch": entry.key_epoch,
        "root": entry.root.map(|root| hex(&root)), "covered": entry.covered, "links": links,
    });
    let Value::Object(fields) = fields else { return Map::new() };
    fields.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::{close, event};

    #[test]
    fn an_entry_has_the_fields_that_it_has_and_no_others() {
        let fields = fields(&event(&close()));
        assert_eq!(fields["kind"], "close");
        assert_eq!(fields["time"], "2026-06-01T09:00:00.123Z");
        assert_eq!(fields["usage"]["output_tokens"], 1_500);
        assert_eq!(fields["links"][2], json!({"class": "organization", "id": "03".repeat(16), "seq": 0, "back": 0}));
        assert_eq!(fields.get("code"), None);
        assert_eq!(fields["leaf_hash"].as_str().unwrap().len(), 64);
    }
}
