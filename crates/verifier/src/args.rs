//! The command line, by hand: two commands do not need a library that an auditor would have to trust.

use std::ffi::OsString;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Checks the record of an Exeat gateway offline.

  exeat-verify bundle DIR [--key KEY] [--allow-withheld] [--json]
  exeat-verify receipt FILE [--leaf FILE] [--key KEY] [--json]

bundle    checks every entry of an exported log and makes every decision again
receipt   checks that one entry is in the log; FILE is a receipt as the gateway
          hands it out (JSON), or a tlog-proof text with its entry in --leaf

--key KEY          the log's key, or a file that holds it, from another source
                   than what is checked; without it the answer says so
--allow-withheld   accepts a bundle that withholds private parts
--json             prints the answer as JSON

Exit status: 0 if all holds, 1 if not, 2 if it could not be checked.
";

/// What to do.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Command {
    Help,
    Bundle { dir: OsString, key: Option<String>, allow_withheld: bool, json: bool },
    Receipt { file: OsString, leaf: Option<OsString>, key: Option<String>, json: bool },
}

/// The command line is not one.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Usage {
    #[error("`{0}` is not known: see exeat-verify --help")]
    Unknown(String),
    #[error("`{0}` needs a value: see exeat-verify --help")]
    NoValue(String),
    #[error("say what to check: see exeat-verify --help")]
    Nothing,
}

/// What was given, before it is known whether it fits the command.
#[derive(Default)]
struct Given {
    words: Vec<OsString>,
    key: Option<OsString>,
    leaf: Option<OsString>,
    allow_withheld: bool,
    json: bool,
    help: bool,
}

/// Reads the arguments after the program's name.
pub(crate) fn parse(args: Vec<OsString>) -> Result<Command, Usage> {
    let given = gather(args)?;
    if given.help {
        return Ok(Command::Help);
    }
    let mut words = given.words.into_iter();
    let command = words.next().ok_or(Usage::Nothing)?;
    let subject = words.next();
    if let Some(more) = words.next() {
        return Err(unknown(more));
    }
    let key = given.key.map(OsString::into_string).transpose().map_err(unknown)?;
    let json = given.json;
    match (command.to_str(), given.leaf, given.allow_withheld) {
        (Some("bundle"), None, allow_withheld) => {
            let dir = subject.ok_or(Usage::Nothing)?;
            Ok(Command::Bundle { dir, key, allow_withheld, json })
        }
        (Some("bundle"), Some(_), _) => Err(Usage::Unknown("--leaf".to_owned())),
        (Some("receipt"), leaf, false) => {
            let file = subject.ok_or(Usage::Nothing)?;
            Ok(Command::Receipt { file, leaf, key, json })
        }
        (Some("receipt"), _, true) => Err(Usage::Unknown("--allow-withheld".to_owned())),
        _ => Err(unknown(command)),
    }
}

fn gather(args: Vec<OsString>) -> Result<Given, Usage> {
    let mut given = Given::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Usage::NoValue(arg.to_string_lossy().into_owned()));
        match arg.to_str() {
            Some("--key") => given.key = Some(value()?),
            Some("--leaf") => given.leaf = Some(value()?),
            Some("--allow-withheld") => given.allow_withheld = true,
            Some("--json") => given.json = true,
            Some("--help" | "-h" | "help") => given.help = true,
            Some(option) if option.starts_with('-') => return Err(unknown(arg)),
            _ => given.words.push(arg),
        }
    }
    Ok(given)
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
        let wanted =
            Command::Bundle { dir: "record".into(), key: Some("log+1+k".to_owned()), allow_withheld: true, json: true };
        assert_eq!(parse("bundle record --key log+1+k --json --allow-withheld"), Ok(wanted));
        let wanted = Command::Receipt { file: "r".into(), leaf: Some("l".into()), key: None, json: false };
        assert_eq!(parse("--leaf l receipt r"), Ok(wanted));
        assert_eq!(parse("bundle --help"), Ok(Command::Help));
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
        assert_eq!(parse("bundle a --key"), Err(Usage::NoValue("--key".to_owned())));
    }
}
