//! The command line, by hand: a few commands do not need a library that an auditor would have to trust.

use std::{collections::BTreeMap, ffi::OsString};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Checks the record of an Exeat gateway offline.

  exeat-verify bundle DIR [--key KEY] [--meter KEY]..
               [--allow-differences ENTRY].. [--allow-withheld] [--json]
  exeat-verify production DIR --key KEY [--policy FILE] [--approver NAME=KEY]..
               [--meter KEY].. [--allow-differences ENTRY].. [--allow-withheld]
               [--json]
  exeat-verify leaves DIR --key KEY [--json]
  exeat-verify receipt FILE [--leaf FILE] [--key KEY] [--json]
  exeat-verify consistent ONE OTHER --key KEY [--out FILE]
  exeat-verify equivocation FILE --key KEY
  exeat-verify shard FILE --key KEY --shard KEY

bundle        checks every entry of an exported log and makes every decision again
production    checks that a part of a log is complete, as of a heads entry of the
              log, and makes its decisions again
leaves        walks all entries in the tiles of a log or of its mirror, without any
              private part: every chain is whole and every heads entry is true
receipt       checks that one entry is in the log; FILE is a receipt as the gateway
              hands it out (JSON), or a tlog-proof text with its entry in --leaf
consistent    compares what two people were shown of one log; each is a signed
              checkpoint, or a folder that has one and the log's tiles or entries;
              if they contradict each other, the proof is written to --out
equivocation  checks such a proof
shard         checks that a head log, whose key is --key, covers a checkpoint of
              another log, whose key is --shard

--key KEY             the log's key, or a file that holds it, from another source
                      than what is checked; without it the answer says so
--policy FILE         whose cosignatures the checkpoint must have (C2SP tlog-policy)
--approver NAME=KEY   who may have approved a production, and their Ed25519 key in
                      base64url; may be given more than once
--meter KEY           the key of a meter, or a file that holds it; may be given
                      more than once; without it those in the record are taken
--allow-differences ENTRY
                      accepts that gateway and meter do not agree in the
                      reconciliation at this index, or `all`; may be given more
                      than once; they are counted all the same
--allow-withheld      accepts that private parts are withheld
--json                prints the answer as JSON

Exit status: 0 if all holds, 1 if not, 2 if it could not be checked.
";

/// What to do.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Command {
    Help,
    Bundle { dir: OsString, key: Option<String>, record: Record },
    Production { dir: OsString, key: String, policy: Option<OsString>, approvers: Vec<String>, record: Record },
    Leaves { dir: OsString, key: String, json: bool },
    Receipt { file: OsString, leaf: Option<OsString>, key: Option<String>, json: bool },
    Consistent { one: OsString, other: OsString, key: String, out: Option<OsString> },
    Equivocation { file: OsString, key: String },
    Shard { file: OsString, key: String, shard: String },
}

/// What bundles and productions have in common.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Record {
    pub(crate) meters: Vec<String>,
    pub(crate) allow_differences: Vec<String>,
    pub(crate) allow_withheld: bool,
    pub(crate) json: bool,
}

/// The command line is not one.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Usage {
    #[error("`{0}` is not known: see exeat-verify --help")]
    Unknown(String),
    #[error("`{0}` is given twice: see exeat-verify --help")]
    Twice(&'static str),
    #[error("`{0}` needs a value: see exeat-verify --help")]
    NoValue(String),
    #[error("say what to check: see exeat-verify --help")]
    Nothing,
    #[error("a key from another source is needed: pass the log's with --key, and that of a shard with --shard")]
    NoKey,
}

