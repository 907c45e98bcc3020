//! Calls as a large gateway has them, made up from a seed: who calls, on what, and what comes of it.

use lake::Record;
use proof::entry::{Class, Entry, Kind, Link, Outcome, Usage};

/// People who call, each with a key of their own.
const PEOPLE: u64 = 10_000;
const ORGANIZATIONS: u64 = 120;
const MODELS: [&str; 6] = ["mythos-5.0", "mythos-5.1", "mythos-mini-2", "lumen-3", "lumen-3-vision", "terra-1"];

/// A log that grows by calls that overlap.
pub(crate) struct Traffic {
    random: u64,
    next: u64,
    at_ms: u64,
    chains: std::collections::BTreeMap<(Class, [u8; 16]), (u64, u64)>,
    live: std::collections::VecDeque<Live>,
    /// Bytes of sealed private parts in each open and close; none if 0.
    sealed: usize,
}

struct Live {
    opened: u64,
    until_ms: u64,
    entry: Entry,
}

impl Traffic {
    pub(crate) fn new(seed: u64, sealed: usize) -> Self {
        Self {
            random: seed,
            next: 0,
            at_ms: 1_781_000_000_000,
            chains: Default::default(),
            live: Default::default(),
            sealed,
        }
    }

    /// A small generator of uniform numbers (splitmix64).
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.chunks_mut(8).for_each(|chunk| {
            let word = self.random().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        });
        bytes
    }

    fn linked(&mut self, index: u64, places: &[(Class, [u8; 16])]) -> Vec<Link> {
        let mut links = Vec::new();
        for (class, id) in places {
            let before = self.chains.get(&(*class, *id)).copied();
            let (seq, back) = before.map_or((0, 0), |(seq, at)| (seq + 1, index - at));
            self.chains.insert((*class, *id), (seq, index));
            links.push(Link { class: *class, id: *id, seq, back });
        }
        links
    }

    fn open(&mut self) -> Entry {
        // A few people make most of the calls.
        let person = (self.random() % PEOPLE) * (self.random() % PEOPLE) / PEOPLE;
        let model = usize::try_from((self.random() % 6) * (self.random() % 6) / 6).unwrap();
        let organization = person % ORGANIZATIONS;
        let mut entry = Entry::new(Kind::Open);
        entry.call = Some(self.bytes());
        entry.subject = Some(name(1, person));
        entry.model = Some(MODELS[model].to_owned());
        entry.snapshot = Some([u8::try_from(self.next >> 18).unwrap_or(9); 32]);
        entry.basis = Some(vec!["us-person-only".to_owned(), format!("license-{}", organization % 7)]);
        entry.requested = (self.random().is_multiple_of(4)).then(|| "mythos".to_owned());
        entry.private = Some(self.bytes());
        entry.key_epoch = Some(8_105);
        entry.lease = Some(4_096);
        entry.facts = (self.next > 50).then(|| self.next - self.next % 977);
        entry.links = Some(self.linked(
            self.next,
            &[
                (Class::Subject, name(1, person)),
                (Class::Key, name(2, person)),
                (Class::Organization, name(3, organization)),
                (Class::Model, name(4, model as u64)),
            ],
        ));
        entry
    }

    /// Somebody whom no directive or license lets in.
    fn refusal(&mut self) -> Entry {
        let open = self.open();
        let code = ["standing_unknown", "foreign_person", "no_license"][usize::try_from(self.random() % 3).unwrap()];
        Entry { kind: Kind::Refusal, code: Some(code.to_owned()), lease: None, ..open }
    }

    fn close(&mut self, live: &Live) -> Entry {
        let mut entry = Entry::new(Kind::Close);
        let output = 20 + self.random() % 900;
        entry.call = live.entry.call;
        entry.opened = Some(live.opened);
        entry.subject = live.entry.subject;
        entry.model.clone_from(&live.entry.model);
        entry.outcome = Some(if output.is_multiple_of(40) { Outcome::ClientGone } else { Outcome::Completed });
        entry.usage = Some(Usage {
            input_tokens: Some(100 + self.random() % 3_000),
            output_tokens: Some(output),
            delivered_events: output + 2,
            delivered_bytes: output * 190 + self.random() % 500,
        });
        entry.private = Some(self.bytes());
        entry.key_epoch = Some(8_105);
        let places: Vec<_> = live.entry.links.iter().flatten().map(|link| (link.class, link.id)).collect();
        entry.links = Some(self.linked(self.next, &places));
        entry
    }

    fn entry(&mut self) -> Entry {
        self.at_ms += self.random() % 9;
        let due = self.live.front().is_some_and(|live| live.until_ms <= self.at_ms);
        let entry = if self.random().is_multiple_of(64) {
            self.refusal()
        } else if due {
            let live = self.live.pop_front().unwrap();
            self.close(&live)
        } else {
            let entry = self.open();
            let until_ms = self.at_ms + 2_000;
            self.live.push_back(Live { opened: self.next, until_ms, entry: entry.clone() });
            entry
        };
        self.next += 1;
        Entry { at_ms: self.at_ms, ..entry }
    }
}

impl Iterator for Traffic {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let leaf = self.entry().encode().unwrap();
        let sealed = (self.sealed > 0).then(|| (0..self.sealed.div_ceil(8)).flat_map(|_| self.bytes::<8>()).collect());
        Some(Record { leaf, sealed })
    }
}

/// A pseudonym.
fn name(class: u8, number: u64) -> [u8; 16] {
    let digest = proof::tree::leaf_hash(&[&[class][..], &number.to_be_bytes()].concat());
    digest[..16].try_into().unwrap()
}
