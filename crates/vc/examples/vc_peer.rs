//! Our side of the tests with other implementations: one JSON object a line in, one out.
//!
//! Keys are made at the start: one of an issuer, one of a holder.

use std::{
    io::{self, BufRead as _, Write as _},
    time::Duration,
};

use jose::{Alg, Jwks, Object, SigningKey, jwe, usage::AUTHZ_REQUEST};
use serde_json::{Value, json};
use terms::{Clock as _, Moment, SystemClock};
use vc::{
    claim_path::ClaimPath,
    dcql::Query,
    openid4vp::{self, Answer, ClientId, Posted, Request, ResponseMode},
    sd_jwt::{
        HashAlg, SdJwt,
        key_binding::{self, Expected},
    },
    sd_jwt_vc::{self, SdJwtVc},
    status_list::{Bits, Status, StatusList, StatusListToken},
    trust::Trust,
};

type Told = Result<Value, Box<dyn std::error::Error>>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let peer = Peer::new()?;
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line?)?;
        let told = peer.answer(&asked).unwrap_or_else(|fault| json!({ "fault": fault.to_string() }));
        writeln!(out, "{told}")?;
        out.flush()?;
    }
    Ok(())
}

struct Peer {
    issuer: SigningKey,
    holder: SigningKey,
    response: jwe::DecryptionKey,
    clock: SystemClock,
}

impl Peer {
    fn new() -> Result<Self, jose::SigningFault> {
        Ok(Self {
            issuer: SigningKey::generate(Alg::Es256)?,
            holder: SigningKey::generate(Alg::Es256)?,
            response: jwe::DecryptionKey::generate()?,
            clock: SystemClock::default(),
        })
    }

    fn answer(&self, asked: &Value) -> Told {
        match text(asked, "do")? {
            "keys" => {
                Ok(json!({ "issuer": self.issuer.public().to_value(), "holder": self.holder.public().to_value() }))
            }
            "issue" => self.issue(asked),
            "present" => self.present(asked),
            "verify" => self.verify(asked),
            "status_list" => self.status_list(asked),
            "status" => self.status(asked),
            "request" => self.request(asked),
            "response" => self.response(asked),
            other => Err(format!("`{other}` is not known").into()),
        }
    }

    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn issue(&self, asked: &Value) -> Told {
        let claims = object(asked, "claims")?;
        let paths: Vec<ClaimPath> = serde_json::from_value(asked["paths"].clone())?;
        let mut salt = 0_u128;
        let salts = || {
            salt += 1;
            salt.to_be_bytes()
        };
        let issued = sd_jwt_vc::issue(&self.issuer, &Object::new(), claims, &paths, salts)?;
        Ok(json!({ "credential": issued.to_string() }))
    }

    fn present(&self, asked: &Value) -> Told {
        let names: Vec<String> = serde_json::from_value(asked["names"].clone())?;
        let credential = SdJwt::parse(text(asked, "credential")?)?;
        let shown = credential.showing(|one| one.name().is_none_or(|name| names.iter().any(|each| each == name)));
        let presented = key_binding::bind(shown, HashAlg::Sha256, &self.holder, &expected(asked)?, self.now())?;
        Ok(json!({ "presentation": presented.to_string() }))
    }

    fn verify(&self, asked: &Value) -> Told {
        let sd_jwt = SdJwt::parse(text(asked, "presentation")?)?;
        let credential = SdJwtVc::verify(&sd_jwt, &trust(asked)?, self.now())?;
        credential.verify_binding(&sd_jwt, &expected(asked)?, self.now())?;
        Ok(json!({ "claims": credential.claims, "incomplete": credential.incomplete }))
    }

    fn status_list(&self, asked: &Value) -> Told {
        let bits = Bits::try_from(u8::try_from(number(asked, "bits")?)?)?;
        let mut list = StatusList::new(bits, number(asked, "entries")?)?;
        list.set(number(asked, "idx")?, Status::from(u8::try_from(number(asked, "status")?)?))?;
        let uri = text(asked, "uri")?.to_owned();
        let token = StatusListToken { uri, issued_at: self.now(), expires_at: None, ttl: None, list };
        Ok(json!({ "token": token.sign(&self.issuer, &Object::new())? }))
    }

