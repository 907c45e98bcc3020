//! How the fake upstream behaves in one call.

use std::time::Duration;

/// How to behave in one call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Script {
    /// Pieces of text in the answer.
    pub chunks: usize,
    /// Before each piece.
    pub gap: Duration,
    /// What to do wrong, if anything.
    pub fault: Option<Fault>,
}

/// What to do wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Take the request and say nothing. `hang`
    Hang,
    /// Say half of the answer and no more. `stall`
    Stall,
    /// Reset the connection after half of the answer. `reset`
    Reset,
    /// Send what is not SSE, as SSE. `garbage`
    Garbage,
    /// Report an error inside a response of status 200. `error-inside`
    ErrorInside,
    /// Never come to an end. `endless`
    Endless,
    /// Answer with this status and an error of the dialect; 429 and 503 with `retry-after: 7`. `status-500`
    Status(u16),
    /// Close the connection without an answer. `close`
    Close,
    /// Put one megabyte into one event. `huge`
    Huge,
    /// Send every byte in a piece of its own. `split`
    Split,
    /// End lines of SSE with CR LF. `crlf`
    CrLf,
    /// Compress, whatever was asked for. `gzip`
    Gzip,
    /// Send a second response that nobody asked for right behind the first. `surplus`
    Surplus,
    /// Redirect to the metadata service of a cloud. `redirect`
    Redirect,
    /// Close the connection after half of the head. `half-head`
    HalfHead,
    /// Set a cookie and headers of one connection. `cookie`
    Cookie,
    /// Report this many input tokens and no output, in a whole answer. `usage-5000`
    Usage(u64),
    /// Report no usage, in a whole answer. `no-usage`
    NoUsage,
}

impl Script {
    /// Reads a script from a header or the name of a model: `slow-<chunks>-<milliseconds>`, or the name of a fault
    /// given with each of them. Anything else is an answer of three pieces without a gap.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pace = text.strip_prefix("slow-").and_then(|rest| rest.split_once('-'));
        let pace = pace.and_then(|(chunks, gap)| Some((chunks.parse().ok()?, gap.parse().ok()?)));
        match pace {
            Some((chunks, gap)) => Self { chunks, gap: Duration::from_millis(gap), fault: None },
            None => Self { fault: Fault::parse(text), ..Self::default() },
        }
    }

    /// Reads a script from the name of a model: as [`Script::parse`], or `paced-<milliseconds>` for as many pieces as the
    /// request allows tokens, three if it does not say.
    #[must_use]
    pub fn of_model(name: &str, max_tokens: Option<usize>) -> Self {
        match name.strip_prefix("paced-").and_then(|gap| gap.parse().ok()) {
            Some(gap) => Self::paced(max_tokens.unwrap_or(3), Duration::from_millis(gap)),
            None => Self::parse(name),
        }
    }

    /// Returns an answer of three pieces with a fault.
    #[must_use]
    pub fn fault(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }

    /// Returns an answer of `chunks` pieces, each `gap` after the one before.
    #[must_use]
    pub fn paced(chunks: usize, gap: Duration) -> Self {
        Self { chunks, gap, fault: None }
    }
}

impl Default for Script {
    fn default() -> Self {
        Self { chunks: 3, gap: Duration::ZERO, fault: None }
    }
}

impl Fault {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "hang" => Self::Hang,
            "stall" => Self::Stall,
            "reset" => Self::Reset,
            "garbage" => Self::Garbage,
            "error-inside" => Self::ErrorInside,
            "endless" => Self::Endless,
            "close" => Self::Close,
            "huge" => Self::Huge,
            "split" => Self::Split,
            "crlf" => Self::CrLf,
            "gzip" => Self::Gzip,
            "surplus" => Self::Surplus,
            "redirect" => Self::Redirect,
            "half-head" => Self::HalfHead,
            "cookie" => Self::Cookie,
            "no-usage" => Self::NoUsage,
            other => match other.strip_prefix("usage-") {
                Some(tokens) => Self::Usage(tokens.parse().ok()?),
                None => Self::Status(other.strip_prefix("status-")?.parse().ok()?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_from_a_name() {
        assert_eq!(Script::parse("slow-5-20"), Script::paced(5, Duration::from_millis(20)));
        assert_eq!(Script::parse("status-429"), Script::fault(Fault::Status(429)));
        assert_eq!(Script::parse("usage-5000"), Script::fault(Fault::Usage(5_000)));
        assert_eq!(Script::parse("stall"), Script::fault(Fault::Stall));
        let paced = |name, allowed| Script::of_model(name, allowed).chunks;
        assert_eq!([paced("paced-5", Some(9)), paced("paced-5", None), paced("slow-5-20", Some(9))], [9, 3, 5]);
        for name in ["gpt", "slow-", "slow-a-1", "status-", "status-x", "usage-x"] {
            assert_eq!(Script::parse(name), Script::default(), "{name}");
        }
    }
}
