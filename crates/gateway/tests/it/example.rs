//! The commented part of the example configuration is one that works.

use gateway::{ClientCertificates, Settings};

const EXAMPLE: &str = include_str!("../../../../exeat.example.toml");

/// Returns the example with every setting in force that it has as a comment.
fn with_comments() -> String {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        Some(text) if is_setting(text) => text,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn is_setting(text: &str) -> bool {
    let name = text.split_once(" = ").map(|(name, _)| name);
    let named = name.is_some_and(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    named || (text.starts_with('[') && text.ends_with(']'))
}

#[test]
fn everything_about_credentials_in_the_example_is_understood_and_has_no_fault() {
    let all: toml::Table = with_comments().parse().unwrap();
    let settings: Settings = all.get("server").unwrap().clone().try_into().unwrap();
    assert_eq!((settings.issuers.len(), settings.trusted_proxies.len()), (1, 1));
    assert_eq!(settings.client_certificates, ClientCertificates::Optional);
    assert!(settings.issuers.iter().all(|issuer| issuer.introspection.is_some()));
    assert!(settings.check().is_ok());
}
