//! The kinds of credential, with requests made before they are measured.

use anyhow::{Context, Result};
use jose::{
    Alg, Object, SigningKey, base64url,
    dpop::{self, Htu},
};
use serde_json::json;

use crate::{
    Connection,
    world::{ISSUER, ORIGIN, World},
};

const PATH: &str = "/v1/models";

/// One kind of credential.
pub(crate) struct Kind {
    /// What it is called.
    pub(crate) name: &'static str,
    requests: Vec<Vec<u8>>,
}

impl Kind {
    /// Returns the request of a round; the only one if all are the same.
    pub(crate) fn request(&self, round: usize) -> &[u8] {
        self.requests.get(round % self.requests.len().max(1)).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Makes requests of each kind for this many rounds.
///
/// # Errors
///
/// A token cannot be signed, or the gateway gives no nonce.
pub(crate) fn prepare(world: &World, connection: &mut Connection, rounds: usize) -> Result<Vec<Kind>> {
    let maker =
        Maker { world, holder: SigningKey::generate(Alg::Es256)?, target: Htu::parse(&format!("{ORIGIN}{PATH}"))? };
    let nonce = maker.nonce(connection)?;
    let (plain, bound) = (maker.token(Alg::Es256, "plain", false)?, maker.token(Alg::Es256, "bound", true)?);
    let new = |alg, tag: &str, is_bound| {
        (0..rounds).map(|n| maker.token(alg, &format!("{tag}-{n}"), is_bound)).collect::<Result<Vec<_>>>()
    };
    let (es256, rs256) = (new(Alg::Es256, "es", false)?, new(Alg::Rs256, "rs", false)?);
    let new_bound = new(Alg::Es256, "new-bound", true)?;
    let bearers = |tokens: &[String]| tokens.iter().map(|token| bearer(token)).collect();
    let proved = |tokens: &mut dyn Iterator<Item = &String>| {
        tokens.map(|token| maker.proved(token, &nonce)).collect::<Result<Vec<_>>>()
    };
    let kinds = [
        ("API key", vec![bearer(&world.key)]),
        ("JWT, seen before", vec![bearer(&plain)]),
        ("JWT ES256, new", bearers(&es256)),
        ("JWT RS256, new", bearers(&rs256)),
        ("API key + DPoP", proved(&mut std::iter::repeat_n(&world.bound_key(&maker.holder)?, rounds))?),
        ("JWT + DPoP, token seen before", proved(&mut std::iter::repeat_n(&bound, rounds))?),
        ("JWT ES256 + DPoP, token new", proved(&mut new_bound.iter())?),
    ];
    Ok(kinds.into_iter().map(|(name, requests)| Kind { name, requests }).collect())
}

struct Maker<'a> {
    world: &'a World,
    /// Whose key bound tokens are bound to.
    holder: SigningKey,
    target: Htu,
}

impl Maker<'_> {
    fn token(&self, alg: Alg, jti: &str, is_bound: bool) -> Result<String> {
        let iat = self.world.now().as_millis() / 1_000;
        let mut claims = json!({
            "iss": ISSUER, "aud": ORIGIN, "sub": "ada@idp", "client_id": "bench", "iat": iat, "exp": iat + 3_600,
            "jti": jti, "auth_time": iat,
        });
        if is_bound {
            let jkt = base64url::encode(self.holder.public().thumbprint());
            claims.as_object_mut().context("claims are an object")?.insert("cnf".to_owned(), json!({ "jkt": jkt }));
        }
        Ok(self.world.signing(alg).sign("at+jwt", &Object::new(), &claims)?)
    }

    /// Makes a request with a proof for `token`.
    fn proved(&self, token: &str, nonce: &str) -> Result<Vec<u8>> {
        let proof = self.proof(token, Some(nonce))?;
        Ok(request(&format!("authorization: DPoP {token}\r\ndpop: {proof}\r\n")))
    }

    fn proof(&self, token: &str, nonce: Option<&str>) -> Result<String> {
        let about = dpop::Request { method: "GET", target: &self.target, access_token: Some(token) };
        Ok(dpop::prove(&self.holder, &about, nonce, self.world.now())?)
    }

    /// Asks the gateway for the nonce that proofs must hold.
    fn nonce(&self, connection: &mut Connection) -> Result<String> {
        let token = self.token(Alg::Es256, "first", true)?;
        let proof = self.proof(&token, None)?;
        let asked = request(&format!("authorization: DPoP {token}\r\ndpop: {proof}\r\n"));
        let (head, _) = connection.ask(&asked)?;
        let nonce = head.lines().find_map(|line| line.strip_prefix("dpop-nonce: "));
        nonce.map(str::to_owned).with_context(|| format!("no nonce: {head}"))
    }
}

fn bearer(credential: &str) -> Vec<u8> {
    request(&format!("authorization: Bearer {credential}\r\n"))
}

fn request(fields: &str) -> Vec<u8> {
    format!("GET {PATH} HTTP/1.1\r\nhost: gateway.example.com\r\n{fields}\r\n").into_bytes()
}