/// A command, how many files it takes, and its options.
type Form = (&'static str, usize, &'static [&'static str]);

const FORMS: [Form; 7] = [
    ("bundle", 1, &["--key", "--meter", ALLOW_DIFFERENCES, ALLOW_WITHHELD, JSON]),
    ("production", 1, &["--key", "--policy", "--approver", "--meter", ALLOW_DIFFERENCES, ALLOW_WITHHELD, JSON]),
    ("leaves", 1, &["--key", JSON]),
    ("receipt", 1, &["--key", "--leaf", JSON]),
    ("consistent", 2, &["--key", "--out"]),
    ("equivocation", 1, &["--key"]),
    ("shard", 1, &["--key", "--shard"]),
];
const VALUES: [&str; 8] =
    ["--key", "--leaf", "--policy", "--out", "--shard", "--approver", "--meter", ALLOW_DIFFERENCES];
const FLAGS: [&str; 2] = [ALLOW_WITHHELD, JSON];
const ALLOW_DIFFERENCES: &str = "--allow-differences";
const ALLOW_WITHHELD: &str = "--allow-withheld";
const JSON: &str = "--json";

/// Reads the arguments after the program's name.
pub(crate) fn parse(args: Vec<OsString>) -> Result<Command, Usage> {
    let mut given = Given::gather(args)?;
    if given.help {
        return Ok(Command::Help);
    }
    let (command, one, other) = given.words()?;
    let pinned = |key: Option<String>| key.ok_or(Usage::NoKey);
    Ok(match command {
        "bundle" => Command::Bundle { dir: one, key: given.text("--key")?, record: given.record()? },
        "production" => Command::Production {
            dir: one,
            key: pinned(given.text("--key")?)?,
            policy: given.one("--policy")?,
            approvers: given.texts("--approver")?,
            record: given.record()?,
        },
        "leaves" => Command::Leaves { dir: one, key: pinned(given.text("--key")?)?, json: given.flag(JSON) },
        "receipt" => Command::Receipt {
            file: one,
            leaf: given.one("--leaf")?,
            key: given.text("--key")?,
            json: given.flag(JSON),
        },
        "consistent" => {
            let (key, out) = (pinned(given.text("--key")?)?, given.one("--out")?);
            Command::Consistent { one, other: other.ok_or(Usage::Nothing)?, key, out }
        }
        "equivocation" => Command::Equivocation { file: one, key: pinned(given.text("--key")?)? },
        _ => {
            let (key, shard) = (pinned(given.text("--key")?)?, pinned(given.text("--shard")?)?);
            Command::Shard { file: one, key, shard }
        }
    })
}

/// What was given, before it is known whether it fits the command.
#[derive(Default)]
struct Given {
    words: Vec<OsString>,
    values: BTreeMap<&'static str, Vec<OsString>>,
    help: bool,
}

impl Given {
    fn gather(args: Vec<OsString>) -> Result<Self, Usage> {
        let mut given = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let text = arg.to_str().unwrap_or_default();
            let is_this = |name: &&&str| **name == text;
            if let Some(name) = VALUES.iter().find(is_this) {
                let value = args.next().ok_or_else(|| Usage::NoValue(text.to_owned()))?;
                given.values.entry(name).or_default().push(value);
            } else if let Some(name) = FLAGS.iter().find(is_this) {
                given.values.entry(name).or_default();
            } else if matches!(text, "--help" | "-h" | "help") {
                given.help = true;
            } else if text.starts_with('-') {
                return Err(unknown(arg));
            } else {
                given.words.push(arg);
            }
        }
        Ok(given)
    }

    /// Returns the command with its one or two files, and requires that it takes all options that are there.
    fn words(&mut self) -> Result<(&'static str, OsString, Option<OsString>), Usage> {
        let mut words = std::mem::take(&mut self.words).into_iter();
        let command = words.next().ok_or(Usage::Nothing)?;
        let form = FORMS.iter().find(|(name, ..)| command == *name);
        let (name, files, options) = form.ok_or_else(|| unknown(command))?;
        if let Some(other) = self.values.keys().find(|given| !options.contains(given)) {
            return Err(Usage::Unknown((*other).to_owned()));
        }
        let one = words.next().ok_or(Usage::Nothing)?;
        let other = if *files > 1 { Some(words.next().ok_or(Usage::Nothing)?) } else { None };
        words.next().map_or(Ok((*name, one, other)), |more| Err(unknown(more)))
    }

    fn flag(&self, name: &'static str) -> bool {
        self.values.contains_key(name)
    }

    fn one(&mut self, name: &'static str) -> Result<Option<OsString>, Usage> {
        let mut all = self.values.remove(name).unwrap_or_default().into_iter();
        let one = all.next();
        all.next().map_or(Ok(one), |_| Err(Usage::Twice(name)))
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, Usage> {
        self.one(name)?.map(|value| value.into_string().map_err(unknown)).transpose()
    }

    fn texts(&mut self, name: &'static str) -> Result<Vec<String>, Usage> {
        let all = self.values.remove(name).unwrap_or_default().into_iter();
        all.map(|value| value.into_string().map_err(unknown)).collect()
    }

    fn record(&mut self) -> Result<Record, Usage> {
        let [allow_withheld, json] = [ALLOW_WITHHELD, JSON].map(|name| self.flag(name));
        let (meters, allow_differences) = (self.texts("--meter")?, self.texts(ALLOW_DIFFERENCES)?);
        Ok(Record { meters, allow_differences, allow_withheld, json })
    }
}

fn unknown(arg: OsString) -> Usage {
    Usage::Unknown(arg.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, Usage> {
        super::parse(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn options_may_stand_anywhere() {
        let record = Record { allow_withheld: true, json: true, ..Record::default() };
        let wanted = Command::Bundle { dir: "record".into(), key: Some("log+1+k".to_owned()), record };
        assert_eq!(parse("bundle record --key log+1+k --json --allow-withheld"), Ok(wanted));
        let wanted = Command::Receipt { file: "r".into(), leaf: Some("l".into()), key: None, json: false };
        assert_eq!(parse("--leaf l receipt r"), Ok(wanted));
        assert_eq!(parse("bundle --help"), Ok(Command::Help));
        let (key, policy) = ("log+1+k".to_owned(), Some("p".into()));
        let record = Record { json: true, ..Record::default() };
        let wanted = Command::Production { dir: "d".into(), key, policy, approvers: Vec::new(), record };
        assert_eq!(parse("production d --json --policy p --key log+1+k"), Ok(wanted));
        let wanted = Command::Leaves { dir: "d".into(), key: "k".to_owned(), json: false };
        assert_eq!(parse("leaves d --key k"), Ok(wanted));
    }

    #[test]
    fn approvers_and_meters_may_be_several_and_a_key_only_one() {
        let line = "production d --key k --approver a=1 --approver b=2 --meter m --meter n --allow-differences 7 --allow-differences 9";
        let Ok(Command::Production { approvers, record, .. }) = parse(line) else { panic!("{:?}", parse(line)) };
        assert_eq!(
            (approvers, record.meters),
            (vec!["a=1".to_owned(), "b=2".to_owned()], vec!["m".to_owned(), "n".to_owned()])
        );
        assert_eq!((record.allow_differences, record.allow_withheld), (vec!["7".to_owned(), "9".to_owned()], false));
        assert_eq!(parse("bundle d --key k --key l"), Err(Usage::Twice("--key")));
        assert_eq!(parse("bundle d --approver a=1"), Err(Usage::Unknown("--approver".to_owned())));
    }

    #[test]
    fn views_are_compared_with_a_pinned_key_only() {
        let wanted = Command::Consistent {
            one: "a".into(),
            other: "b".into(),
            key: "log+1+k".to_owned(),
            out: Some("proof".into()),
        };
        assert_eq!(parse("consistent a --out proof b --key log+1+k"), Ok(wanted));
        let wanted = Command::Equivocation { file: "proof".into(), key: "log+1+k".to_owned() };
        assert_eq!(parse("equivocation proof --key log+1+k"), Ok(wanted));
        assert_eq!(parse("consistent a b"), Err(Usage::NoKey));
        let wanted = Command::Shard { file: "proof".into(), key: "head".to_owned(), shard: "log".to_owned() };
        assert_eq!(parse("shard proof --key head --shard log"), Ok(wanted));
        assert_eq!(parse("shard proof --key head"), Err(Usage::NoKey));
        assert_eq!(parse("consistent a --key k"), Err(Usage::Nothing));
        let unknown = |text: &str| Err(Usage::Unknown(text.to_owned()));
        assert_eq!(parse("consistent a b c --key k"), unknown("c"));
        assert_eq!(parse("equivocation a b --key k"), unknown("b"));
        assert_eq!(parse("equivocation a --key k --out b"), unknown("--out"));
        assert_eq!(parse("consistent a b --key k --json"), unknown("--json"));
        assert_eq!(parse("bundle a --out b"), unknown("--out"));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let unknown = |text: &str| Err(Usage::Unknown(text.to_owned()));
        assert_eq!(parse(""), Err(Usage::Nothing));
        assert_eq!(parse("bundle"), Err(Usage::Nothing));
        assert_eq!(parse("bundle a b"), unknown("b"));
        assert_eq!(parse("check a"), unknown("check"));
        assert_eq!(parse("bundle a --force"), unknown("--force"));
        assert_eq!(parse("bundle a --leaf l"), unknown("--leaf"));
        assert_eq!(parse("receipt a --allow-withheld"), unknown("--allow-withheld"));
        assert_eq!(parse("production a"), Err(Usage::NoKey));
        assert_eq!(parse("leaves a"), Err(Usage::NoKey));
        assert_eq!(parse("production a --key k --leaf l"), unknown("--leaf"));
        assert_eq!(parse("bundle a --policy p"), unknown("--policy"));
        assert_eq!(parse("receipt a --policy p"), unknown("--policy"));
        assert_eq!(parse("bundle a --key"), Err(Usage::NoValue("--key".to_owned())));
    }
}
