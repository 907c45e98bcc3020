//! One process at a time: the beginning of the log, starts, stops, and what recovery may write between them.

use proof::entry::{Entry, Kind, Outcome};

use crate::json;

/// Which process may write now.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    state: State,
    unclean: u64,
    interrupted: u64,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    /// Before the first entry.
    #[default]
    Nothing,
    /// A process has the log open.
    Running,
    /// The last process closed the log in good order, or there was none.
    Stopped,
    /// Recovery closes the calls of a process that ended otherwise.
    Recovering,
}

/// What the private part of a start says of the end before it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct StartNote {
    unclean: bool,
    interrupted: u64,
}

impl Runs {
    /// Returns how many processes opened the log after another had ended without closing it.
    pub(crate) fn unclean(&self) -> u64 {
        self.unclean
    }

    /// Takes the next entry; `open` calls were open before it.
    pub(crate) fn take(&mut self, index: u64, entry: &Entry, private: Option<&[u8]>, open: u64) -> Result<(), String> {
        let before = self.state;
        self.state = self.after(entry);
        if (entry.kind == Kind::Genesis) != (index == 0) {
            return Err("a log begins with its genesis, which comes only there".to_owned());
        }
        match entry.kind {
            Kind::Genesis => Ok(()),
            Kind::Start => self.start(before, private, open),
            _ if interrupts(entry) => {
                self.interrupted += 1;
                Ok(())
            }
            _ if before == State::Running => Ok(()),
            _ if before == State::Recovering => Err("recovery began and no start followed it".to_owned()),
            _ => Err("no process had the log open".to_owned()),
        }
    }

    fn after(&self, entry: &Entry) -> State {
        match (entry.kind, self.state) {
            (Kind::Genesis | Kind::Stop, _) => State::Stopped,
            (Kind::Start, _) => State::Running,
            (_, State::Running) if interrupts(entry) => State::Recovering,
            (_, state) => state,
        }
    }

    fn start(&mut self, before: State, private: Option<&[u8]>, open: u64) -> Result<(), String> {
        let unclean = before != State::Stopped;
        let interrupted = std::mem::take(&mut self.interrupted);
        self.unclean += u64::from(unclean);
        if open > 0 {
            return Err(format!("{open} calls of the process before are still open at this start"));
        }
        let read = |text| json::object(text).and_then(|said| json::of_object::<StartNote>(&said));
        let note = private.map(read).transpose();
        match note.map_err(|e| format!("its private part is not what a start says: {e}"))? {
            Some(note) if note.unclean != unclean => {
                Err(format!("the start says `unclean: {}`, and the entries before it say {unclean}", note.unclean))
            }
            // Fewer is in order: a recovery that was itself cut short closed the others.
            Some(note) if note.interrupted > interrupted => Err(format!(
                "the start says that {} calls were interrupted, and the entries before it say {interrupted}",
                note.interrupted
            )),
            _ => Ok(()),
        }
    }
}

fn interrupts(entry: &Entry) -> bool {
    entry.kind == Kind::Close && entry.outcome == Some(Outcome::Interrupted)
}
