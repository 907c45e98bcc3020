"""Credentials, presentations and status lists that cross between us and openvc, in both directions."""

import time

import pytest
from openvc import verify_vp_token
from openvc.errors import OpenvcError
from openvc.proof.sd_jwt import SdJwtVcProofSuite
from openvc.status.issue import build_status_list_token, verify_status_list_token
from openvc.status.token_status_list import check_token_status, new_status_list, set_status

AUDIENCE = "x509_san_dns:verifier.example.com"
NONCE = "n-0S6_WzA2Mj"
VCT = "urn:eudi:pid:1"
ISS = "https://pid.example"
LIST = "https://pid.example/status/1"
QUERY = {
    "credentials": [
        {
            "id": "pid",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": [VCT]},
            "claims": [{"path": ["nationalities"]}],
        }
    ]
}

suite = SdJwtVcProofSuite()


def claims(**more):
    """The claims of identity data."""
    return {"iss": ISS, "nationalities": ["US", "KR"], "birthdate": "1815-12-10", **more}


def issued(issuer, holder, **more):
    """A credential of theirs, of which two claims may be withheld."""
    options = {"disclosable": ["nationalities", "birthdate"], "vct": VCT, "expires_in_s": 3600, **more}
    status = {"status_list": {"idx": 7, "uri": LIST}}
    return suite.issue(claims(status=status), signing_key=issuer, holder_jwk=holder.public_jwk(), **options)


def presented(credential, holder, audience=AUDIENCE, nonce=NONCE):
    """What their holder presents."""
    return suite.create_presentation(credential, holder_key=holder, audience=audience, nonce=nonce)


def verify(ours, issuer, presentation):
    """What our side tells of a presentation."""
    jwk = issuer.public_jwk() | {"kid": issuer.kid}
    return ours.ask("verify", presentation=presentation, issuer=jwk, audience=AUDIENCE, nonce=NONCE)


def test_what_they_issue_and_present_we_verify(ours, issuer, holder):
    told = verify(ours, issuer, presented(issued(issuer, holder, decoys=3), holder))
    assert "fault" not in told, told
    assert told["claims"]["nationalities"] == ["US", "KR"]
    assert told["claims"]["birthdate"] == "1815-12-10"
    assert told["incomplete"] == []


def test_a_disclosure_that_they_withhold_we_do_not_see(ours, issuer, holder):
    parts = issued(issuer, holder).split("~")
    told = verify(ours, issuer, presented("~".join([parts[0], parts[1], ""]), holder))
    assert told["claims"]["nationalities"] == ["US", "KR"]
    assert "birthdate" not in told["claims"]


@pytest.mark.parametrize(
    ("changes", "word"), [({"nonce": "other"}, "nonce"), ({"audience": "other"}, "aud")], ids=["nonce", "audience"]
)
def test_a_key_binding_of_theirs_for_another_request_or_verifier_we_refuse(ours, issuer, holder, changes, word):
    told = verify(ours, issuer, presented(issued(issuer, holder), holder, **changes))
    assert word in told["fault"]


def test_a_thief_of_a_credential_of_theirs_we_refuse(ours, issuer, holder):
    told = verify(ours, issuer, presented(issued(issuer, holder), issuer))
    assert "signature" in told["fault"]


def test_an_expired_credential_of_theirs_we_refuse(ours, issuer, holder):
    told = verify(ours, issuer, presented(issued(issuer, holder, expires_in_s=-120), holder))
    assert "expired" in told["fault"]


def ours_issued(ours, **more):
    """A credential of ours, bound to our holder."""
    now = int(time.time())
    cnf = {"jwk": ours.keys["holder"]}
    of = claims(vct=VCT, iat=now, exp=now + 3600, cnf=cnf, **more)
    told = ours.ask("issue", claims=of, paths=[["birthdate"], ["nationalities"]])
    return told["credential"]


def ours_presented(ours, names=("nationalities",), **more):
    """What our holder presents of it."""
    asked = {"credential": ours_issued(ours, **more), "names": list(names), "audience": AUDIENCE, "nonce": NONCE}
    return ours.ask("present", **asked)["presentation"]


def test_what_we_issue_and_bind_they_verify(ours):
    options = {"public_key_jwk": ours.keys["issuer"], "require_key_binding": True, "expected_vct": VCT}
    presentation = ours_presented(ours)
    verified = suite.verify(presentation, audience=AUDIENCE, nonce=NONCE, **options)
    assert verified.key_bound
    assert verified.claims["nationalities"] == ["US", "KR"]
    assert "birthdate" not in verified.claims
    for wrong in [{"audience": AUDIENCE, "nonce": "other"}, {"audience": "other", "nonce": NONCE}]:
        with pytest.raises(OpenvcError):
            suite.verify(presentation, **wrong, **options)


def metadata(ours):
    """Fetches the metadata of our issuer, without a network."""

    def fetch(url):
        assert url == f"{ISS}/.well-known/jwt-vc-issuer"
        return {"issuer": ISS, "jwks": {"keys": [ours.keys["issuer"]]}}

    return fetch


def test_our_answer_to_a_query_they_verify_with_its_status(ours):
    status = {"status_list": {"idx": 7, "uri": LIST}}
    vp_token = {"pid": [ours_presented(ours, status=status)]}

    def resolve(value):
        def claims_of(uri):
            asked = {"uri": uri, "bits": 2, "entries": 100, "idx": 7, "status": value}
            token = ours.ask("status_list", **asked)["token"]
            return verify_status_list_token(token, public_key_jwk=ours.keys["issuer"], expected_uri=uri)

        return claims_of

    options = {"dcql_query": QUERY, "nonce": NONCE, "jwt_vc_issuer_fetch": metadata(ours), "require_status": True}
    verified = verify_vp_token(vp_token, client_id=AUDIENCE, resolve_status_list_token=resolve(0), **options)
    assert len(verified.for_query("pid")) == 1
    for value in [1, 2]:
        with pytest.raises(OpenvcError):
            verify_vp_token(vp_token, client_id=AUDIENCE, resolve_status_list_token=resolve(value), **options)
    with pytest.raises(OpenvcError):
        verify_vp_token(vp_token, client_id="other", resolve_status_list_token=resolve(0), **options)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_status_list_of_theirs_we_read(ours, issuer, bits):
    packed = new_status_list(1000, bits=bits)
    set_status(packed, 7, 1, bits=bits)
    token = build_status_list_token(
        uri=LIST, status_list=bytes(packed), signing_key=issuer, bits=bits, expires=int(time.time()) + 60, ttl=60
    )
    jwk = issuer.public_jwk() | {"kid": issuer.kid}
    for idx, status in [(7, 1), (6, 0)]:
        told = ours.ask("status", token=token, issuer=jwk, uri=LIST, idx=idx)
        assert told.get("status") == status, told
    assert "sub" in ours.ask("status", token=token, issuer=jwk, uri=f"{LIST}0", idx=7)["fault"]
    assert "fault" in ours.ask("status", token=token, issuer=jwk, uri=LIST, idx=1_000_000)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_status_list_of_ours_they_read(ours, bits):
    token = ours.ask("status_list", uri=LIST, bits=bits, entries=1000, idx=7, status=1)["token"]
    read = verify_status_list_token(token, public_key_jwk=ours.keys["issuer"], expected_uri=LIST)
    for idx, revoked in [(7, True), (6, False)]:
        referenced = {"status": {"status_list": {"idx": idx, "uri": LIST}}}
        told = check_token_status(referenced, resolve_status_list_token=lambda _: read)
        assert told.revoked is revoked
