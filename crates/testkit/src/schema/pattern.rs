//! Regular expressions as our schemas use them: anchored at both ends; classes, literals and groups, each with a count.

/// Tells whether a whole text matches an anchored pattern; `None` if the pattern is none that is known here.
pub(super) fn matches(pattern: &str, text: &str) -> Option<bool> {
    let inner: Vec<char> = pattern.strip_prefix('^')?.strip_suffix('$')?.chars().collect();
    let mut rest = inner.as_slice();
    let all = alternatives(&mut rest)?;
    let text: Vec<char> = text.chars().collect();
    let one = <[Vec<Piece>; 1]>::try_from(all).ok()?;
    rest.is_empty().then(|| ends(&one, &text).contains(&text.len()))
}

/// Something that is there between `least` and `most` times.
struct Piece {
    atom: Atom,
    least: usize,
    most: usize,
}

enum Atom {
    /// One character of these ranges, or one of none of them.
    Class { ranges: Vec<(char, char)>, negated: bool },
    /// One of several sequences.
    Group(Vec<Vec<Piece>>),
}

fn alternatives(rest: &mut &[char]) -> Option<Vec<Vec<Piece>>> {
    let mut all = vec![Vec::new()];
    while let Some(next) = rest.first().copied() {
        match next {
            ')' => break,
            '|' => {
                *rest = rest.get(1..)?;
                all.push(Vec::new());
            }
            _ => {
                let atom = atom(rest)?;
                let (least, most) = count(rest)?;
                all.last_mut()?.push(Piece { atom, least, most });
            }
        }
    }
    Some(all)
}

fn atom(rest: &mut &[char]) -> Option<Atom> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    match first {
        '(' => {
            let all = alternatives(rest)?;
            let (_, tail) = rest.split_first()?;
            *rest = tail;
            Some(Atom::Group(all))
        }
        '[' => class(rest),
        '.' | '\\' | '*' | '+' | '?' | '{' | '^' | '$' => None,
        literal => Some(Atom::Class { ranges: vec![(*literal, *literal)], negated: false }),
    }
}

fn class(rest: &mut &[char]) -> Option<Atom> {
    let end = rest.iter().position(|c| *c == ']')?;
    let (inside, tail) = rest.split_at_checked(end)?;
    *rest = tail.get(1..)?;
    let (negated, mut inside) = match inside {
        ['^', inside @ ..] => (true, inside),
        inside => (false, inside),
    };
    let mut ranges = Vec::new();
    while let Some(first) = inside.first().copied() {
        let (last, tail) = match inside {
            [_, '-', last, tail @ ..] => (*last, tail),
            [_, tail @ ..] => (first, tail),
            [] => return None,
        };
        (inside, _) = (tail, ranges.push((first, last)));
    }
    Some(Atom::Class { ranges, negated })
}

fn count(rest: &mut &[char]) -> Option<(usize, usize)> {
    let (count, tail) = match rest {
        ['*', tail @ ..] => ((0, usize::MAX), tail),
        ['+', tail @ ..] => ((1, usize::MAX), tail),
        ['?', tail @ ..] => ((0, 1), tail),
        ['{', tail @ ..] => {
            let end = tail.iter().position(|c| *c == '}')?;
            let inside: String = tail.get(..end)?.iter().collect();
            let (least, most) = inside.split_once(',').unwrap_or((&inside, &inside));
            ((least.parse().ok()?, most.parse().ok()?), tail.get(end + 1..)?)
        }
        _ => return Some((1, 1)),
    };
    *rest = tail;
    Some(count)
}

/// Returns every place in `text` at which one of several sequences can end.
fn ends(all: &[Vec<Piece>], text: &[char]) -> Vec<usize> {
    let after = |pieces: &Vec<Piece>| pieces.iter().fold(vec![0], |starts, piece| repeated(piece, text, starts));
    let mut ends: Vec<usize> = all.iter().flat_map(after).collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// Returns every place at which a piece can end that begins at one of `starts`.
fn repeated(piece: &Piece, text: &[char], starts: Vec<usize>) -> Vec<usize> {
    let (mut found, mut now) = (Vec::new(), starts);
    for times in 0..=piece.most.min(text.len() + 1) {
        if times >= piece.least {
            found.extend(&now);
        }
        now = now.iter().flat_map(|start| once(&piece.atom, text, *start)).collect();
        now.sort_unstable();
        now.dedup();
    }
    found
}

fn once(atom: &Atom, text: &[char], start: usize) -> Vec<usize> {
    let rest = text.get(start..).unwrap_or_default();
    match atom {
        Atom::Group(all) => ends(all, rest).into_iter().map(|end| start + end).collect(),
        Atom::Class { ranges, negated } => {
            let within = |c: &char| ranges.iter().any(|(first, last)| (first..=last).contains(&c)) != *negated;
            rest.first().filter(|c| within(c)).map(|_| start + 1).into_iter().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_matches_what_it_says_and_nothing_else() {
        let moment = "^[0-9]{4}-[0-9]{2}T[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$";
        for text in ["2026-06T21Z", "2026-06T21.123Z", "2026-06T21-04:00"] {
            assert_eq!(matches(moment, text), Some(true), "{text}");
        }
        for text in ["2026-06T21", "2026-06T21.Z", "2026-6T21Z", "x2026-06T21Z", "2026-06T21ZZ", ""] {
            assert_eq!(matches(moment, text), Some(false), "{text}");
        }
        assert_eq!(matches("^[^\u{0}-\u{1f}]+$", "a b"), Some(true));
        assert_eq!(matches("^[^\u{0}-\u{1f}]+$", "a\nb"), Some(false));
        assert_eq!(matches("^[A-Z](:[0-9])?$", "D:5"), Some(true));
        assert_eq!(matches("^a*b{2,3}$", "aabbbb"), Some(false));
    }

    #[test]
    fn a_pattern_that_is_not_known_here_is_said_to_be_so() {
        for pattern in ["a", "^a.b$", "^\\d$", "^(a$", "^[a$", "^a|b$"] {
            assert_eq!(matches(pattern, "a"), None, "{pattern}");
        }
    }
}
