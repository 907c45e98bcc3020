"""Signing SETs, and the ways in which a broken transmitter gets them wrong."""

from __future__ import annotations

import time
from typing import Any

from .. import jose
from ..events import CAEP, SESSION_REVOKED, VERIFICATION
from ..sets import Draft


def mint(draft: Draft, key: jose.Key, faults: frozenset[str]) -> str:
    """Returns the signed SET; without faults exactly as drafted."""
    if not faults:
        return draft.token(key)
    _break_claims(draft, faults)
    _break_events(draft, faults)
    if "set-typ-jwt" in faults:
        draft.header["typ"] = "JWT"
    if "set-unknown-kid" in faults:
        draft.header["kid"] = "nobody"
    if "set-es256" in faults:
        key = jose.make_key("emitter-es", "ES256")
    if "set-unsigned" in faults:
        return jose.unsigned(jose.dump({**draft.header, "alg": "none"}), jose.dump(draft.claims))
    token = draft.token(key)
    return jose.corrupt(token) if "set-bad-signature" in faults else token


def _break_claims(draft: Draft, faults: frozenset[str]) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "set-has-sub": {"sub": "ada@example.com"},
        "set-has-exp": {"exp": int(time.time()) + 60},
        "set-wrong-iss": {"iss": "https://other.example.com"},
        "set-wrong-aud": {"aud": "https://other.example.com"},
        "set-future-iat": {"iat": int(time.time()) + 3600},
        "set-iat-milliseconds": {"iat": int(time.time() * 1000)},
        "set-sub-id-not-stream": {"sub_id": {"format": "opaque", "id": "another-stream"}},
    }
    for fault, claims in wrong.items():
        if fault in faults:
            draft.claims |= claims
    if "set-without-jti" in faults:
        draft.claims["jti"] = ""
    if "jti-repeated" in faults:
        draft.claims["jti"] = "the-only-one"
    if "set-without-sub-id" in faults:
        draft.claims.pop("sub_id")


def _break_events(draft: Draft, faults: frozenset[str]) -> None:
    events = draft.claims["events"]
    event, payload = next(iter(events.items()))
    if "set-two-events" in faults:
        events[SESSION_REVOKED + "-too"] = {}
    if event == VERIFICATION:
        if "state-lost" in faults:
            payload.pop("state", None)
        if "state-changed" in faults and "state" in payload:
            payload["state"] += "x"
    if event.startswith(CAEP):
        if "caep-timestamp-text" in faults:
            payload["event_timestamp"] = str(payload["event_timestamp"])
        if "caep-timestamp-milliseconds" in faults:
            payload["event_timestamp"] *= 1000
        if "caep-reason-text" in faults:
            payload["reason_admin"] = "because"
        if "caep-no-reason" in faults:
            payload.pop("reason_admin")
        if "caep-initiator-unknown" in faults:
            payload["initiating_entity"] = "robot"
        if "caep-member-missing" in faults:
            payload.pop("change_type", None)
