"""Checks of a SET by the reference receiver; each fault of `faults` leaves one of them out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc.jwk import RSAKey, import_key

from .. import jose
from ..events import SCIM, STREAM_UPDATED, VERIFICATION
from ..strict import parse_json

SIZE_LIMIT = 256 * 1024
REFETCH_S = 0.4
KNOWN = {"iss", "aud", "iat", "jti", "txn", "sub_id", "events", "sub", "exp"}
FORMATS = {"email", "iss_sub", "opaque", "complex", "scim", "phone_number", "account"}


class Rejected(Exception):
    """The SET is refused with this registered code."""

    def __init__(self, err: str, description: str):
        super().__init__(description)
        self.err, self.description = err, description


@dataclass
class Known:
    """What the receiver knows of one stream."""

    stream_id: str
    issuer: str
    audience: str
    jwks_uri: str
    critical: list[str] = field(default_factory=list)
    state: str | None = None
    verified: bool = False
    removed: list[Any] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)
    fetched_at: float | None = None


Fetch = Callable[[str], dict[str, Any]]


class Validator:
    """Says what is in a SET, or raises `Rejected`."""

    def __init__(self, faults: frozenset[str], fetch: Fetch):
        self._faults, self._fetch = faults, fetch

    def open(self, token: str, known: Known) -> dict[str, Any]:
        """Returns the claims."""
        self._unless("accept-oversized", len(token) > SIZE_LIMIT, "invalid_request", "the SET is too large")
        header, claims = self._parse(token)
        self._check_header(header)
        self._check_parties(claims, known)
        self._check_signature(token, header, known)
        self._check_claims(claims)
        self._check_event(claims, known)
        return claims

    def _unless(self, fault: str, wrong: object, err: str, text: str) -> None:
        if wrong and fault not in self._faults:
            raise Rejected("invalid_request" if "err-always-general" in self._faults else err, text)

    def _parse(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        parse = json.loads if "accept-duplicates" in self._faults else parse_json
        parts = token.split(".")
        if "accept-four-parts" in self._faults:
            parts = parts[:3]
        try:
            header, claims = (parse(jose.decode(part)) for part in parts[:2])
        except ValueError as error:
            raise Rejected("invalid_request", f"no SET: {error}") from error
        if len(parts) != 3 or not isinstance(header, dict) or not isinstance(claims, dict):
            raise Rejected("invalid_request", "no compact JWS of a JSON object")
        return header, claims

    def _check_header(self, header: dict[str, Any]) -> None:
        typ = header.get("typ")
        self._unless("accept-no-typ", typ is None, "invalid_request", "`typ` is missing")
        self._unless("accept-any-typ", typ is not None and typ != "secevent+jwt", "invalid_request", "`typ` is wrong")
        alg = str(header.get("alg"))
        self._unless("accept-none", alg.lower() == "none", "invalid_key", "`alg` none")
        self._unless("accept-hmac", alg.startswith("HS"), "invalid_key", "`alg` is no signature")
        self._unless("ignore-crit", "crit" in header, "invalid_request", "`crit` is not understood")

    def _check_parties(self, claims: dict[str, Any], known: Known) -> None:
        self._unless("accept-wrong-iss", claims.get("iss") != known.issuer, "invalid_issuer", "another issuer")
        audience = claims.get("aud")
        is_list = isinstance(audience, list) and "refuse-audience-list" not in self._faults
        named = list(audience) if is_list else [audience]  # type: ignore[arg-type]
        self._unless("accept-wrong-aud", known.audience not in named, "invalid_audience", "another audience")

    def _check_signature(self, token: str, header: dict[str, Any], known: Known) -> None:
        if {"accept-none", "accept-hmac"} & self._faults and header["alg"] not in ("RS256", "ES256"):
            return
        jwk = self._key(header, known)
        self._unless("accept-unknown-kid", jwk is None, "invalid_key", "no such key")
        if jwk is None:
            return
        key = import_key({name: jwk[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in jwk})
        self._unless("accept-weak-key", _is_weak(key), "invalid_key", "the key is too short")
        signed, _, signature = ".".join(token.split(".")[:3]).rpartition(".")
        if not _is_valid(key, signed.encode(), signature):
            self._unless("accept-bad-signature", True, "invalid_key", "the signature is not valid")

    def _key(self, header: dict[str, Any], known: Known) -> dict[str, Any] | None:
        if "trust-embedded-key" in self._faults and "jwk" in header:
            return dict(header["jwk"])
        if "fetch-key-url" in self._faults and "jku" in header:
            return dict(self._fetch(header["jku"])["keys"][0])
        kid = header.get("kid")
        found = _of(known.keys, kid)
        if found is None and self._may_fetch(known):
            fresh = self._fetch(known.jwks_uri)["keys"]
            known.keys = [*known.keys, *fresh] if "keep-old-keys" in self._faults else fresh
            known.fetched_at = time.monotonic()
            found = _of(known.keys, kid)
        return found

    def _may_fetch(self, known: Known) -> bool:
        if known.fetched_at is None or "fetch-each-time" in self._faults:
            return True
        return "never-refetch" not in self._faults and time.monotonic() - known.fetched_at >= REFETCH_S

    def _check_claims(self, claims: dict[str, Any]) -> None:
        self._unless("accept-sub", "sub" in claims, "invalid_request", "`sub` is present")
        self._unless("accept-exp", "exp" in claims, "invalid_request", "`exp` is present")
        iat = claims.get("iat")
        numeric = isinstance(iat, (int, float)) and not isinstance(iat, bool)
        self._unless("accept-iat-text", not numeric, "invalid_request", "`iat` is no number")
        late = isinstance(iat, (int, float)) and iat > time.time() + 60
        self._unless("accept-future", late, "invalid_request", "`iat` is in the future")
        self._unless("accept-no-jti", not claims.get("jti"), "invalid_request", "`jti` is missing")
        if "refuse-unknown-members" in self._faults and set(claims) - KNOWN:
            raise Rejected("invalid_request", "unknown claims")

    def _check_event(self, claims: dict[str, Any], known: Known) -> None:
        events = claims.get("events")
        self._unless("accept-no-events", not events, "invalid_request", "no event")
        self._unless("accept-two-events", isinstance(events, dict) and len(events) > 1, "invalid_request", "two events")
        subject = claims.get("sub_id")
        self._unless("accept-no-subject", not isinstance(subject, dict), "invalid_request", "no `sub_id`")
        event = next(iter(events or {}), "")
        payload = (events or {}).get(event, {})
        if event == VERIFICATION:
            self._check_verification(payload, subject, known)
        elif "refuse-before-verification" in self._faults and known.state is not None and not known.verified:
            raise Rejected("invalid_request", "a verification event is awaited")
        self._picky(event, subject, known)

    def _check_verification(self, payload: dict[str, Any], subject: Any, known: Known) -> None:
        other = subject != {"format": "opaque", "id": known.stream_id}
        self._unless("accept-wrong-subject", other, "invalid_request", "about another stream")
        state = payload.get("state")
        if state is None and "refuse-unsolicited" in self._faults:
            raise Rejected("invalid_request", "nobody asked")
        self._unless("accept-wrong-state", state is not None and state != known.state, "invalid_state", "another state")
        if "refuse-verification" in self._faults and state is not None:
            raise Rejected("invalid_request", "no verification today")
        known.verified = True

    def _picky(self, event: str, subject: Any, known: Known) -> None:
        form = subject.get("format") if isinstance(subject, dict) else None
        refused = {
            "refuse-scim": event.startswith(SCIM),
            "refuse-stream-updated": event == STREAM_UPDATED,
            "refuse-iss-sub": form == "iss_sub",
            "refuse-complex": form == "complex",
            "refuse-removed-subject": subject in known.removed,
        }
        for fault, applies in refused.items():
            if applies and fault in self._faults:
                raise Rejected("invalid_request", fault)
        members = set(subject or {}) if form == "complex" else set()
        unknown = members & set(known.critical)
        self._unless(
            "ignore-critical-members", unknown, "invalid_request", "a critical subject member is not understood"
        )


def _of(keys: list[dict[str, Any]], kid: Any) -> dict[str, Any] | None:
    return next((key for key in keys if key.get("kid") == kid), None)


def _is_weak(key: Any) -> bool:
    return isinstance(key, RSAKey) and key.public_key.key_size < 2048


def _is_valid(key: Any, signed: bytes, signature: str) -> bool:
    """Checks the signature by hand, and not by the library with which the harness signs."""
    try:
        raw = jose.decode(signature)
        if isinstance(key, RSAKey):
            key.public_key.verify(raw, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            pair = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
            key.public_key.verify(encode_dss_signature(*pair), signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True
