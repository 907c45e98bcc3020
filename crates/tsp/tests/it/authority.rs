//! A time-stamping authority made of the openssl command.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

pub(crate) struct Authority(TempDir);

const CONFIG: &str = "\
[tsa]\n\
default_tsa = own\n\
[own]\n\
dir = .\n\
serial = serial\n\
crypto_device = builtin\n\
signer_digest = sha256\n\
default_policy = 1.2.3.4.1\n\
digests = sha256\n\
accuracy = secs:1\n\
ordering = yes\n\
tsa_name = yes\n\
ess_cert_id_chain = no\n";

impl Authority {
    /// Makes a root, and an authority under it with this kind of key and of certificate identifier.
    pub(crate) fn new(key: &str, ess: &str) -> Self {
        Self::with_usage(key, ess, "critical,timeStamping")
    }

    /// Makes one whose certificate has this extended key usage.
    pub(crate) fn with_usage(key: &str, ess: &str, usage: &str) -> Self {
        let authority = Self(TempDir::new().unwrap());
        let at = authority.0.path();
        fs::write(at.join("ts.cnf"), format!("{CONFIG}ess_cert_id_alg = {ess}\n")).unwrap();
        fs::write(at.join("serial"), "01\n").unwrap();
        fs::write(at.join("tsa.ext"), format!("basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\n")).unwrap();
        let key = match key.strip_prefix("P-") {
            Some(_) => format!("-newkey ec -pkeyopt ec_paramgen_curve:{key}"),
            None => format!("-newkey {key}"),
        };
        let root =
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.pem -days 2";
        done(openssl(at, root, &["-subj", "/CN=Northgate Root", "-addext", "keyUsage=critical,keyCertSign"]));
        done(openssl(at, &format!("req {key} -nodes -keyout tsa.key -out tsa.csr"), &["-subj", "/CN=Northgate Time"]));
        let sign =
            "x509 -req -in tsa.csr -CA root.pem -CAkey root.key -CAcreateserial -days 1 -extfile tsa.ext -out tsa.pem";
        done(openssl(at, sign, &[]));
        authority
    }

    /// Returns the certificate of the root.
    pub(crate) fn root_pem(&self) -> Vec<u8> {
        fs::read(self.0.path().join("root.pem")).unwrap()
    }

    pub(crate) fn answer(&self, query: &[u8]) -> Vec<u8> {
        self.try_answer(query).unwrap()
    }

    pub(crate) fn try_answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let at = self.0.path();
        fs::write(at.join("q.tsq"), query).unwrap();
        let reply = "ts -reply -config ts.cnf -queryfile q.tsq -signer tsa.pem -inkey tsa.key -out r.tsr";
        openssl(at, reply, &[]).status.success().then(|| fs::read(at.join("r.tsr")).unwrap())
    }

    /// Asks openssl whether a response stamps this digest.
    pub(crate) fn confirms(&self, response: &[u8], digest: &[u8; 32]) -> bool {
        let at = self.0.path();
        fs::write(at.join("v.tsr"), response).unwrap();
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        openssl(at, "ts -verify -in v.tsr -CAfile root.pem", &["-digest", &hex]).status.success()
    }
}

fn openssl(at: &Path, line: &str, more: &[&str]) -> Output {
    Command::new("openssl").args(line.split(' ')).args(more).current_dir(at).output().unwrap()
}

fn done(output: Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
