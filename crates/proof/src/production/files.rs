//! The small files of a production in JSON: heads, sums, names.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    entry::Class,
    heads::{Chain, Found, Head, HeadProof, Step},
    json::{Hex, present, some, spelled},
    pseudonym::pseudonym,
    sums::{SumNode, SumProof, Sums},
};

/// The file is not what its name says.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the file is not the JSON that it should be: {0}")]
pub struct BadFile(String);

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadFile> {
    serde_json::from_slice(bytes).map_err(|e| BadFile(e.to_string()))
}

fn write<T: Serialize>(file: &T) -> Vec<u8> {
    // Numbers and strings have a spelling in JSON.
    serde_json::to_vec(file).unwrap_or_default()
}

fn bad(why: &str) -> BadFile {
    BadFile(why.to_owned())
}

/// `heads.json`: the heads between which two chains are complete.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeadsFile {
    /// The chain that is shown.
    pub chain: Span,
    /// What was in force.
    pub in_force: Span,
}

/// A chain between two heads entries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Span {
    /// The chain.
    pub chain: Chain,
    /// Where it stood before; absent: from the beginning of the log.
    pub from: Option<Standing>,
    /// Where it stood after.
    pub to: Standing,
}

/// Where a chain stood at a heads entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// The index of the heads entry.
    pub entry: u64,
    /// What joins the head of the chain to its root.
    pub proof: HeadProof,
}

impl Span {
    /// Returns the index of the last entry that the chain had at its beginning; `None` if it had none.
    #[must_use]
    pub fn starts_after(&self) -> Option<u64> {
        match self.from.as_ref().map(|from| from.proof.found) {
            Some(Found::Head(head)) => Some(head.last),
            _ => None,
        }
    }
}

impl HeadsFile {
    /// Returns true if the entry at `index` says where the chains stood before or after.
    #[must_use]
    pub fn says(&self, index: u64) -> bool {
        self.chain.to.entry == index || self.chain.from.as_ref().is_some_and(|from| from.entry == index)
    }

