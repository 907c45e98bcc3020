"""Security event tokens: how the harness makes them, and what it asks of those it is sent (RFC 8417, SSF 1.0 section 4)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import jose
from .events import CAEP, SSF, VERIFICATION, caep_faults
from .result import Failure, require

TYP = "secevent+jwt"
# Clocks of two machines may differ by so many seconds.
SKEW = 5


@dataclass
class Draft:
    """A SET before it is signed; tests change what they like."""

    header: dict[str, Any]
    claims: dict[str, Any]

    @property
    def jti(self) -> str:
        return str(self.claims.get("jti", ""))

    def token(self, key: jose.Key) -> str:
        return jose.sign(key, {**self.header, "kid": self.header.get("kid", key.kid)}, jose.dump(self.claims))

    def raw(self, key: jose.Key) -> str:
        """Signs header and claims as they stand: joserfc would refuse some of these headers."""
        header = {"alg": key.alg, "kid": key.kid, **self.header}
        return jose.sign_raw(key, jose.dump(header), jose.dump(self.claims))


def draft(issuer: str, audience: Any, subject: Mapping[str, Any], event: str, payload: Mapping[str, Any]) -> Draft:
    """Returns a SET of one event as it should be."""
    claims = {
        "iss": issuer,
        "aud": audience,
        "iat": int(time.time()),
        "jti": uuid.uuid4().hex,
        "txn": uuid.uuid4().hex,
        "sub_id": dict(subject),
        "events": {event: dict(payload)},
    }
    return Draft({"typ": TYP}, claims)


def stream_subject(stream_id: str) -> dict[str, Any]:
    """Returns the subject of events about the stream itself."""
    return {"format": "opaque", "id": stream_id}


@dataclass(frozen=True)
class Expected:
    """What every SET on a stream must carry."""

    issuer: str
    audience: Any
    stream_id: str
    jwks: Mapping[str, Any]


@dataclass(frozen=True)
class Received:
    """A SET that met every condition."""

    jti: str
    event: str
    payload: dict[str, Any]
    claims: dict[str, Any]

    @property
    def state(self) -> str | None:
        """The `state` of a verification event."""
        return self.payload.get("state")


def check(token: str, expected: Expected) -> Received:
    """Checks signature, header, claims and event; raises `Failure` that names the first thing wrong."""
    try:
        header, claims = jose.open_token(token, expected.jwks)
    except ValueError as error:
        raise Failure(f"SET: {error}") from error
    require(str(header.get("typ", "")).lower() == TYP, f"SET: `typ` is {header.get('typ')!r}, not `{TYP}`")
    require(header["alg"] == "RS256", f"SET: `alg` is `{header['alg']}`, the interoperability profile asks for RS256")
    _check_claims(claims, expected)
    return _check_event(claims, expected)


def _check_claims(claims: dict[str, Any], expected: Expected) -> None:
    for name in ("sub", "exp"):
        require(name not in claims, f"SET: `{name}` must not be present")
    require(claims.get("iss") == expected.issuer, f"SET: `iss` is {claims.get('iss')!r}, not {expected.issuer!r}")
    require(_audiences(claims.get("aud")), "SET: `aud` is missing or malformed")
    same = set(_audiences(claims.get("aud"))) == set(_audiences(expected.audience))
    require(same, f"SET: `aud` is {claims.get('aud')!r}, that of the stream is {expected.audience!r}")
    jti, iat = claims.get("jti"), claims.get("iat")
    require(isinstance(jti, str) and jti, "SET: `jti` is missing")
    require(isinstance(iat, (int, float)) and not isinstance(iat, bool), f"SET: `iat` is {iat!r}, no number")
    require(iat <= time.time() + SKEW, f"SET: `iat` {iat} is in the future")  # type: ignore[operator]


def _check_event(claims: dict[str, Any], expected: Expected) -> Received:
    events = claims.get("events")
    require(isinstance(events, dict) and len(events) == 1, f"SET: `events` must hold one event, is {events!r}")
    event, payload = next(iter(events.items()))  # type: ignore[union-attr]
    require(isinstance(payload, dict), f"SET: the payload of `{event}` is no object")
    subject = claims.get("sub_id")
    require(isinstance(subject, dict) and subject.get("format"), f"SET: `sub_id` is {subject!r}, no subject identifier")
    if event.startswith(SSF):
        wanted = stream_subject(expected.stream_id)
        require(subject == wanted, f"SET: `sub_id` of `{event}` is {subject!r}, not {wanted!r}")
    if event == VERIFICATION:
        require(isinstance(payload.get("state", ""), str), "SET: `state` is no string")
    if event.startswith(CAEP):
        faults = caep_faults(event, payload)
        require(not faults, f"SET: `{event}`: {'; '.join(faults)}")
    return Received(claims["jti"], event, payload, claims)


def _audiences(value: Any) -> list[str]:
    texts = value if isinstance(value, list) else [value]
    return texts if texts and all(isinstance(text, str) and text for text in texts) else []
