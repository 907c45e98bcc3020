"""Tokens that are made to confuse a verifier."""

from __future__ import annotations

from collections.abc import Callable

from .. import jose
from ..emitter.stream import Stream
from ..modules import module
from ..result import require
from ..sets import Draft
from .lab import Lab

Forge = Callable[[Lab, Draft], str]


def _refused(lab: Lab, what: str, forge: Forge) -> None:
    stream: Stream = lab.create()
    draft = lab.draft(stream)
    lab.refuses(stream, what, draft, forge(lab, draft))
    lab.still_works(stream)


def _header(lab: Lab, **more: object) -> bytes:
    return jose.dump({"alg": lab.emitter.key.alg, "typ": "secevent+jwt", "kid": lab.emitter.key.kid, **more})


@module("receiver", "extra-receiver-typ-missing")
def typ_missing(lab: Lab) -> None:
    """Refuses a SET without `typ` (SSF 1.0 section 4.1.1)."""

    def forge(lab: Lab, draft: Draft) -> str:
        header = {"alg": lab.emitter.key.alg, "kid": lab.emitter.key.kid}
        return jose.sign_raw(lab.emitter.key, jose.dump(header), jose.dump(draft.claims))

    _refused(lab, "a SET without `typ`", forge)


@module("receiver", "extra-receiver-typ-wrong")
def typ_wrong(lab: Lab) -> None:
    """Refuses tokens of other kinds: `JWT`, `at+jwt`, `logout+jwt`."""
    for typ in ("JWT", "at+jwt", "logout+jwt"):
        _refused(
            lab,
            f"a token of `typ` `{typ}`",
            lambda lab, draft, typ=typ: jose.sign_raw(lab.emitter.key, _header(lab, typ=typ), jose.dump(draft.claims)),  # type: ignore[misc]
        )
        lab.leave()


@module("receiver", "extra-receiver-alg-none")
def alg_none(lab: Lab) -> None:
    """Refuses an unsigned SET, however `none` is written."""
    for alg in ("none", "None"):
        _refused(
            lab,
            f"a SET of `alg` `{alg}`",
            lambda lab, draft, alg=alg: jose.unsigned(_header(lab, alg=alg), jose.dump(draft.claims)),  # type: ignore[misc]
        )
        lab.leave()


@module("receiver", "extra-receiver-alg-hs256")
def alg_hs256(lab: Lab) -> None:
    """Refuses a SET that is authenticated by HMAC with the public key."""
    _refused(
        lab,
        "a SET of `alg` `HS256`",
        lambda lab, draft: jose.mac_with_public_key(
            lab.emitter.key, _header(lab, alg="HS256"), jose.dump(draft.claims)
        ),
    )


@module("receiver", "extra-receiver-duplicate-members")
def duplicate_members(lab: Lab) -> None:
    """Refuses JSON with repeated members, which two parsers read as two things."""

    def in_claims(lab: Lab, draft: Draft) -> str:
        payload = jose.dump(draft.claims)
        return jose.sign_raw(
            lab.emitter.key, _header(lab), payload[:-1] + b',"iss":' + jose.dump(draft.claims["iss"]) + b"}"
        )

    def in_subject(lab: Lab, draft: Draft) -> str:
        payload = jose.dump(draft.claims).replace(b'"format":"email"', b'"format":"email","email":"bob@example.com"')
        return jose.sign_raw(lab.emitter.key, _header(lab), payload)

    def in_header(lab: Lab, draft: Draft) -> str:
        return jose.sign_raw(lab.emitter.key, _header(lab)[:-1] + b',"typ":"secevent+jwt"}', jose.dump(draft.claims))

    for what, forge in (("claims", in_claims), ("`sub_id`", in_subject), ("header", in_header)):
        _refused(lab, f"a repeated member in the {what}", forge)
        lab.leave()


@module("receiver", "extra-receiver-crit")
def crit(lab: Lab) -> None:
    """Refuses a critical header parameter that it does not understand (RFC 7515 section 4.1.11)."""
    _refused(
        lab,
        "an unknown critical header parameter",
        lambda lab, draft: jose.sign_raw(
            lab.emitter.key, _header(lab, crit=["x_must"], x_must=True), jose.dump(draft.claims)
        ),
    )


@module("receiver", "extra-receiver-embedded-key")
def embedded_key(lab: Lab) -> None:
    """Does not trust a key that the token itself brings (`jwk`), under a `kid` that is known."""
    _refused(
        lab,
        "a SET signed with the key in its own header",
        lambda lab, draft: jose.sign_raw(
            lab.other_key(), _header(lab, jwk=lab.other_key().public()), jose.dump(draft.claims)
        ),
    )


@module("receiver", "extra-receiver-key-url")
def key_url(lab: Lab) -> None:
    """Does not fetch the keys that the token names (`jku`)."""
    fetched = lab.emitter.stray_keys

    def forge(lab: Lab, draft: Draft) -> str:
        other = lab.other_key()
        header = _header(lab, jku=lab.emitter.url("stray-jwks.json"), kid=other.kid)
        return jose.sign_raw(other, header, jose.dump(draft.claims))

    before = len(fetched)
    _refused(lab, "a SET that names the URL of its keys", forge)
    require(len(fetched) == before, "the receiver fetched the URL that a token named")


@module("receiver", "extra-receiver-weak-key")
def weak_key(lab: Lab) -> None:
    """Refuses a signature by an RSA key of 1024 bits, though it is published."""
    weak = jose.make_key("weak", "RS256", 1024)
    lab.emitter.published.append(weak)

    def forge(lab: Lab, draft: Draft) -> str:
        return jose.sign_raw(weak, _header(lab, alg="RS256", kid=weak.kid), jose.dump(draft.claims))

    _refused(lab, "a SET signed with a key of 1024 bits", forge)
