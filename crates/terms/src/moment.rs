//! Time as data, and the one place that reads it.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant, UNIX_EPOCH},
};

use crate::{leap::Leap, plain, text::spelled};

/// A moment, in milliseconds since the Unix epoch, UTC; written as RFC 3339.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(into = "String")]
pub struct Moment(i64);

/// The text is not a moment.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a time: write RFC 3339, such as `2026-06-12T21:21:00Z`")]
pub struct BadMoment(pub String);

impl Moment {
    /// Later than anything: 9999-12-30T22:00:00Z.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// Makes a moment of milliseconds since the Unix epoch, clamped to the years RFC 3339 can write.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, Self::MAX.0))
    }

    /// Returns milliseconds since the Unix epoch.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Parses RFC 3339 with an offset; finer than a millisecond is cut off.
    ///
    /// # Errors
    ///
    /// [`BadMoment`] if the text is not RFC 3339 or lies before 1970.
    pub fn parse(text: &str) -> Result<Self, BadMoment> {
        let bad = || BadMoment(text.chars().take(40).collect());
        let millis = match plain::millis(text) {
            Some(millis) => millis,
            None => text.parse::<jiff::Timestamp>().map_err(|_| bad())?.as_millisecond(),
        };
        if (0..=Self::MAX.0).contains(&millis) { Ok(Self(millis)) } else { Err(bad()) }
    }

    /// Returns the moment `by` later, at most [`Moment::MAX`].
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(by))
    }

    /// Returns how long after `earlier` this is; zero if it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(stamp) => write!(f, "{stamp}"),
            Err(_) => f.write_str("9999-12-30T22:00:00Z"),
        }
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

spelled!(Moment);

impl FromStr for Moment {
    type Err = BadMoment;
    fn from_str(text: &str) -> Result<Self, BadMoment> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Moment {
    type Error = BadMoment;
    fn try_from(text: String) -> Result<Self, BadMoment> {
        Self::parse(&text)
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

/// Tells the time. Whatever needs the time takes one of these, so that tests advance it by hand.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns the time now; never earlier than any earlier answer of the same clock.
    fn now(&self) -> Moment;

    /// Returns how far the underlying clock now lies behind an answer already given.
    ///
    /// More than a few seconds means that it stepped back: times of expiry can no longer be trusted.
    fn behind(&self) -> Duration {
        Duration::ZERO
    }
}

/// The operating system's clock, held so that it never runs backwards.
///
/// A clock that leaps ahead of what elapsed by more than five seconds is believed when it has stayed there for ten; until
/// then the time is what elapsed.
#[derive(Debug)]
pub struct SystemClock {
    began: Instant,
    leap: Leap,
    latest: AtomicI64,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { began: Instant::now(), leap: Leap::new(Self::read()), latest: AtomicI64::new(0) }
    }
}

impl SystemClock {
    fn read() -> i64 {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn held(&self) -> i64 {
        let count = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.leap.held(Self::read(), count)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let now = self.held();
        Moment::from_millis(self.latest.fetch_max(now, Ordering::Relaxed).max(now))
    }

    fn behind(&self) -> Duration {
        let latest = Moment::from_millis(self.latest.load(Ordering::Relaxed));
        latest.since(Moment::from_millis(self.held()))
    }
}

/// A clock that moves only when told to, for tests and for replay.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    latest: AtomicI64,
}

impl ManualClock {
    /// Starts at `now`.
    #[must_use]
    pub fn at(now: Moment) -> Self {
        Self { now: AtomicI64::new(now.0), latest: AtomicI64::new(now.0) }
    }

    /// Sets the time, forwards or back.
    pub fn set(&self, now: Moment) {
        self.now.store(now.0, Ordering::SeqCst);
        self.latest.fetch_max(now.0, Ordering::SeqCst);
    }

    /// Moves the time forwards.
    pub fn advance(&self, by: Duration) {
        self.set(Moment(self.now.load(Ordering::SeqCst)).plus(by));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment(self.latest.load(Ordering::SeqCst))
    }

    fn behind(&self) -> Duration {
        self.now().since(Moment(self.now.load(Ordering::SeqCst)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_and_read_back_as_rfc_3339() {
        let moment = Moment::parse("2026-06-12T17:21:00.250-04:00").unwrap();
        assert_eq!(moment.to_string(), "2026-06-12T21:21:00.25Z");
        assert_eq!(Moment::parse(&moment.to_string()).unwrap(), moment);
        for text in ["2026-06-12", "2026-06-12T17:21:00", "1969-01-01T00:00:00Z", "soon"] {
            assert!(Moment::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_clock_that_steps_back_says_so_and_repeats_its_latest_time() {
        let start = Moment::parse("2026-06-12T21:21:00Z").unwrap();
        let clock = ManualClock::at(start);
        clock.set(Moment::from_millis(start.as_millis() - 60_000));
        assert_eq!(clock.now(), start);
        assert_eq!(clock.behind(), Duration::from_secs(60));
    }
}
