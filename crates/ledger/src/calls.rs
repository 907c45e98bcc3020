//! Which calls are open: permitted and not closed yet.

use std::collections::BTreeMap;

use proof::{
    entry::{Entry, Kind, Link},
    heads::Chain,
};

use crate::{bytes::Fields, chains};

/// A call whose opening entry is in the log and whose closing entry is not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OpenCall {
    pub(crate) call: [u8; 16],
    pub(crate) subject: Option<[u8; 16]>,
    pub(crate) model: Option<String>,
    /// The chains its entries have places in.
    pub(crate) chains: Vec<Chain>,
    /// How many events with output it may have delivered at most.
    pub(crate) lease: Option<u64>,
}

/// What an entry does to the open calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    Opens(u64, OpenCall),
    /// The call may deliver up to a further lease.
    Leases(u64, Option<u64>),
    Closes(u64),
}

impl Change {
    /// Returns what `entry`, at `index`, does; `None` if it changes no call.
    pub(crate) fn of(entry: Entry, index: u64) -> Option<Self> {
        match (acts_as(&entry), entry.call, entry.opened) {
            (Kind::Open, Some(call), _) => {
                let chains = entry.links.iter().flatten().map(Link::chain).collect();
                let Entry { subject, model, lease, .. } = entry;
                Some(Self::Opens(index, OpenCall { call, subject, model, chains, lease }))
            }
            (Kind::Lease, _, Some(opened)) => Some(Self::Leases(opened, entry.lease)),
            (Kind::Close, _, Some(opened)) => Some(Self::Closes(opened)),
            _ => None,
        }
    }
}

/// In the log of a meter, a ticket that was taken opens a call; one that was refused opens none.
fn acts_as(entry: &Entry) -> Kind {
    match entry.kind {
        Kind::Metered if entry.outcome.is_none() => Kind::Open,
        kind => kind,
    }
}

/// The open calls, by the index of their opening entries.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct OpenCalls(BTreeMap<u64, OpenCall>);

impl OpenCalls {
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Opens(index, call) => {
                self.0.insert(index, call);
            }
            Change::Leases(opened, lease) => {
                if let Some(call) = self.0.get_mut(&opened) {
                    call.lease = lease;
                }
            }
            Change::Closes(opened) => {
                self.0.remove(&opened);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &OpenCall)> {
        self.0.iter().map(|(index, call)| (*index, call))
    }

    /// Writes the calls: their number, then for each the index, the call, the subject and the model, these two after
    /// the number of bytes they take (0 where there is none), the lease (all ones where there is none), and the chains
    /// after their number.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        let count = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&count.to_le_bytes());
        for (index, call) in self.iter() {
            bytes.extend_from_slice(&index.to_le_bytes());
            bytes.extend_from_slice(&call.call);
            let subject = call.subject.as_ref().map(<[u8; 16]>::as_slice);
            encode_text(bytes, subject.unwrap_or_default());
            encode_text(bytes, call.model.as_deref().unwrap_or_default().as_bytes());
            bytes.extend_from_slice(&call.lease.unwrap_or(u64::MAX).to_le_bytes());
            bytes.push(u8::try_from(call.chains.len()).unwrap_or(u8::MAX));
            call.chains.iter().for_each(|chain| chains::encode(chain, bytes));
        }
    }

    /// Reads what [`OpenCalls::encode`] wrote; `None` if it is cut short or malformed.
    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let mut calls = Self::default();
        for _ in 0..fields.u32()? {
            let index = fields.u64()?;
            let call = decode_call(fields)?;
            calls.apply(Change::Opens(index, call));
        }
        Some(calls)
    }
}

fn decode_call(fields: &mut Fields<'_>) -> Option<OpenCall> {
    let call = fields.array()?;
    let subject = decode_text(fields)?.try_into().ok();
    let model = String::from_utf8(decode_text(fields)?.to_vec()).ok()?;
    let lease = Some(fields.u64()?).filter(|lease| *lease != u64::MAX);
    let [count] = fields.array()?;
    let chains = (0..count).map(|_| chains::decode(fields)).collect::<Option<_>>()?;
    Some(OpenCall { call, subject, model: Some(model).filter(|model| !model.is_empty()), chains, lease })
}

/// Entries are shorter than two bytes can say, and so is every text in them.
fn encode_text(bytes: &mut Vec<u8>, text: &[u8]) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend(text.iter().take(length.into()));
}

fn decode_text<'a>(fields: &mut Fields<'a>) -> Option<&'a [u8]> {
    let length = fields.u16()?;
    fields.take(length.into())
}

#[cfg(test)]
mod tests {
    use proof::entry::Class;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_call_is_open_from_its_opening_to_its_closing_entry() {
        let mut open = Entry::new(Kind::Open);
        open.call = Some([7; 16]);
        open.model = Some("mythos-5".to_owned());
        let mut close = Entry::new(Kind::Close);
        close.opened = Some(3);
        let mut calls = OpenCalls::default();
        calls.apply(Change::of(open, 3).unwrap());
        assert_eq!(calls.iter().next().unwrap().1.call, [7; 16]);
        let mut lease = Entry::new(Kind::Lease);
        (lease.opened, lease.lease) = (Some(3), Some(512));
        calls.apply(Change::of(lease, 4).unwrap());
        assert_eq!(calls.iter().next().unwrap().1.lease, Some(512));
        calls.apply(Change::of(close, 5).unwrap());
        assert_eq!(calls.iter().count(), 0);
        assert_eq!(Change::of(Entry::new(Kind::Refusal), 6), None);
    }

    #[test]
    fn a_ticket_that_was_taken_opens_a_call_and_one_that_was_refused_does_not() {
        let mut taken = Entry::new(Kind::Metered);
        taken.call = Some([7; 16]);
        assert!(matches!(Change::of(taken.clone(), 3), Some(Change::Opens(3, _))));
        taken.outcome = Some(proof::entry::Outcome::NotServed);
        assert_eq!(Change::of(taken, 4), None);
    }

    prop_compose! {
        fn any_call()(
            call: [u8; 16],
            subject: Option<[u8; 16]>,
            model in proptest::option::of("[a-z0-9.-]{1,64}"),
            ids in proptest::collection::vec(any::<[u8; 16]>(), 0..5),
            lease in proptest::option::of(0..u64::MAX),
        ) -> OpenCall {
            let chains = ids.into_iter().map(|id| Chain { class: Class::Organization, id }).collect();
            OpenCall { call, subject, model, chains, lease }
        }
    }

    proptest! {
        #[test]
        fn open_calls_read_back(calls in proptest::collection::btree_map(any::<u64>(), any_call(), 0..30)) {
            let calls = OpenCalls(calls);
            let mut bytes = Vec::new();
            calls.encode(&mut bytes);
            let mut fields = Fields(&bytes);
            prop_assert_eq!(OpenCalls::decode(&mut fields), Some(calls));
            prop_assert!(fields.0.is_empty());
            for cut in 0..bytes.len() {
                prop_assert_eq!(OpenCalls::decode(&mut Fields(&bytes[..cut])), None);
            }
        }
    }
}
