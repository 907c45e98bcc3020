//! Text that cannot become markup.

use super::words;

/// Escapes text for an element or a quoted attribute of HTML and XML; what could hide or turn text becomes a space.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in words::plain(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Escapes text of several lines and keeps them.
pub(crate) fn escaped_lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_means_something_to_a_parser_is_left() {
        assert_eq!(escaped("<b a='1' c=\"2\">&\u{0}\u{202e}"), "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;  ");
        assert_eq!(escaped_lines("a\n<b>"), "a\n&lt;b&gt;");
    }
}
