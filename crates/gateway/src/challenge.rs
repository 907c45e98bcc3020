//! What a refused credential is told to bring instead, as OAuth clients read it.

use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};

use crate::dialect::{Challenge, Problem};

/// The algorithms that a DPoP proof may be signed with.
const PROOF_ALGS: &str = "ES256 ES384 EdDSA PS256 RS256";

/// Writes the challenges of a problem with a credential; `metadata` is where a client learns who issues tokens.
///
/// # Source
/// RFC 6750 section 3; RFC 9449 section 7.1; RFC 9470 section 3; RFC 9728 section 5.1.
pub(crate) fn write(headers: &mut HeaderMap, problem: &Problem, metadata: Option<&str>) {
    let (error, by_proof_only) = match problem {
        Problem::Unauthenticated { .. } => (String::new(), false),
        Problem::KeyExpired | Problem::KeyRevoked => (r#"error="invalid_token""#.to_owned(), false),
        Problem::Challenged { challenge, .. } => (params(challenge), is_of_proof(challenge)),
        _ => return,
    };
    headers.remove(WWW_AUTHENTICATE);
    let metadata = metadata.map(|url| format!(r#"resource_metadata="{url}""#));
    let metadata = metadata.as_deref().unwrap_or_default();
    if !by_proof_only {
        append(headers, "Bearer", &[&error, metadata]);
    }
    // Proofs are taken only where the gateway knows under which origin it is reached.
    if !metadata.is_empty() {
        append(headers, "DPoP", &[&error, &format!(r#"algs="{PROOF_ALGS}""#), metadata]);
    }
}

fn params(challenge: &Challenge) -> String {
    let error = format!(r#"error="{}""#, challenge.error());
    match challenge {
        Challenge::InsufficientScope { scope } => format!(r#"{error}, scope="{scope}""#),
        Challenge::StepUp { max_age, acr_values } if acr_values.is_empty() => {
            format!(r#"{error}, max_age="{max_age}""#)
        }
        Challenge::StepUp { max_age, acr_values } => {
            format!(r#"{error}, acr_values="{acr_values}", max_age="{max_age}""#)
        }
        Challenge::InvalidToken | Challenge::InvalidProof | Challenge::UseNonce => error,
    }
}

fn is_of_proof(challenge: &Challenge) -> bool {
    matches!(challenge, Challenge::InvalidProof | Challenge::UseNonce)
}

fn append(headers: &mut HeaderMap, scheme: &str, params: &[&str]) {
    let given: Vec<&str> = params.iter().copied().filter(|param| !param.is_empty()).collect();
    let text = format!("{scheme} {}", given.join(", "));
    if let Ok(value) = HeaderValue::from_str(text.trim_end()) {
        headers.append(WWW_AUTHENTICATE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(problem: &Problem, metadata: Option<&str>) -> Vec<String> {
        let mut headers = HeaderMap::new();
        write(&mut headers, problem, metadata);
        headers.get_all(WWW_AUTHENTICATE).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    fn challenged(challenge: Challenge) -> Problem {
        Problem::Challenged { fault: "no".to_owned(), challenge }
    }

    #[test]
    fn a_gateway_that_takes_keys_only_asks_for_a_bearer() {
        assert_eq!(told(&Problem::Unauthenticated { fault: "no".to_owned() }, None), ["Bearer"]);
        assert_eq!(told(&Problem::KeyRevoked, None), [r#"Bearer error="invalid_token""#]);
        assert!(told(&Problem::NotFound, None).is_empty());
    }

    #[test]
    fn each_challenge_is_written_for_each_scheme_that_could_meet_it() {
        let metadata = Some("https://gw.example.com/m");
        let step_up = challenged(Challenge::StepUp { max_age: 60, acr_values: "phr".to_owned() });
        assert_eq!(
            told(&step_up, metadata),
            [
                r#"Bearer error="insufficient_user_authentication", acr_values="phr", max_age="60", resource_metadata="https://gw.example.com/m""#,
                r#"DPoP error="insufficient_user_authentication", acr_values="phr", max_age="60", algs="ES256 ES384 EdDSA PS256 RS256", resource_metadata="https://gw.example.com/m""#,
            ]
        );
        let nonce = told(&challenged(Challenge::UseNonce), metadata);
        assert_eq!(nonce.len(), 1);
        assert!(nonce[0].starts_with(r#"DPoP error="use_dpop_nonce""#));
    }
}
