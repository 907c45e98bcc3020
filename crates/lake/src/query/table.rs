//! Answers as tables.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Question, Sums, calls::moment};
use proof::hex;

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<&'static str>,
    /// The rows, each with a cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// How many more rows there would be.
    pub left_out: usize,
}

/// One value.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Cell {
    /// Nothing is known.
    Nothing,
    /// A number.
    Number(u64),
    /// Text, plain or a moment.
    Text(String),
    /// A pseudonym or the id of a call, in hexadecimal digits.
    Id([u8; 16]),
}

impl Cell {
    pub(super) fn id(id: Option<[u8; 16]>) -> Self {
        id.map_or(Self::Nothing, Self::Id)
    }

    pub(super) fn text(text: Option<&str>) -> Self {
        text.map_or(Self::Nothing, |text| Self::Text(text.to_owned()))
    }

    /// Returns the cell as JSON; an id under its name, if `name` knows it.
    fn to_json(&self, name: &dyn Fn(&[u8; 16]) -> Option<String>) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Number(number) => Value::from(*number),
            Self::Text(text) => Value::from(text.as_str()),
            Self::Id(id) => Value::from(name(id).unwrap_or_else(|| hex(id))),
        }
    }
}

impl Table {
    /// Returns the rows as a list of objects; ids under their names, where `name` knows them.
    #[must_use]
    pub fn to_json(&self, name: &dyn Fn(&[u8; 16]) -> Option<String>) -> Value {
        let row = |cells: &Vec<Cell>| {
            let fields = self.columns.iter().zip(cells);
            Value::Object(
                fields.map(|(column, cell)| ((*column).to_owned(), cell.to_json(name))).collect::<Map<_, _>>(),
            )
        };
        Value::Array(self.rows.iter().map(row).collect())
    }

    /// Returns the rows as CSV with a line of column names; ids as in [`Table::to_json`].
    ///
    /// # Source
    ///
    /// RFC 4180.
    #[must_use]
    pub fn to_csv(&self, name: &dyn Fn(&[u8; 16]) -> Option<String>) -> String {
        let mut text = format!("{}\r\n", self.columns.join(","));
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|cell| quoted(&cell.to_json(name))).collect();
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
        text
    }
}

fn quoted(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.contains(['"', ',', '\r', '\n']) => format!("\"{}\"", text.replace('"', "\"\"")),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Makes the table of grouped sums; who has most calls or tokens comes first, but days come in order.
pub(super) fn of(question: Question, groups: BTreeMap<Vec<Cell>, Sums>, limit: usize) -> Table {
    let mut groups: Vec<_> = groups.into_iter().collect();
    match question {
        Question::Calls => {}
        Question::Tokens => groups.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.input.saturating_add(sums.output))),
        _ => groups.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.calls)),
    }
    let left_out = groups.len().saturating_sub(limit);
    let row = |(mut key, sums): (Vec<Cell>, Sums)| {
        key.extend(values(question, &sums));
        key
    };
    Table { columns: columns(question), rows: groups.into_iter().take(limit).map(row).collect(), left_out }
}

fn columns(question: Question) -> Vec<&'static str> {
    match question {
        Question::Calls => {
            vec!["day", "organization", "model", "calls", "completed", "cut", "other", "input_tokens", "output_tokens"]
        }
        Question::Refusals => vec!["code", "model", "refusals", "last"],
        Question::Who => vec!["subject", "model", "calls", "input_tokens", "output_tokens", "last"],
        Question::Tokens | Question::Longest => {
            vec!["organization", "model", "calls", "input_tokens", "output_tokens"]
        }
    }
}

fn values(question: Question, sums: &Sums) -> Vec<Cell> {
    let last = Cell::Text(moment(sums.last_ms));
    let tokens = [Cell::Number(sums.input), Cell::Number(sums.output)];
    let counts = |numbers: &[u64]| numbers.iter().copied().map(Cell::Number).collect::<Vec<_>>();
    match question {
        Question::Calls => [counts(&[sums.calls, sums.completed, sums.cut, sums.other]), tokens.to_vec()].concat(),
        Question::Refusals => vec![Cell::Number(sums.calls), last],
        Question::Who => [counts(&[sums.calls]), tokens.to_vec(), vec![last]].concat(),
        Question::Tokens | Question::Longest => [counts(&[sums.calls]), tokens.to_vec()].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_with_a_comma_or_a_quote_is_quoted() {
        let table = Table {
            columns: vec!["a", "b", "c"],
            rows: vec![vec![Cell::Text("x, \"y\"".to_owned()), Cell::Number(3), Cell::Id([7; 16])]],
            left_out: 0,
        };
        let name = |id: &[u8; 16]| (id == &[7; 16]).then(|| "ada".to_owned());
        assert_eq!(table.to_csv(&name), "a,b,c\r\n\"x, \"\"y\"\"\",3,ada\r\n");
    }
}
