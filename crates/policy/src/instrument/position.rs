//! Where in a JSON text each member and element stands, so that a fault can name its line.
//!
//! One pass over the tokens, without recursion. It reads text that a parser has taken already; in anything else it
//! finds what it can and never panics.

use std::collections::BTreeSet;

/// The members and elements of one JSON text, each after the one that contains it.
#[derive(Debug)]
pub(crate) struct Positions {
    nodes: Vec<Node>,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
}

/// One value; of a member with its key.
#[derive(Debug)]
struct Node {
    parent: Option<usize>,
    step: Step,
    line: u32,
    /// From here to, and without, `end`, in bytes.
    start: usize,
    end: usize,
}

/// How a value is reached from the one that contains it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Step {
    Whole,
    Member(String),
    Element(usize),
}

impl Positions {
    pub(crate) fn of(json: &[u8]) -> Self {
        Scan::new(json).run()
    }

    /// Returns the line of a path such as `reporting[0].what`, from 1; of what contains it if it is not there itself.
    pub(super) fn line(&self, path: &str) -> Option<u32> {
        let found = steps(path).iter().try_fold(0, |from, step| self.child(from, step).ok_or(from));
        let (Ok(at) | Err(at)) = found;
        self.nodes.get(at).map(|node| node.line)
    }

    /// Returns the path of the smallest value around a place, given as a parser does: line from 1, bytes into it.
    pub(super) fn around(&self, line: usize, column: usize) -> String {
        let begins = line.checked_sub(1).and_then(|at| self.lines.get(at));
        let at = begins.map_or(0, |begins| begins + column);
        let found = self.nodes.iter().rposition(|node| node.start <= at && at <= node.end);
        found.map(|found| self.path(self.before(found, at))).unwrap_or_default()
    }

    /// Of an element that only begins at a place returns the one before: a parser finds an element wrong when it has
    /// taken the comma after it.
    fn before(&self, found: usize, at: usize) -> usize {
        let previous = self.nodes.get(found).filter(|node| node.start == at).and_then(|node| match node.step {
            Step::Element(index) => self.child(node.parent?, &Step::Element(index.checked_sub(1)?)),
            Step::Whole | Step::Member(_) => None,
        });
        previous.unwrap_or(found)
    }

    /// Returns every key that its object has had already, as a path with its line.
    pub(super) fn repeated(&self) -> Vec<(String, u32)> {
        let mut seen = BTreeSet::new();
        let nodes = self.nodes.iter().enumerate();
        let again = nodes.filter(|(_, node)| !seen.insert((node.parent, &node.step)));
        again.map(|(at, node)| (self.path(at), node.line)).collect()
    }

    fn child(&self, of: usize, step: &Step) -> Option<usize> {
        self.nodes.iter().position(|node| node.parent == Some(of) && node.step == *step)
    }

    fn path(&self, at: usize) -> String {
        let mut steps = Vec::new();
        let mut next = self.nodes.get(at);
        while let Some(node) = next {
            steps.push(&node.step);
            next = node.parent.and_then(|parent| self.nodes.get(parent));
        }
        steps.into_iter().rev().fold(String::new(), |path, step| match step {
            Step::Whole => path,
            Step::Element(index) => format!("{path}[{index}]"),
            Step::Member(key) if path.is_empty() => key.clone(),
            Step::Member(key) => format!("{path}.{key}"),
        })
    }
}

/// Takes a path such as `reporting[0].what` apart.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let mut pieces = part.split('[');
        steps.extend(pieces.next().map(|key| Step::Member(key.to_owned())));
        let index = |piece: &str| piece.strip_suffix(']').and_then(|digits| digits.parse().ok());
        steps.extend(pieces.filter_map(index).map(Step::Element));
    }
    steps
}

/// One pass over a text.
struct Scan<'a> {
    json: &'a [u8],
    at: usize,
    open: Vec<Open>,
    found: Positions,
}

/// An object or array whose end has not come.
struct Open {
    node: usize,
    is_object: bool,
    /// How many elements of an array are over.
    index: usize,
    /// The key whose value comes next, its line and where it begins.
    key: Option<(String, u32, usize)>,
}

impl<'a> Scan<'a> {
    fn new(json: &'a [u8]) -> Self {
        let found = Positions { nodes: Vec::new(), lines: vec![0] };
        Self { json, at: 0, open: Vec::new(), found }
    }

    fn run(mut self) -> Positions {
        while let Some(byte) = self.json.get(self.at) {
            match byte {
                b'\n' => {
                    self.found.lines.push(self.at + 1);
                    self.at += 1;
                }
                b' ' | b'\t' | b'\r' | b':' => self.at += 1,
                b',' => self.separate(),
                b'{' | b'[' => self.enter(*byte == b'{'),
                b'}' | b']' => self.leave(),
                b'"' => self.text(),
                _ => self.scalar(),
            }
        }
        self.found
    }

