//! Which worker serves a connection, and how many there may be.

use std::{
    net::TcpStream as StdStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::mpsc;

/// How many more connections than another a worker carries before it hands new ones over. Below this, a hand-over
/// (a system call less two wake-ups) costs more than the imbalance.
const SLACK: usize = 2;

/// Connections taken over by a worker from another.
pub(super) type Inbox = mpsc::UnboundedReceiver<(StdStream, Place)>;

/// How many connections each worker carries. Shared by all workers.
#[derive(Debug)]
pub(super) struct Balance {
    limit: usize,
    total: AtomicUsize,
    workers: Vec<Load>,
}

#[derive(Debug)]
struct Load {
    connections: AtomicUsize,
    /// Never holds more than `limit` connections: each has a [`Place`].
    inbox: mpsc::UnboundedSender<(StdStream, Place)>,
}

/// A connection's place at one worker; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    balance: Arc<Balance>,
    worker: usize,
}

impl Balance {
    /// Starts with no connections; returns an inbox for each of `workers`.
    pub(super) fn new(workers: usize, limit: usize) -> (Arc<Self>, Vec<Inbox>) {
        let (loads, inboxes) = (0..workers)
            .map(|_| {
                let (inbox, taken_from) = mpsc::unbounded_channel();
                (Load { connections: AtomicUsize::new(0), inbox }, taken_from)
            })
            .unzip();
        (Arc::new(Self { limit, total: AtomicUsize::new(0), workers: loads }), inboxes)
    }

    /// Takes a place for a connection that worker `here` accepted: there, unless another carries clearly less.
    ///
    /// Returns `None` if there are as many connections as there may be.
    pub(super) fn choose(self: &Arc<Self>, here: usize) -> Option<Place> {
        if self.total.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let worker = self.lighter_than(here).unwrap_or(here);
        if let Some(load) = self.workers.get(worker) {
            load.connections.fetch_add(1, Ordering::Relaxed);
        }
        Some(Place { balance: Arc::clone(self), worker })
    }

    /// Hands an accepted connection to the worker that `place` is at. If that has ended, the connection is closed.
    pub(super) fn hand_over(&self, stream: StdStream, place: Place) {
        if let Some(load) = self.workers.get(place.worker) {
            let _ = load.inbox.send((stream, place));
        }
    }

    fn lighter_than(&self, here: usize) -> Option<usize> {
        let mine = self.carried(here);
        let (least, worker) = (0..self.workers.len()).map(|worker| (self.carried(worker), worker)).min()?;
        (mine >= least + least / 2 + SLACK).then_some(worker)
    }

    fn carried(&self, worker: usize) -> usize {
        self.workers.get(worker).map_or(0, |load| load.connections.load(Ordering::Relaxed))
    }
}

impl Place {
    /// Returns the worker that serves the connection.
    pub(super) fn worker(&self) -> usize {
        self.worker
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(load) = self.balance.workers.get(self.worker) {
            load.connections.fetch_sub(1, Ordering::Relaxed);
        }
        self.balance.total.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_accepts_everything_still_carries_no_more_than_half_again_as_much() {
        let (balance, _inboxes) = Balance::new(4, 1_000);
        let places: Vec<Place> = (0..400).map(|_| balance.choose(0).unwrap()).collect();
        let carried: Vec<usize> = (0..4).map(|worker| balance.carried(worker)).collect();
        assert_eq!(carried.iter().sum::<usize>(), 400);
        let least = *carried.iter().min().unwrap();
        assert!(carried.iter().all(|n| *n <= least + least / 2 + SLACK), "{carried:?}");
        drop(places);
        assert!((0..4).all(|worker| balance.carried(worker) == 0));
    }

    #[test]
    fn even_load_is_left_where_it_was_accepted() {
        let (balance, _inboxes) = Balance::new(2, 1_000);
        let places: Vec<Place> = (0..100).map(|n| balance.choose(n % 2).unwrap()).collect();
        assert!(places.iter().enumerate().all(|(n, place)| place.worker() == n % 2));
    }

    #[test]
    fn there_are_no_more_connections_than_there_may_be() {
        let (balance, _inboxes) = Balance::new(2, 2);
        let (first, _second) = (balance.choose(0).unwrap(), balance.choose(1).unwrap());
        assert!(balance.choose(0).is_none());
        drop(first);
        assert!(balance.choose(0).is_some());
    }
}
