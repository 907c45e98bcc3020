//! The words of a filter.

use crate::{Fault, error::quoted};

/// One word of a filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    /// A string, without its quotes.
    Text(String),
    /// Anything else up to the next space or bracket: a path, an operator, a number, `true`.
    Word(String),
}

/// Splits a filter into its words.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = next(first, rest)?;
        found.push(token);
        rest = after.trim_start();
    }
    Ok(found)
}

fn next(first: char, rest: &str) -> Result<(Token, &str), Fault> {
    let single = match first {
        '(' => Token::Open,
        ')' => Token::Close,
        '[' => Token::OpenBracket,
        ']' => Token::CloseBracket,
        '"' => return string_literal(rest).map(|(text, after)| (Token::Text(text), after)),
        _ => return Ok(word(rest)),
    };
    Ok((single, rest.get(1..).unwrap_or_default()))
}

fn word(rest: &str) -> (Token, &str) {
    let end = rest.find(|c: char| c.is_whitespace() || "()[]\"".contains(c)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    (Token::Word(word.to_owned()), after)
}

/// Reads the JSON string with which `rest` begins; returns it with what follows it.
pub(crate) fn string_literal(rest: &str) -> Result<(String, &str), Fault> {
    let unfinished = || Fault::filter(format!("the string {} does not end: close it with `\"`", quoted(rest)));
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    let (end, _) = end.ok_or_else(unfinished)?;
    let (literal, after) = rest.split_at_checked(end + 1).ok_or_else(unfinished)?;
    let text = serde_json::from_str(literal)
        .map_err(|_| Fault::filter(format!("{} is not a JSON string: escape what JSON escapes", quoted(literal))))?;
    Ok((text, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_may_hold_brackets_and_escaped_quotes() {
        let expected = [
            Token::Word("a".to_owned()),
            Token::OpenBracket,
            Token::Word("b".to_owned()),
            Token::Text("x] \"y\" \\".to_owned()),
            Token::CloseBracket,
        ];
        assert_eq!(tokens(r#" a[b "x] \"y\" \\"] "#).unwrap(), expected);
    }

    #[test]
    fn a_string_that_does_not_end_or_is_not_json_is_refused() {
        for text in [r#"a eq "b"#, r#"a eq "\x""#, "a eq \"b\u{1}\"", r#"a eq "\"#] {
            assert!(tokens(text).is_err(), "{text:?}");
        }
    }
}
