//! `calls.csv`: the calls that were asked for, a line each, for people and their spreadsheets.

use std::{
    collections::VecDeque,
    io::{self, Write},
};

use super::time::to_rfc_3339;
use crate::{
    entry::{Entry, Kind, Outcome},
    json::hex,
};

/// The names of the columns.
const COLUMNS: &str = "index,time,call,subject,model,outcome,code,input,output,events,closed";

/// Writes `calls.csv` from the entries that are selected, in the order of the log.
///
/// There is a line for each call that was opened or refused, in order. Lines wait for the end of the calls before
/// them, so that memory is taken for as many calls as began while one did not end. Writer and auditor make the same
/// bytes of the same entries.
///
/// # Source
///
/// RFC 4180, with lines that end in a newline alone.
#[derive(Debug)]
pub struct CallsWriter<W> {
    out: W,
    waiting: VecDeque<Line>,
}

/// A line that cannot be written before those of all calls before it are.
#[derive(Debug)]
struct Line {
    index: u64,
    /// What the opening entry says: up to the model version.
    began: String,
    /// What the end of the call says; absent while it is open.
    ended: Option<String>,
}

impl<W: Write> CallsWriter<W> {
    /// Writes the names of the columns. Give a buffered writer.
    ///
    /// # Errors
    ///
    /// Whatever writing answers.
    pub fn new(mut out: W) -> io::Result<Self> {
        writeln!(out, "{COLUMNS}")?;
        Ok(Self { out, waiting: VecDeque::new() })
    }

    /// Takes the next entry that is selected, at `index`, and writes what lines can be written.
    ///
    /// # Errors
    ///
    /// Whatever writing answers.
    pub fn take(&mut self, index: u64, entry: &Entry) -> io::Result<()> {
        match (entry.kind, entry.opened) {
            (Kind::Open, _) => self.waiting.push_back(Line { index, began: began(index, entry), ended: None }),
            (Kind::Refusal, _) => {
                let ended = Some(join([quoted("refused"), text(&entry.code), none(), none(), none(), none()]));
                self.waiting.push_back(Line { index, began: began(index, entry), ended });
            }
            (Kind::Close, Some(opened)) => {
                let found = self.waiting.binary_search_by_key(&opened, |line| line.index).ok();
                if let Some(line) = found.and_then(|at| self.waiting.get_mut(at)) {
                    line.ended = Some(ended(index, entry));
                }
            }
            _ => return Ok(()),
        }
        self.write(false)
    }

    /// Writes the calls that have not ended, flushes, and returns where it wrote to.
    ///
    /// # Errors
    ///
    /// Whatever writing answers.
    pub fn finish(mut self) -> io::Result<W> {
        self.write(true)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn write(&mut self, open_too: bool) -> io::Result<()> {
        while let Some(line) = self.waiting.pop_front_if(|line| open_too || line.ended.is_some()) {
            let open = || join([quoted("open"), none(), none(), none(), none(), none()]);
            writeln!(self.out, "{},{}", line.began, line.ended.unwrap_or_else(open))?;
        }
        Ok(())
    }
}

fn began(index: u64, entry: &Entry) -> String {
    let id = |id: Option<[u8; 16]>| id.map(|id| hex(&id)).unwrap_or_default();
    join([index.to_string(), to_rfc_3339(entry.at_ms), id(entry.call), id(entry.subject), text(&entry.model)])
}

fn ended(index: u64, close: &Entry) -> String {
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    join([
        close.outcome.map(Outcome::name).unwrap_or_default().to_owned(),
        text(&close.code),
        number(close.usage.and_then(|usage| usage.input_tokens)),
        number(close.usage.and_then(|usage| usage.output_tokens)),
        number(close.usage.map(|usage| usage.delivered_events)),
        index.to_string(),
    ])
}

fn join<const N: usize>(fields: [String; N]) -> String {
    fields.join(",")
}

fn none() -> String {
    String::new()
}

fn text(field: &Option<String>) -> String {
    field.as_deref().map(quoted).unwrap_or_default()
}

/// Puts a field between quotation marks where it must be.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Usage;

    fn entry(kind: Kind, call: u8) -> Entry {
        Entry {
            call: Some([call; 16]),
            subject: Some([0xee; 16]),
            at_ms: 1_782_475_200_123,
            model: Some("mythos-5".to_owned()),
            ..Entry::new(kind)
        }
    }

    fn close(call: u8, opened: u64) -> Entry {
        let usage = Usage { input_tokens: Some(7), output_tokens: None, delivered_events: 8, delivered_bytes: 90 };
        let outcome = Some(Outcome::ClientGone);
        Entry { opened: Some(opened), outcome, usage: Some(usage), ..entry(Kind::Close, call) }
    }

    fn csv(entries: &[(u64, Entry)]) -> String {
        let mut writer = CallsWriter::new(Vec::new()).unwrap();
        entries.iter().try_for_each(|(index, entry)| writer.take(*index, entry)).unwrap();
        String::from_utf8(writer.finish().unwrap()).unwrap()
    }

    /// Written by hand after `docs/log-format.md` section 10.
    #[test]
    fn calls_stand_in_the_order_in_which_they_began_whatever_ended_first() {
        let refusal = Entry { code: Some("no_basis".to_owned()), ..entry(Kind::Refusal, 0xbb) };
        let log = [
            (4, entry(Kind::Open, 0xaa)),
            (5, entry(Kind::Open, 0xdd)),
            (6, refusal),
            (7, entry(Kind::Open, 0xcc)),
            (8, close(0xdd, 5)),
            (9, close(0xaa, 4)),
        ];
        let began = |index: u64, call: &str| {
            format!("{index},2026-06-26T12:00:00.123Z,{},{},mythos-5", call.repeat(16), "ee".repeat(16))
        };
        let lines = [
            COLUMNS.to_owned(),
            format!("{},client_gone,,7,,8,9", began(4, "aa")),
            format!("{},client_gone,,7,,8,8", began(5, "dd")),
            format!("{},refused,no_basis,,,,", began(6, "bb")),
            format!("{},open,,,,,", began(7, "cc")),
        ];
        assert_eq!(csv(&log), lines.join("\n") + "\n");
    }

    #[test]
    fn a_text_breaks_out_of_no_field() {
        for (field, wanted) in
            [("plain", "plain"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("a\nb", "\"a\nb\""), ("", "")]
        {
            assert_eq!(quoted(field), wanted);
        }
    }

    #[test]
    fn calls_that_were_not_asked_for_have_no_line() {
        assert_eq!(csv(&[(3, close(1, 2)), (6, entry(Kind::Lease, 2))]), format!("{COLUMNS}\n"));
    }

    #[test]
    fn lines_are_written_as_soon_as_they_can_be() {
        let mut writer = CallsWriter::new(Vec::new()).unwrap();
        writer.take(1, &entry(Kind::Open, 1)).unwrap();
        writer.take(2, &close(1, 1)).unwrap();
        assert!(writer.waiting.is_empty());
    }
}
