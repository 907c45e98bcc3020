//! Requests that come when they come: so many a second, whether or not those before have been answered.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    run::{self, Run},
};

/// From one request to the next: a thousand a second.
const EVERY: Duration = Duration::from_millis(1);
/// So many can be under way at once; a request that finds none free waits, and that counts.
const CALLERS: u32 = 16;
/// Sleeping ends late by up to this, so the rest is spent awake.
const AWAKE: Duration = Duration::from_micros(150);

/// Makes requests on schedule, each on the first of [`CALLERS`] threads whose turn it is; latencies are counted from when a
/// request was to begin, so that a stall counts for all that came while it lasted.
pub(crate) fn run(
    name: &str,
    time: Duration,
    request: impl Fn(u32) -> Result<(), Failure> + Sync,
) -> Result<Run, Failure> {
    let begin = Instant::now() + EVERY;
    let turns =
        |first| (first..).step_by(CALLERS as usize).map(|turn| (turn, EVERY * turn)).take_while(|(_, at)| *at < time);
    let caller = |first| {
        let answered = turns(first).map(|(turn, at)| {
            wait_until(begin + at);
            request(turn).map(|()| (begin + at).elapsed()).map_err(|error| error.to_string())
        });
        answered.collect::<Result<Vec<_>, _>>()
    };
    let latencies = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|first| scope.spawn(move || caller(first))).collect();
        callers
            .into_iter()
            .map(|caller| caller.join().map_err(|_| "a caller panicked".to_owned())?)
            .collect::<Result<Vec<_>, _>>()
    })?;
    Ok(run::of_latencies(name, latencies.concat(), None, begin.elapsed()))
}

fn wait_until(at: Instant) {
    thread::sleep(at.saturating_duration_since(Instant::now()).saturating_sub(AWAKE));
    while Instant::now() < at {
        std::hint::spin_loop();
    }
}