    fn separate(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.index += 1;
        }
        self.at += 1;
    }

    fn enter(&mut self, is_object: bool) {
        let node = self.add(self.at, self.json.len());
        self.open.push(Open { node, is_object, index: 0, key: None });
        self.at += 1;
    }

    fn leave(&mut self) {
        self.at += 1;
        let node = self.open.pop().and_then(|open| self.found.nodes.get_mut(open.node));
        if let Some(node) = node {
            node.end = self.at;
        }
    }

    /// Reads a string: the key of a member, if one is due, or else a value.
    fn text(&mut self) {
        let (start, line) = (self.at, self.line());
        self.at = end_of_text(self.json, start);
        match self.open.last_mut() {
            Some(open) if open.is_object && open.key.is_none() => {
                let quoted = self.json.get(start..self.at).unwrap_or_default();
                open.key = Some((serde_json::from_slice(quoted).unwrap_or_default(), line, start));
            }
            _ => {
                self.add(start, self.at);
            }
        }
    }

    fn scalar(&mut self) {
        let start = self.at;
        let ends = |byte: &u8| b",]}\n\r\t ".contains(byte);
        let rest = self.json.get(start..).unwrap_or_default();
        self.at += rest.iter().position(ends).unwrap_or(rest.len()).max(1);
        self.add(start, self.at);
    }

    /// Adds a value that ends before `end`; one of a member begins with its key.
    fn add(&mut self, start: usize, end: usize) -> usize {
        let (mut start, mut line) = (start, self.line());
        let parent = self.open.last_mut();
        let (parent, step) = match parent {
            None => (None, Step::Whole),
            Some(open) if !open.is_object => (Some(open.node), Step::Element(open.index)),
            Some(open) => {
                let (key, at_line, at) = open.key.take().unwrap_or_default();
                (start, line) = (at, at_line);
                (Some(open.node), Step::Member(key))
            }
        };
        self.found.nodes.push(Node { parent, step, line, start, end });
        self.found.nodes.len() - 1
    }

    fn line(&self) -> u32 {
        u32::try_from(self.found.lines.len()).unwrap_or(u32::MAX)
    }
}

/// Returns where the string that begins at `start` is over.
fn end_of_text(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const TEXT: &str = r#"{
  "type": "directive/v1",
  "reporting": [
    {"what": "a \"quoted\" [thing], {or} two",
     "to": "\u0041gency"},
    {
      "what": "b"
    }
  ],
  "counts": [1, [2,
    3], null], "last": {}
}"#;

    #[test]
    fn every_place_has_the_line_on_which_it_begins() {
        let positions = Positions::of(TEXT.as_bytes());
        let lines = [
            ("type", 2),
            ("reporting", 3),
            ("reporting[0]", 4),
            ("reporting[0].to", 5),
            ("reporting[1]", 6),
            ("reporting[1].what", 7),
            ("counts[1]", 10),
            ("counts[1][1]", 11),
            ("counts[2]", 11),
            ("last", 11),
        ];
        for (path, line) in lines {
            assert_eq!(positions.line(path), Some(line), "{path}");
        }
    }

    #[test]
    fn what_is_not_there_has_the_line_of_what_would_contain_it() {
        let positions = Positions::of(TEXT.as_bytes());
        assert_eq!(positions.line("reporting[1].to"), Some(6));
        assert_eq!(positions.line("reporting[7]"), Some(3));
        assert_eq!(positions.line("nowhere.at.all"), Some(1));
        assert_eq!(Positions::of(b"").line("id"), None);
    }

    #[test]
    fn a_place_that_a_parser_names_is_led_back_to_its_path() {
        let positions = Positions::of(TEXT.as_bytes());
        assert_eq!(positions.around(2, 10), "type");
        assert_eq!(positions.around(7, 17), "reporting[1].what");
        assert_eq!(positions.around(11, 5), "counts[1][1]");
        assert_eq!(positions.around(12, 1), "");
    }

    #[test]
    fn a_key_that_its_object_has_had_already_is_found_also_behind_escapes() {
        let text = "{\"a\": {\"b\": 1,\n\"c\": [{\"b\": 2}],\n\"\\u0062\": 3}, \"b\": 4}";
        assert_eq!(Positions::of(text.as_bytes()).repeated(), [("a.b".to_owned(), 3)]);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z\"\\\\{}\\[\\],: ]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\]{1,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn count(value: &Value) -> usize {
        1 + match value {
            Value::Array(items) => items.iter().map(count).sum(),
            Value::Object(map) => map.values().map(count).sum::<usize>(),
            _ => 0,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_value_is_found_once_and_no_key_twice(value in values()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let positions = Positions::of(text.as_bytes());
                prop_assert_eq!(positions.nodes.len(), count(&value), "{}", text);
                prop_assert!(positions.repeated().is_empty(), "{}", text);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), path in "[a-z.\\[\\]0-9]{0,12}") {
            let positions = Positions::of(&bytes);
            let (_, _) = (positions.line(&path), positions.repeated());
            positions.around(bytes.len(), bytes.len());
        }
    }
}