    fn status(&self, asked: &Value) -> Told {
        let token = StatusListToken::verify(text(asked, "token")?, &trust(asked)?, text(asked, "uri")?, self.now())?;
        Ok(json!({ "status": u8::from(token.list.get(number(asked, "idx")?)?) }))
    }

    /// Asks for a PID, encrypted or not; by value, as a client known by where the answer goes.
    fn request(&self, asked: &Value) -> Told {
        let response_uri = text(asked, "response_uri")?.to_owned();
        let encrypted = asked["encrypted"] == true;
        let signed = asked["signed"] == true;
        let client_id = if signed { ClientId::X509Hash([7; 32]) } else { ClientId::RedirectUri(response_uri.clone()) };
        let request = Request {
            client_id,
            response_uri,
            response_mode: if encrypted {
                ResponseMode::DirectPostJwt(self.response.public().clone())
            } else {
                ResponseMode::DirectPost
            },
            nonce: text(asked, "nonce")?.to_owned(),
            state: text(asked, "state")?.to_owned(),
            query: query(asked)?,
            issued_at: self.now(),
            expires_at: self.now().plus(life()),
        };
        if signed {
            let token = request.sign(&self.issuer, &[vec![0x30]], asked["wallet_nonce"].as_str())?;
            jose::verify(&token, &AUTHZ_REQUEST, self.issuer.public())?;
            return Ok(json!({ "request": token }));
        }
        Ok(json!({ "url": request.by_value() }))
    }

    /// Verifies what a wallet posted to the response endpoint.
    fn response(&self, asked: &Value) -> Told {
        let answer = match Posted::parse(text(asked, "body")?.as_bytes())? {
            Posted::Open(answer) => answer,
            Posted::Encrypted(token) => Answer::of_decrypted(&jwe::decrypt(&token, &self.response)?.plaintext)?,
        };
        if answer.state() != asked["state"].as_str() {
            return Err("another state".into());
        }
        let Answer::Presented { vp_token, .. } = answer else { return Err("refused".into()) };
        let trust = trust(asked)?;
        let credential = |sd_jwt: &SdJwt| SdJwtVc::verify(sd_jwt, &trust, self.now()).map(|one| ((), one));
        let verified = openid4vp::verify(&vp_token, &query(asked)?, &expected(asked)?, credential, self.now())?;
        let claims: Vec<_> = verified.into_iter().map(|one| (one.id, one.credential.claims)).collect();
        Ok(json!({ "verified": claims }))
    }
}

fn life() -> Duration {
    Duration::from_secs(300)
}

fn query(asked: &Value) -> Result<Query, Box<dyn std::error::Error>> {
    Ok(Query::parse(asked["query"].to_string().as_bytes())?)
}

fn trust(asked: &Value) -> Result<Trust, Box<dyn std::error::Error>> {
    Ok(Trust::Keys(Jwks::from_value(&json!({ "keys": [asked["issuer"]] }))?))
}

fn expected(asked: &Value) -> Result<Expected<'_>, Box<dyn std::error::Error>> {
    Ok(Expected { audience: text(asked, "audience")?, nonce: text(asked, "nonce")? })
}

fn object(asked: &Value, name: &str) -> Result<Object, Box<dyn std::error::Error>> {
    Ok(asked[name].as_object().ok_or_else(|| format!("`{name}` is not an object"))?.clone())
}

fn text<'a>(asked: &'a Value, name: &str) -> Result<&'a str, Box<dyn std::error::Error>> {
    Ok(asked[name].as_str().ok_or_else(|| format!("`{name}` is not text"))?)
}

fn number(asked: &Value, name: &str) -> Result<usize, Box<dyn std::error::Error>> {
    Ok(usize::try_from(asked[name].as_u64().ok_or_else(|| format!("`{name}` is not a number"))?)?)
}
