//! The page as HTML: no script, everything that varies escaped, readable without a style sheet.

use std::fmt::Write;

use terms::{Freshness, Moment};

use super::shown::{Access, Evidence, Over, Shown, Step};

/// The style sheet of every page here. Colors are the browser's own, so that light, dark and forced colors all work.
pub(super) const STYLE: &str = include_str!("style.css");

/// Renders what a person is shown. `wallet` is where they can show a credential, if that is offered.
pub(super) fn page(shown: &Shown, wallet: Option<&str>) -> String {
    let mut body = format!(
        "<h1>Your access</h1>\n<p>This is what is on record about <strong>{}</strong> as of {}. Nobody else is shown this \
         page.</p>\n",
        escaped(&shown.name),
        time(shown.at)
    );
    if !shown.active {
        body.push_str("<p role=\"status\">Your access was withdrawn by an administrator.</p>\n");
    }
    body.push_str(&access(&shown.access));
    body.push_str(&steps(shown, wallet));
    body.push_str(&endings(&shown.endings));
    body.push_str(&evidence("What is attested about you", "No attestation is held.", &shown.evidence));
    body.push_str(&evidence("For whom you work", "No employment is on record.", &shown.employment));
    body.push_str("<form method=\"post\" action=\"/me/leave\"><button type=\"submit\">Leave</button></form>\n");
    document("Your access", &body)
}

/// Renders the door: a link that a mail scanner follows must not use it up, so a person presses a button.
pub(super) fn door() -> String {
    let body = "<h1>See your access</h1>\n<p>This link works once. It shows what is on record about you, and what restores \
                access that ended.</p>\n<form method=\"post\"><button type=\"submit\">Continue</button></form>\n";
    document("See your access", body)
}

/// Renders a page that says one thing.
pub(crate) fn notice(title: &str, text: &str) -> String {
    document(title, &format!("<h1>{}</h1>\n<p>{}</p>\n", escaped(title), escaped(text)))
}

fn access(all: &[Access]) -> String {
    let mut rows = String::new();
    for one in all {
        let outcome = match one.refused.as_deref() {
            None => "<strong class=\"yes\">Allowed.</strong> You can use it now.".to_owned(),
            Some(why) => format!("<strong class=\"no\">Refused:</strong> {}.", escaped(why)),
        };
        let code = one.code.map_or_else(String::new, |code| format!(" <code>{}</code>", escaped(code)));
        let until = one.until.map_or_else(|| "until something changes".to_owned(), time);
        let through = if one.tenant.is_empty() { "your own account".to_owned() } else { escaped(&one.tenant) };
        put(
            &mut rows,
            format_args!(
                "<tr><th scope=\"row\" class=\"id\">{}</th><td>{through}</td><td>{outcome}{code}</td><td>{until}</td></tr>\n",
                escaped(one.model.as_str())
            ),
        );
    }
    table("What you can use", "No model is served.", ["Model", "Through", "Answer", "Up to"], &rows)
}

fn endings(all: &[Over]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for one in all {
        let (code, index) = &one.entry;
        put(
            &mut rows,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td><code>{}</code>, entry {index}</td></tr>\n",
                escaped(&one.what),
                time(one.at),
                escaped(&one.by),
                escaped(code)
            ),
        );
    }
    table("What ended", "", ["What", "When", "On whose word", "On record as"], &rows)
}

fn evidence(title: &str, none: &str, all: &[Evidence]) -> String {
    let mut rows = String::new();
    for one in all {
        let (state, word) = match one.state {
            Freshness::Fresh => ("<td class=\"yes\">fresh</td>", "renew by"),
            Freshness::Grace => ("<td class=\"soon\">in grace</td>", "counts until"),
            Freshness::Stale => ("<td class=\"no\">stale</td>", "counts no more since"),
        };
        let when =
            if one.until == Moment::MAX { "no end is set".to_owned() } else { format!("{word} {}", time(one.until)) };
        put(
            &mut rows,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td>{state}<td>{when}</td></tr>\n",
                escaped(&one.what),
                escaped(one.issuer.as_str())
            ),
        );
    }
    table(title, none, ["Statement", "By", "State", "When"], &rows)
}

fn table(title: &str, none: &str, heads: [&str; 4], rows: &str) -> String {
    if rows.is_empty() {
        return format!("<h2>{}</h2>\n<p>{}</p>\n", escaped(title), escaped(none));
    }
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{}</th>", escaped(head))).collect();
    format!(
        "<table>\n<caption>{}</caption>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n",
        escaped(title)
    )
}

fn steps(shown: &Shown, wallet: Option<&str>) -> String {
    if shown.steps.is_empty() {
        return String::new();
    }
    let items: String = shown.steps.iter().map(|step| format!("<li>{}</li>\n", step_words(*step, wallet))).collect();
    format!("<h2>What restores access</h2>\n<ul>\n{items}</ul>\n")
}

fn step_words(step: Step, wallet: Option<&str>) -> String {
    match (step, wallet) {
        (Step::Prove, Some(wallet)) => format!(
            "<a href=\"{}\">Show a credential from your wallet</a> that states every nationality, or be proofed again by \
             your identity-proofing provider.",
            escaped(wallet)
        ),
        (Step::Prove, None) => "Be proofed again by your identity-proofing provider.".to_owned(),
        (Step::AskEmployer, _) => "Ask your employer to confirm your employment, location or end use.".to_owned(),
        (Step::SignIn, _) => "Sign in again, or ask for a new key.".to_owned(),
        (Step::AskOperator, _) => "Ask those who run this service; nothing that you can show changes this.".to_owned(),
    }
}

pub(crate) fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{}</title>\n\
         <link rel=\"stylesheet\" href=\"/me/style.css\"/>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escaped(title)
    )
}

fn time(moment: Moment) -> String {
    let text = moment.to_string();
    let read: String = text.chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect();
    format!("<time datetime=\"{text}\">{read} UTC</time>")
}

/// Escapes text for use between tags and in quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// Appends; writing to a string cannot fail.
fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(more);
}
