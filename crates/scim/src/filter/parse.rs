//! Reads a filter: `or` binds weaker than `and`, `and` weaker than `not`.

use super::{Expression, Filter, Literal, Operator, token::Token, token::tokens};
use crate::{Fault, error::quoted, path::AttributePath};

/// The longest filter, in bytes.
const LENGTH_MAX: usize = 4096;
/// How deep parentheses and brackets may be nested.
const DEPTH_MAX: usize = 16;
/// How many comparisons a filter may hold.
const COMPARISONS_MAX: usize = 64;

impl Filter {
    /// Parses a filter of at most 4096 bytes, 64 comparisons and 16 levels.
    ///
    /// # Errors
    ///
    /// [`Fault`] (`invalidFilter`) that says where it is malformed.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > LENGTH_MAX {
            return Err(Fault::filter(format!("the filter has more than {LENGTH_MAX} bytes: ask for less at once")));
        }
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, comparisons: 0 };
        let expression = parser.alternatives(0)?;
        match parser.tokens.first() {
            None => Ok(Self(expression)),
            Some(token) => Err(parser.unexpected(token, "`and`, `or` or the end")),
        }
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    comparisons: usize,
}

impl<'a> Parser<'a> {
    fn alternatives(&mut self, depth: usize) -> Result<Expression, Fault> {
        let mut parts = vec![self.conjunction(depth)?];
        while self.take_word("or") {
            parts.push(self.conjunction(depth)?);
        }
        Ok(flat(parts, Expression::Or))
    }

    fn conjunction(&mut self, depth: usize) -> Result<Expression, Fault> {
        let mut parts = vec![self.term(depth)?];
        while self.take_word("and") {
            parts.push(self.term(depth)?);
        }
        Ok(flat(parts, Expression::And))
    }

    fn term(&mut self, depth: usize) -> Result<Expression, Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::filter(format!("the filter is nested more than {DEPTH_MAX} levels deep: make it flat")));
        }
        match self.tokens {
            [Token::Open, ..] => self.in_parentheses(depth),
            [Token::Word(word), Token::Open, ..] if word.eq_ignore_ascii_case("not") => {
                self.skip(1);
                self.in_parentheses(depth).map(|inner| Expression::Not(Box::new(inner)))
            }
            [Token::Word(path), Token::OpenBracket, ..] => self.in_brackets(path, depth),
            [Token::Word(path), ..] => self.comparison(path),
            [other, ..] => Err(self.unexpected(other, "an attribute")),
            [] => Err(Fault::filter("the filter ends too early: an attribute is missing")),
        }
    }

    fn in_parentheses(&mut self, depth: usize) -> Result<Expression, Fault> {
        self.skip(1);
        let inner = self.alternatives(depth + 1)?;
        self.expect(&Token::Close, "`)`")?;
        Ok(inner)
    }

    fn in_brackets(&mut self, path: &str, depth: usize) -> Result<Expression, Fault> {
        let path = attribute(path)?;
        if path.sub.is_some() {
            return Err(Fault::filter(format!("`{path}[` selects values of a part: write `{}[`", path.name)));
        }
        self.skip(2);
        let inner = self.alternatives(depth + 1)?;
        self.expect(&Token::CloseBracket, "`]`")?;
        if has_brackets(&inner) {
            return Err(Fault::filter(format!("brackets within the brackets of `{path}`: the values have no values")));
        }
        Ok(Expression::Within(path, Box::new(inner)))
    }

    fn comparison(&mut self, path: &str) -> Result<Expression, Fault> {
        self.comparisons += 1;
        if self.comparisons > COMPARISONS_MAX {
            return Err(Fault::filter(format!("the filter has more than {COMPARISONS_MAX} comparisons: ask twice")));
        }
        let path = attribute(path)?;
        self.skip(1);
        let Some((Token::Word(word), rest)) = self.tokens.split_first() else {
            return Err(Fault::filter(format!("`{path}` is compared with nothing: write `{path} eq \"...\"`")));
        };
        self.tokens = rest;
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Expression::Present(path));
        }
        let operator = Operator::parse(word)
            .ok_or_else(|| Fault::filter(format!("{} is no operator: use `eq`, `co`, `pr` ...", quoted(word))))?;
        Ok(Expression::Compare(path, operator, self.literal()?))
    }

    fn literal(&mut self) -> Result<Literal, Fault> {
        let Some((token, rest)) = self.tokens.split_first() else {
            return Err(Fault::filter("the filter ends too early: a value is missing"));
        };
        self.tokens = rest;
        match token {
            Token::Text(text) => Ok(Literal::Text(text.clone())),
            Token::Word(word) => literal(word),
            other => Err(self.unexpected(other, "a value")),
        }
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.tokens, [Token::Word(word), ..] if word.eq_ignore_ascii_case(wanted));
        if found {
            self.skip(1);
        }
        found
    }

    fn expect(&mut self, wanted: &Token, in_words: &str) -> Result<(), Fault> {
        match self.tokens.split_first() {
            Some((token, rest)) if token == wanted => {
                self.tokens = rest;
                Ok(())
            }
            Some((token, _)) => Err(self.unexpected(token, in_words)),
            None => Err(Fault::filter(format!("the filter ends too early: {in_words} is missing"))),
        }
    }

    fn skip(&mut self, count: usize) {
        self.tokens = self.tokens.get(count..).unwrap_or_default();
    }

    fn unexpected(&self, token: &Token, wanted: &str) -> Fault {
        let found = match token {
            Token::Open => "`(`".to_owned(),
            Token::Close => "`)`".to_owned(),
            Token::OpenBracket => "`[`".to_owned(),
            Token::CloseBracket => "`]`".to_owned(),
            Token::Text(text) | Token::Word(text) => quoted(text),
        };
        let after = self.tokens.len();
        Fault::filter(format!("{found} stands where {wanted} should, {after} words before the end of the filter"))
    }
}