    /// Reads the file. Both chains must be between the same entries.
    ///
    /// # Errors
    ///
    /// [`BadFile`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadFile> {
        let wire: WireHeads = spelled(bytes).map_err(|e| BadFile(e.to_string()))?;
        let file = Self { chain: wire.chain.read()?, in_force: wire.in_force.read()? };
        let ends = |span: &Span| (span.from.as_ref().map(|from| from.entry), span.to.entry);
        if ends(&file.chain) != ends(&file.in_force) {
            return Err(bad("the two chains are not between the same entries"));
        }
        Ok(file)
    }

    /// Writes the file.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        write(&WireHeads { chain: WireSpan::of(&self.chain), in_force: WireSpan::of(&self.in_force) })
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireHeads {
    chain: WireSpan,
    in_force: WireSpan,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireSpan {
    class: Class,
    id: Hex<16>,
    #[serde(deserialize_with = "present")]
    from: Option<WireStanding>,
    to: WireStanding,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireStanding {
    entry: u64,
    #[serde(deserialize_with = "present")]
    head: Option<WireHead>,
    path: Vec<(u8, Hex<32>)>,
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    other: Option<WireLeaf>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireLeaf {
    class: Class,
    id: Hex<16>,
    head: WireHead,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireHead {
    seq: u64,
    last: u64,
    calls: u64,
    refusals: u64,
    input: u64,
    output: u64,
    events: u64,
}

impl WireSpan {
    fn of(span: &Span) -> Self {
        let Chain { class, id } = span.chain;
        let from = span.from.as_ref().map(WireStanding::of);
        Self { class, id: Hex(id), from, to: WireStanding::of(&span.to) }
    }

    fn read(self) -> Result<Span, BadFile> {
        let from = self.from.map(WireStanding::read).transpose()?;
        Ok(Span { chain: Chain { class: self.class, id: self.id.0 }, from, to: self.to.read()? })
    }
}

impl WireStanding {
    fn of(standing: &Standing) -> Self {
        let HeadProof { found, path } = &standing.proof;
        let (head, other) = match found {
            Found::Head(head) => (Some(WireHead::of(head)), None),
            Found::Other(chain, head) => (None, Some(WireLeaf::of(chain, head))),
            Found::Empty => (None, None),
        };
        let path = path.iter().map(|step| (step.bit, Hex(step.other))).collect();
        Self { entry: standing.entry, head, path, other }
    }

    fn read(self) -> Result<Standing, BadFile> {
        let found = match (self.head, self.other) {
            (Some(head), None) => Found::Head(head.read()),
            (None, Some(leaf)) => Found::Other(Chain { class: leaf.class, id: leaf.id.0 }, leaf.head.read()),
            (None, None) => Found::Empty,
            (Some(_), Some(_)) => return Err(bad("`other` stands beside a head")),
        };
        let path = self.path.into_iter().map(|(bit, Hex(other))| Step { bit, other }).collect();
        Ok(Standing { entry: self.entry, proof: HeadProof { found, path } })
    }
}

impl WireLeaf {
    fn of(chain: &Chain, head: &Head) -> Self {
        Self { class: chain.class, id: Hex(chain.id), head: WireHead::of(head) }
    }
}

impl WireHead {
    fn of(head: &Head) -> Self {
        let Head { seq, last, calls, refusals, input, output, events } = *head;
        Self { seq, last, calls, refusals, input, output, events }
    }

    fn read(self) -> Head {
        let Self { seq, last, calls, refusals, input, output, events } = self;
        Head { seq, last, calls, refusals, input, output, events }
    }
}

/// `sums.json`: the calls that are shown in the sums of their model-hours.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SumsFile(pub Vec<HourSums>);

/// The calls that are shown in the sums of one model-hour.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HourSums {
    /// The index of the reconciliation.
    pub entry: u64,
    /// What joins the completed calls that are shown to the gateway's sums.
    pub completed: SumProof,
    /// What joins the calls that are shown and ended early to the gateway's sums.
    pub early: SumProof,
}

impl SumsFile {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// [`BadFile`]; the reconciliations must rise.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadFile> {
        let wire: Vec<WireHour> = read(bytes)?;
        if !wire.is_sorted_by(|a, b| a.entry < b.entry) {
            return Err(bad("the reconciliations are not in rising order"));
        }
        Ok(Self(wire.into_iter().map(WireHour::read).collect()))
    }

    /// Writes the file.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        write(&self.0.iter().map(WireHour::of).collect::<Vec<_>>())
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireHour {
    entry: u64,
    completed: WireProof,
    early: WireProof,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireProof {
    size: u64,
    positions: Vec<u64>,
    nodes: Vec<(Hex<32>, u64, u64, u64, u64)>,
}

impl WireHour {
    fn of(hour: &HourSums) -> Self {
        let (completed, early) = (WireProof::of(&hour.completed), WireProof::of(&hour.early));
        Self { entry: hour.entry, completed, early }
    }

    fn read(self) -> HourSums {
        HourSums { entry: self.entry, completed: self.completed.read(), early: self.early.read() }
    }
}

impl WireProof {
    fn of(proof: &SumProof) -> Self {
        let node = |node: &SumNode| {
            let Sums { calls, input, output, events } = node.sums;
            (Hex(node.hash), calls, input, output, events)
        };
        let SumProof { size, positions, nodes } = proof;
        Self { size: *size, positions: positions.clone(), nodes: nodes.iter().map(node).collect() }
    }

    fn read(self) -> SumProof {
        let node =
            |(Hex(hash), calls, input, output, events)| SumNode { hash, sums: Sums { calls, input, output, events } };
        let nodes = self.nodes.into_iter().map(node).collect();
        SumProof { size: self.size, positions: self.positions, nodes }
    }
}

/// `names.json`: openings of pseudonyms.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NamesFile(pub Vec<Name>);

/// A name with what opens its pseudonym.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Name {
    /// What the chain of that name is about.
    pub class: Class,
    /// The name, such as `organization:acme`.
    pub name: String,
    /// What opens its pseudonym.
    pub opening: [u8; 16],
}

impl Name {
    /// Returns the chain of that name.
    #[must_use]
    pub fn chain(&self) -> Chain {
        Chain { class: self.class, id: pseudonym(&self.opening, &self.name) }
    }
}

impl NamesFile {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// [`BadFile`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadFile> {
        let wire: Vec<WireName> = spelled(bytes).map_err(|e| BadFile(e.to_string()))?;
        Ok(Self(wire.into_iter().map(WireName::read).collect()))
    }

    /// Writes the file.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        write(&self.0.iter().map(WireName::of).collect::<Vec<_>>())
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireName {
    class: Class,
    name: String,
    opening: Hex<16>,
}

impl WireName {
    fn of(name: &Name) -> Self {
        Self { class: name.class, name: name.name.clone(), opening: Hex(name.opening) }
    }

    fn read(self) -> Name {
        Name { class: self.class, name: self.name, opening: self.opening.0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};
    use serde_json::{Value, json};

    use super::*;

    prop_compose! {
        fn any_head()([seq, last, calls, refusals, input, output, events]: [u64; 7]) -> Head {
            Head { seq, last, calls, refusals, input, output, events }
        }
    }

    prop_compose! {
        fn any_chain()(class in prop::sample::select(&[Class::Subject, Class::Model, Class::InForce]), id: [u8; 16]) -> Chain {
            Chain { class, id }
        }
    }

    fn any_found() -> impl Strategy<Value = Found> {
        prop_oneof![
            any_head().prop_map(Found::Head),
            (any_chain(), any_head()).prop_map(|(chain, head)| Found::Other(chain, head)),
            Just(Found::Empty),
        ]
    }

    prop_compose! {
        fn any_standing()(entry: u64, found in any_found(), path in vec(any::<(u8, [u8; 32])>(), 0..4)) -> Standing {
            let path = path.into_iter().map(|(bit, other)| Step { bit, other }).collect();
            Standing { entry, proof: HeadProof { found, path } }
        }
    }

    prop_compose! {
        fn any_span()(chain in any_chain(), from in option::of(any_standing()), to in any_standing()) -> Span {
            Span { chain, from, to }
        }
    }

    fn standing() -> Value {
        let head = json!({ "seq": 1, "last": 2, "calls": 3, "refusals": 4, "input": 5, "output": 6, "events": 7 });
        json!({ "entry": 9, "head": head, "path": [[130, "ab".repeat(32)]] })
    }

    #[test]
    fn heads_have_the_members_that_the_format_says() {
        let span = json!({ "class": "organization", "id": "0f".repeat(16), "from": null, "to": standing() });
        let file = json!({ "chain": span, "in_force": span });
        let read = HeadsFile::parse(file.to_string().as_bytes()).unwrap();
        let head = Head { seq: 1, last: 2, calls: 3, refusals: 4, input: 5, output: 6, events: 7 };
        let path = vec![Step { bit: 130, other: [0xab; 32] }];
        let to = Standing { entry: 9, proof: HeadProof { found: Found::Head(head), path } };
        let chain = Chain { class: Class::Organization, id: [0x0f; 16] };
        assert_eq!(read.chain, Span { chain, from: None, to });
        assert_eq!(serde_json::from_slice::<Value>(&read.to_json()).unwrap(), file);
    }

    #[test]
    fn heads_that_say_two_things_or_name_no_class_are_refused() {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut span = json!({ "class": "organization", "id": "0f".repeat(16), "from": null, "to": standing() });
            change(&mut span);
            HeadsFile::parse(json!({ "chain": span, "in_force": span }).to_string().as_bytes())
        };
        let span = |from: Option<u64>| {
            let from = from.map(|entry| json!({ "entry": entry, "head": null, "path": [] }));
            json!({ "class": "key", "id": "0f".repeat(16), "from": from, "to": standing() })
        };
        let leaf = json!({ "class": "subject", "id": "00".repeat(16), "head": standing()["head"] });
        assert!(with(&|_| ()).is_ok());
        assert!(with(&|span| span["to"]["other"] = leaf.clone()).is_err());
        assert!(with(&|span| span["class"] = json!("everything")).is_err());
        assert!(with(&|span| span["class"] = json!(3)).is_err());
        assert!(with(&|span| span["to"]["path"] = json!([[256, "ab".repeat(32)]])).is_err());
        assert!(with(&|span| span["to"]["path"] = json!([[1, "ab".repeat(32), 0]])).is_err());
        assert!(with(&|span| span["to"]["head"] = json!([1, 2, 3, 4, 5, 6, 7])).is_err());
        assert!(with(&|span| span["to"]["more"] = json!(1)).is_err());
        let file = json!({ "chain": span(None), "in_force": span(Some(7)) });
        assert!(HeadsFile::parse(file.to_string().as_bytes()).is_err());
        for member in ["class", "id", "from", "to"] {
            assert!(with(&|span| drop(span.as_object_mut().unwrap().remove(member))).is_err(), "{member}");
        }
        for member in ["entry", "head", "path"] {
            assert!(with(&|span| drop(span["to"].as_object_mut().unwrap().remove(member))).is_err(), "{member}");
        }
        assert!(with(&|span| span["to"]["other"] = Value::Null).is_err());
    }

    #[test]
    fn sums_have_the_members_that_the_format_says_and_rise() {
        let proof = |size: u64| json!({ "size": size, "positions": [1], "nodes": [["cd".repeat(32), 1, 2, 3, 4]] });
        let hour = |entry: u64| json!({ "entry": entry, "completed": proof(5), "early": proof(6) });
        let read = |value: Value| SumsFile::parse(value.to_string().as_bytes());
        let sums = Sums { calls: 1, input: 2, output: 3, events: 4 };
        let nodes = vec![SumNode { hash: [0xcd; 32], sums }];
        let completed = SumProof { size: 5, positions: vec![1], nodes };
        let early = SumProof { size: 6, ..completed.clone() };
        assert_eq!(read(json!([hour(7)])), Ok(SumsFile(vec![HourSums { entry: 7, completed, early }])));
        assert!(read(json!([hour(7), hour(8)])).is_ok());
        assert!(read(json!([hour(7), hour(7)])).is_err());
    }

    #[test]
    fn a_name_opens_its_chain() {
        let text =
            format!(r#"[{{"class":"organization","name":"organization:acme","opening":"{}"}}]"#, "07".repeat(16));
        let NamesFile(names) = NamesFile::parse(text.as_bytes()).unwrap();
        let id = pseudonym(&[7; 16], "organization:acme");
        assert_eq!(names[0].chain(), Chain { class: Class::Organization, id });
        assert_eq!(NamesFile(names).to_json(), text.as_bytes());
        assert!(NamesFile::parse(text.replace("organization\",", "orgs\",").as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn heads_read_back(chain in any_span(), mut in_force in any_span()) {
            in_force.to.entry = chain.to.entry;
            in_force.from = chain.from.clone();
            let file = HeadsFile { chain, in_force };
            prop_assert_eq!(HeadsFile::parse(&file.to_json()), Ok(file));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(file) = HeadsFile::parse(&bytes) {
                prop_assert_eq!(HeadsFile::parse(&file.to_json()), Ok(file));
            }
            if let Ok(file) = SumsFile::parse(&bytes) {
                prop_assert_eq!(SumsFile::parse(&file.to_json()), Ok(file));
            }
            if let Ok(file) = NamesFile::parse(&bytes) {
                prop_assert_eq!(NamesFile::parse(&file.to_json()), Ok(file));
            }
        }
    }
}
