//! Facts met before and what was decided about them, in bounded memory.

use terms::Moment;

/// Ends a chain.
const END: u32 = u32::MAX;
/// As many windows of one group are remembered.
const WINDOWS_MAX: usize = 16;

/// For how long an answer holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) from: Moment,
    /// Up to, and without.
    pub(super) until: Moment,
    pub(super) bucket: u32,
}

/// The same facts, asked about under the same name, at whatever time.
#[derive(Debug)]
pub(super) struct Group {
    hash: u64,
    facts: Box<[u8]>,
    requested: Option<Box<str>>,
    windows: Vec<Window>,
    next: u32,
}

impl Group {
    pub(super) fn new(hash: u64, facts: &[u8], requested: Option<&str>, window: Window) -> Self {
        Self { hash, facts: facts.into(), requested: requested.map(Box::from), windows: vec![window], next: END }
    }

    /// Returns the window that a moment is in.
    pub(super) fn window(&self, at: Moment) -> Option<&Window> {
        self.windows.iter().rev().find(|window| window.from <= at && at < window.until)
    }

    /// Adds a window, joined with those of the same answer that it reaches into.
    pub(super) fn add(&mut self, mut window: Window) {
        self.windows.retain(|known| {
            let joins = known.bucket == window.bucket && known.from <= window.until && window.from <= known.until;
            if joins {
                (window.from, window.until) = (window.from.min(known.from), window.until.max(known.until));
            }
            !joins
        });
        if self.windows.len() >= WINDOWS_MAX {
            self.windows.remove(0);
        }
        self.windows.push(window);
    }

    fn is(&self, hash: u64, facts: &[u8], requested: Option<&str>) -> bool {
        self.hash == hash && *self.facts == *facts && self.requested.as_deref() == requested
    }
}

/// Groups by their bytes. The younger half is what was met last; when it is full, the older is forgotten.
#[derive(Debug)]
pub(super) struct Memory {
    young: Table,
    old: Table,
    half: usize,
    dropped: u64,
}

impl Memory {
    pub(super) fn new(groups: usize) -> Self {
        let half = (groups / 2).max(1);
        Self { young: Table::new(half), old: Table::new(0), half, dropped: 0 }
    }

    /// Returns how many groups were forgotten.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Finds the group with exactly these bytes.
    pub(super) fn find(&mut self, hash: u64, facts: &[u8], requested: Option<&str>) -> Option<&mut Group> {
        if self.young.place(hash, facts, requested).is_none() {
            let group = self.old.take(hash, facts, requested)?;
            self.insert(group);
        }
        let place = self.young.place(hash, facts, requested)?;
        self.young.groups.get_mut(place)
    }

    pub(super) fn insert(&mut self, group: Group) {
        if self.young.groups.len() >= self.half {
            let full = std::mem::replace(&mut self.young, Table::new(self.half));
            let forgotten = std::mem::replace(&mut self.old, full);
            self.dropped += u64::try_from(forgotten.groups.len() - forgotten.taken).unwrap_or(u64::MAX);
        }
        self.young.insert(group);
    }
}

/// A table of groups, chained by their hash.
#[derive(Debug)]
struct Table {
    heads: Vec<u32>,
    groups: Vec<Group>,
    taken: usize,
}

impl Table {
    fn new(groups: usize) -> Self {
        Self { heads: vec![END; groups.next_power_of_two()], groups: Vec::new(), taken: 0 }
    }

    fn place(&self, hash: u64, facts: &[u8], requested: Option<&str>) -> Option<usize> {
        let mut at = self.heads.get(self.slot(hash)).copied()?;
        while let Some(group) = self.groups.get(index(at)) {
            if group.is(hash, facts, requested) {
                return Some(index(at));
            }
            at = group.next;
        }
        None
    }

    /// Takes a group out, leaving an empty one in its place.
    fn take(&mut self, hash: u64, facts: &[u8], requested: Option<&str>) -> Option<Group> {
        let place = self.place(hash, facts, requested)?;
        let left = self.groups.get_mut(place)?;
        let empty = Group { hash: !hash, facts: Box::default(), requested: None, windows: Vec::new(), next: left.next };
        self.taken += 1;
        Some(std::mem::replace(left, empty))
    }

    fn insert(&mut self, mut group: Group) {
        let slot = self.slot(group.hash);
        if let (Ok(place), Some(head)) = (u32::try_from(self.groups.len()), self.heads.get_mut(slot)) {
            group.next = std::mem::replace(head, place);
            self.groups.push(group);
        }
    }

    fn slot(&self, hash: u64) -> usize {
        let last = u64::try_from(self.heads.len()).unwrap_or(1).saturating_sub(1);
        usize::try_from(hash & last).unwrap_or(0)
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// Hashes bytes fast: four lanes of eight bytes. It only finds candidates; that the bytes are equal decides.
pub(super) fn hash(facts: &[u8], requested: Option<&str>) -> u64 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |lane: u64, word: u64| (lane ^ word).wrapping_mul(PRIME).rotate_left(29);
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let mut lanes = [1, 2, 3, 4];
    let chunks = facts.chunks_exact(32);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, eight) in lanes.iter_mut().zip(chunk.chunks_exact(8)) {
            *lane = mix(*lane, eight.try_into().map_or(0, u64::from_le_bytes));
        }
    }
    let tail = rest.chunks(8).chain(requested.unwrap_or_default().as_bytes().chunks(8)).map(word);
    let length = u64::try_from(facts.len()).unwrap_or(0);
    let all = lanes.into_iter().chain(tail).fold(length, mix);
    all ^ all >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: i64, until: i64, bucket: u32) -> Window {
        Window { from: Moment::from_millis(from), until: Moment::from_millis(until), bucket }
    }

    #[test]
    fn windows_of_one_answer_that_touch_become_one() {
        let mut group = Group::new(1, b"facts", None, window(10, 20, 0));
        group.add(window(5, 12, 0));
        group.add(window(20, 30, 1));
        assert_eq!(group.windows.len(), 2);
        let bucket = |at| group.window(Moment::from_millis(at)).map(|window| window.bucket);
        assert_eq!([4, 5, 19, 20, 29, 30].map(bucket), [None, Some(0), Some(0), Some(1), Some(1), None]);
    }

    #[test]
    fn what_was_met_last_is_remembered_and_what_is_forgotten_is_counted() {
        let mut memory = Memory::new(4);
        let name = |at: u8| [at; 40];
        for at in 0..3 {
            memory.insert(Group::new(hash(&name(at), None), &name(at), None, window(0, 1, 0)));
        }
        let has = |memory: &mut Memory, at: u8| memory.find(hash(&name(at), None), &name(at), None).is_some();
        assert!(has(&mut memory, 0));
        memory.insert(Group::new(hash(&name(3), None), &name(3), None, window(0, 1, 0)));
        assert_eq!(memory.dropped(), 1);
        assert!(has(&mut memory, 0) && !has(&mut memory, 1) && has(&mut memory, 3));
    }

    #[test]
    fn bytes_with_the_same_hash_are_told_apart() {
        let mut memory = Memory::new(8);
        memory.insert(Group::new(7, b"one", None, window(0, 1, 0)));
        memory.insert(Group::new(7, b"two", None, window(0, 1, 1)));
        let mut bucket = |facts: &[u8], name| memory.find(7, facts, name).map(|group| group.windows[0].bucket);
        assert_eq!(
            [bucket(b"one", None), bucket(b"two", None), bucket(b"two", Some("alias"))],
            [Some(0), Some(1), None]
        );
    }
}