fn attribute(text: &str) -> Result<AttributePath, Fault> {
    AttributePath::parse(text).map_err(|bad| Fault::filter(bad.to_string()))
}

fn literal(word: &str) -> Result<Literal, Fault> {
    let bad = || Fault::filter(format!("{} is not a value: write strings in `\"`", quoted(word)));
    match word.to_ascii_lowercase().as_str() {
        "true" => Ok(Literal::Boolean(true)),
        "false" => Ok(Literal::Boolean(false)),
        "null" => Ok(Literal::Null),
        _ => serde_json::from_str(word).map(Literal::Number).map_err(|_| bad()),
    }
}

fn has_brackets(expression: &Expression) -> bool {
    match expression {
        Expression::Within(..) => true,
        Expression::Present(_) | Expression::Compare(..) => false,
        Expression::Not(inner) => has_brackets(inner),
        Expression::And(parts) | Expression::Or(parts) => parts.iter().any(has_brackets),
    }
}

/// Joins parts, unless there is only one.
fn flat(mut parts: Vec<Expression>, join: impl FnOnce(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(text: &str) -> String {
        Filter::parse(text).unwrap().to_string()
    }

    #[test]
    fn and_binds_tighter_than_or_and_not_needs_parentheses() {
        let text = r#"a eq 1 or b eq "x" and NOT (c pr)"#;
        assert_eq!(printed(text), r#"a eq 1 or b eq "x" and not (c pr)"#);
        assert_eq!(printed(r#"(a eq 1 or b pr) and c pr"#), "(a eq 1 or b pr) and c pr");
        assert!(matches!(Filter::parse(text).unwrap().0, Expression::Or(parts) if parts.len() == 2));
        assert!(Filter::parse("not c pr").is_err());
    }

    #[test]
    fn operators_and_keywords_are_read_in_any_case_and_null_and_booleans_are_values() {
        assert_eq!(printed("A EQ True AND b Ne null"), "A eq true and b ne null");
        assert_eq!(
            printed(r#"emails[type EQ "work" and value CO "@x"]"#),
            r#"emails[type eq "work" and value co "@x"]"#
        );
        assert_eq!(printed("meta.lastModified gt -1.5e3"), "meta.lastModified gt -1500.0");
    }

    #[test]
    fn what_is_malformed_is_refused_with_a_reason() {
        let cases = [
            "",
            " ",
            "a",
            "a eq",
            "a eq b",
            "a xx 1",
            "(a pr",
            "a pr)",
            "a pr b pr",
            "a[b pr",
            "a.b[c pr]",
            "a[b[c pr]]",
            "a pr and",
            "or a pr",
            "\"a\" eq 1",
            "a eq (1)",
            "a eq 'b'",
            "[a pr]",
            "not",
            "a eq 01",
            "a eq NaN",
        ];
        for text in cases {
            let fault = Filter::parse(text).unwrap_err();
            assert_eq!(fault.scim_type, crate::ScimType::InvalidFilter, "{text:?}");
        }
    }

    #[test]
    fn length_depth_and_number_of_comparisons_are_bounded() {
        let nested = |depth: usize| format!("{}a pr{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Filter::parse(&nested(DEPTH_MAX)).is_ok());
        assert!(Filter::parse(&nested(DEPTH_MAX + 1)).is_err());
        let many = |count: usize| vec!["a pr"; count].join(" or ");
        assert!(Filter::parse(&many(COMPARISONS_MAX)).is_ok());
        assert!(Filter::parse(&many(COMPARISONS_MAX + 1)).is_err());
        assert!(Filter::parse(&format!("a eq \"{}\"", "x".repeat(LENGTH_MAX))).is_err());
    }

    fn path() -> impl Strategy<Value = AttributePath> {
        let name = "[a-zA-Z][a-zA-Z0-9_-]{0,8}";
        (proptest::option::of("urn:[a-z]{1,5}:2\\.0:[A-Z][a-z]{0,5}"), name, proptest::option::of(name))
            .prop_map(|(urn, name, sub)| AttributePath { urn, name, sub })
    }

    fn comparison() -> impl Strategy<Value = Expression> {
        let value = prop_oneof![
            any::<String>().prop_map(Literal::Text),
            any::<bool>().prop_map(Literal::Boolean),
            any::<i64>().prop_map(|number| Literal::Number(number.into())),
            Just(Literal::Null),
        ];
        prop_oneof![
            path().prop_map(Expression::Present),
            (path(), 0..Operator::ALL.len(), value).prop_map(|(path, at, value)| Expression::Compare(
                path,
                Operator::ALL[at],
                value
            )),
        ]
    }

    /// Trees as the parser makes them: no `and` directly in an `and`, no `or` directly in an `or`.
    fn expression() -> impl Strategy<Value = Expression> {
        comparison().prop_recursive(4, 24, 3, |inner| {
            let outer = path().prop_filter("no part", |path| path.sub.is_none());
            let bare = inner.clone().prop_filter("no brackets", |inner| !has_brackets(inner));
            prop_oneof![
                inner.clone().prop_map(|inner| Expression::Not(Box::new(inner))),
                (outer, bare).prop_map(|(path, inner)| Expression::Within(path, Box::new(inner))),
                proptest::collection::vec(inner.clone(), 2..4).prop_map(Expression::And),
                proptest::collection::vec(inner, 2..4).prop_map(Expression::Or),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_printed_filter_parses_to_the_same(expression in expression()) {
            let filter = Filter(expression);
            let text = filter.to_string();
            prop_assume!(text.len() <= LENGTH_MAX);
            prop_assert_eq!(Filter::parse(&text), Ok(filter));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = Filter::parse(&text);
        }
    }
}
