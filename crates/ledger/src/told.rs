//! When those who wait are told that their entry is durable: at once, or only when a mirror holds it too.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use crate::{queue::lock, slot::Slot};

/// Those who wait for a mirror.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Nobody is told before a mirror holds the entry.
    mirrored_only: bool,
    /// So many entries a mirror holds.
    mirrored: u64,
    /// Up to which size everybody was told.
    told: u64,
    /// By the size of the log that they wait for.
    waiting: VecDeque<(u64, Vec<Arc<Slot>>)>,
}

impl Told {
    /// From now on nobody is told of an entry that no mirror holds.
    pub(crate) fn require_mirror(&self) {
        lock(&self.0).mirrored_only = true;
    }

    /// Learns that the log is durable on this machine up to `size`, and that `slots` wait for that. Calls `reached` with the
    /// size up to which everybody is told, before anybody is: whoever was told finds room in the queue.
    pub(crate) fn durable(&self, size: u64, slots: &mut Vec<Arc<Slot>>, reached: impl FnOnce(u64)) {
        let mut state = lock(&self.0);
        if state.mirrored_only && state.mirrored < size {
            state.waiting.push_back((size, std::mem::take(slots)));
            return reached(state.told);
        }
        state.told = size;
        reached(size);
        slots.drain(..).for_each(|slot| slot.durable());
    }

    /// Learns that a mirror holds the first `size` entries; calls `reached` as [`Told::durable`] does.
    pub(crate) fn mirrored(&self, size: u64, reached: impl FnOnce(u64)) {
        let mut state = lock(&self.0);
        state.mirrored = state.mirrored.max(size);
        let mut told = Vec::new();
        while let Some((wanted, _)) = state.waiting.front()
            && *wanted <= state.mirrored
            && let Some((wanted, slots)) = state.waiting.pop_front()
        {
            state.told = wanted;
            told.extend(slots);
        }
        reached(state.told);
        told.iter().for_each(|slot| slot.durable());
    }

    /// Tells all that wait that the log is fenced.
    pub(crate) fn fence(&self) {
        let waiting = std::mem::take(&mut lock(&self.0).waiting);
        waiting.iter().flat_map(|(_, slots)| slots).for_each(|slot| slot.fenced());
    }
}
