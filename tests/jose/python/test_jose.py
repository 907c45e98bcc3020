"""Tokens that cross between our JOSE core and two Python libraries, in both directions."""

import hashlib
import json
import os
import subprocess
import time
from base64 import urlsafe_b64encode

import pytest
from joserfc import jwe as joserfc_jwe
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from jwcrypto import jwe as jwcrypto_jwe
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jws as jwcrypto_jws

ALGS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
ENCS = ["A128GCM", "A256GCM"]
HTU = "https://api.example.com/v1/chat/completions"


class Peer:
    """Our side: one JSON object a line, in and out."""

    def __init__(self):
        self.process = subprocess.Popen(
            [os.environ["JOSE_PEER"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, do, **members):
        self.process.stdin.write(json.dumps({"do": do, **members}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def ours():
    peer = Peer()
    yield peer
    peer.process.stdin.close()
    assert peer.process.wait(10) == 0


def claims():
    now = int(time.time())
    return {
        "iss": "https://issuer.example",
        "sub": "ada",
        "aud": ["https://api.example", "https://other.example"],
        "client_id": "c1",
        "iat": now,
        "exp": now + 300,
        "jti": "j-1",
        "name": "Zoë \u2603 \U0001f600",
    }


def joserfc_key(alg):
    if alg in ("RS256", "PS256"):
        return RSAKey.generate_key(2048)
    if alg == "EdDSA":
        return OKPKey.generate_key("Ed25519")
    return ECKey.generate_key({"ES256": "P-256", "ES384": "P-384"}[alg])


def jwcrypto_key(alg):
    if alg in ("RS256", "PS256"):
        return jwcrypto_jwk.JWK.generate(kty="RSA", size=2048)
    if alg == "EdDSA":
        return jwcrypto_jwk.JWK.generate(kty="OKP", crv="Ed25519")
    return jwcrypto_jwk.JWK.generate(kty="EC", crv={"ES256": "P-256", "ES384": "P-384"}[alg])


def import_joserfc(jwk):
    return {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}[jwk["kty"]].import_key(jwk)


def swapped(token):
    """Returns the token with one character of its payload changed."""
    header, payload, signature = token.split(".")
    return ".".join([header, payload[:10] + ("A" if payload[10] != "A" else "B") + payload[11:], signature])


@pytest.mark.parametrize("alg", ALGS)
def test_joserfc_reads_what_we_sign(ours, alg):
    made = ours.ask("sign", alg=alg, typ="at+jwt", claims=claims())
    read = joserfc_jws.deserialize_compact(made["token"], import_joserfc(made["jwk"]), algorithms=[alg])
    assert json.loads(read.payload)["name"] == claims()["name"]
    assert read.headers()["typ"] == "at+jwt"


@pytest.mark.parametrize("alg", ALGS)
def test_jwcrypto_reads_what_we_sign(ours, alg):
    made = ours.ask("sign", alg=alg, typ="at+jwt", claims=claims())
    read = jwcrypto_jws.JWS()
    read.allowed_algs = [alg]
    read.deserialize(made["token"], jwcrypto_jwk.JWK(**made["jwk"]))
    assert json.loads(read.payload)["sub"] == "ada"


@pytest.mark.parametrize("alg", ALGS)
def test_we_read_what_joserfc_signs_and_notice_a_change(ours, alg):
    key = joserfc_key(alg)
    sent = claims()
    header = {"alg": alg, "typ": "at+jwt"}
    token = joserfc_jws.serialize_compact(header, json.dumps(sent), key, algorithms=[alg])
    jwk = key.as_dict(private=False)
    assert ours.ask("verify", use="at+jwt", token=token, jwk=jwk) == {"claims": sent, "alg": alg}
    assert "error" in ours.ask("verify", use="at+jwt", token=swapped(token), jwk=jwk)
    assert "typ" in ours.ask("verify", use="secevent+jwt", token=token, jwk=jwk)["error"]


@pytest.mark.parametrize("alg", ALGS)
def test_we_read_what_jwcrypto_signs_and_refuse_its_private_key(ours, alg):
    key = jwcrypto_key(alg)
    sent = claims()
    token = jwcrypto_jws.JWS(json.dumps(sent))
    token.allowed_algs = [alg]
    token.add_signature(key, None, json.dumps({"alg": alg, "typ": "application/at+jwt"}))
    token = token.serialize(compact=True)
    assert ours.ask("verify", use="at+jwt", token=token, jwk=key.export_public(as_dict=True))["claims"] == sent
    refused = ours.ask("verify", use="at+jwt", token=token, jwk=json.loads(key.export_private()))
    assert "private member" in refused["error"]


@pytest.mark.parametrize("alg", ALGS)
def test_all_three_agree_on_the_thumbprint(ours, alg):
    jwk = joserfc_key(alg).as_dict(private=False)
    mine = ours.ask("thumbprint", jwk=jwk)["thumbprint"]
    assert mine == jwcrypto_jwk.JWK(**jwk).thumbprint()
    assert mine == import_joserfc({k: v for k, v in jwk.items() if k != "kid"}).thumbprint()


@pytest.mark.parametrize("alg", ["HS256", "HS512"])
def test_a_token_with_a_shared_secret_is_refused_even_with_our_public_key_as_the_secret(ours, alg):
    made = ours.ask("sign", alg="RS256", typ="at+jwt", claims=claims())
    secret = urlsafe_b64encode(json.dumps(made["jwk"]).encode()).decode().rstrip("=")
    forged = jwcrypto_jws.JWS(json.dumps(claims()))
    forged.allowed_algs = [alg]
    forged.add_signature(jwcrypto_jwk.JWK(kty="oct", k=secret), alg, json.dumps({"alg": alg, "typ": "at+jwt"}))
    assert "alg" in ours.ask("verify", use="at+jwt", token=forged.serialize(compact=True), jwk=made["jwk"])["error"]


@pytest.mark.parametrize("enc", ENCS)
def test_messages_cross_to_joserfc_and_back(ours, enc):
    key = ECKey.generate_key("P-256")
    jwk = {**key.as_dict(private=False), "use": "enc", "alg": "ECDH-ES"}
    made = ours.ask("encrypt", plaintext="{\"a\":\"\u2603\"}", jwk=jwk, enc=enc)
    read = joserfc_jwe.decrypt_compact(made["token"], key, algorithms=["ECDH-ES", enc])
    assert read.plaintext.decode() == "{\"a\":\"\u2603\"}"
    recipient = ECKey.import_key({**ours.ask("encryption_key")["jwk"]})
    header = {"alg": "ECDH-ES", "enc": enc, "apu": "QWxpY2U", "apv": "Qm9i"}
    token = joserfc_jwe.encrypt_compact(header, b"hello", recipient, algorithms=["ECDH-ES", enc])
    assert ours.ask("decrypt", token=token)["plaintext"] == "hello"


@pytest.mark.parametrize("enc", ENCS)
def test_messages_cross_to_jwcrypto_and_back(ours, enc):
    key = jwcrypto_jwk.JWK.generate(kty="EC", crv="P-256")
    made = ours.ask("encrypt", plaintext="hello", jwk=key.export_public(as_dict=True), enc=enc)
    read = jwcrypto_jwe.JWE(algs=["ECDH-ES", enc])
    read.deserialize(made["token"], key)
    assert read.payload == b"hello"
    recipient = jwcrypto_jwk.JWK(**ours.ask("encryption_key")["jwk"])
    token = jwcrypto_jwe.JWE(b"back", json.dumps({"alg": "ECDH-ES", "enc": enc}), algs=["ECDH-ES", enc])
    token.add_recipient(recipient)
    assert ours.ask("decrypt", token=token.serialize(compact=True))["plaintext"] == "back"


def test_compressed_and_wrapped_messages_of_jwcrypto_are_refused(ours):
    recipient = jwcrypto_jwk.JWK(**{k: v for k, v in ours.ask("encryption_key")["jwk"].items() if k != "alg"})
    for header, word in [
        ({"alg": "ECDH-ES", "enc": "A128GCM", "zip": "DEF"}, "zip"),
        ({"alg": "ECDH-ES", "enc": "A128CBC-HS256"}, "enc"),
        ({"alg": "ECDH-ES+A128KW", "enc": "A128GCM"}, "compact form"),
    ]:
        token = jwcrypto_jwe.JWE(b"x" * 200, json.dumps(header), algs=[header["alg"], header["enc"]])
        token.add_recipient(recipient)
        assert word in ours.ask("decrypt", token=token.serialize(compact=True))["error"]


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256"])
def test_a_proof_that_joserfc_makes_counts_for_its_request_only(ours, alg):
    key = joserfc_key(alg)
    now = int(time.time())
    ath = urlsafe_b64encode(hashlib.sha256(b"token").digest()).decode().rstrip("=")
    public = {k: v for k, v in key.as_dict(private=False).items() if k != "kid"}
    header = {"alg": alg, "typ": "dpop+jwt", "jwk": public}
    payload = {"jti": "1", "htm": "POST", "htu": HTU, "iat": now, "ath": ath}
    registry = joserfc_jws.JWSRegistry(algorithms=[alg])
    token = joserfc_jws.serialize_compact(header, json.dumps(payload), key, registry=registry)
    good = {"token": token, "htm": "POST", "htu": HTU, "access_token": "token", "now": now}
    assert ours.ask("check_proof", **good) == {"jkt": jwcrypto_jwk.JWK(**public).thumbprint(), "jti": "1"}
    for other in [{"htm": "GET"}, {"htu": HTU + "/x"}, {"access_token": "other"}, {"now": now + 62}, {"now": now - 61}]:
        assert "error" in ours.ask("check_proof", **{**good, **other}), other


def test_jwcrypto_reads_the_proof_that_we_make(ours):
    made = ours.ask("prove", alg="ES256", htm="GET", htu=HTU, access_token="token", nonce="n", now=int(time.time()))
    token = jwcrypto_jws.JWS()
    token.deserialize(made["token"])
    key = jwcrypto_jwk.JWK(**token.jose_header["jwk"])
    token.verify(key)
    assert token.jose_header["typ"] == "dpop+jwt" and not key.has_private
    assert made["jkt"] == key.thumbprint()
    read = json.loads(token.payload)
    assert (read["htm"], read["htu"], read["nonce"]) == ("GET", HTU, "n")
    assert read["ath"] == urlsafe_b64encode(hashlib.sha256(b"token").digest()).decode().rstrip("=")
