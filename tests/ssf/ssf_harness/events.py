"""The catalog of event types: CAEP 1.0, RISC 1.0, SSF 1.0 and RFC 9967, with a sample of each and CAEP's schemas."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
SSF = "https://schemas.openid.net/secevent/ssf/event-type/"
SCIM = "urn:ietf:params:scim:event:"

VERIFICATION = SSF + "verification"
STREAM_UPDATED = SSF + "stream-updated"
SESSION_REVOKED = CAEP + "session-revoked"
INTEROP = (SESSION_REVOKED, CAEP + "credential-change", CAEP + "device-compliance-change")

_CAEP_SAMPLES: dict[str, dict[str, Any]] = {
    "session-revoked": {},
    "token-claims-change": {"claims": {"nationalities": ["DE"]}},
    "credential-change": {"credential_type": "x509", "change_type": "revoke", "x509_serial": "1f"},
    "assurance-level-change": {"namespace": "NIST-AAL", "current_level": "nist-aal1", "previous_level": "nist-aal2"},
    "device-compliance-change": {"current_status": "not-compliant", "previous_status": "compliant"},
    "session-established": {"fp_ua": "abb0b6e7da81a42233f8f2b1a8ddb1b9", "acr": "phr", "amr": ["fpt"]},
    "session-presented": {"fp_ua": "abb0b6e7da81a42233f8f2b1a8ddb1b9"},
    "risk-level-change": {"principal": "USER", "current_level": "HIGH", "previous_level": "LOW"},
}
_RISC_SAMPLES: dict[str, dict[str, Any]] = {
    "account-credential-change-required": {},
    "account-purged": {},
    "account-disabled": {"reason": "hijacking"},
    "account-enabled": {},
    "identifier-changed": {"new-value": "ada.new@example.com"},
    "identifier-recycled": {},
    "credential-compromise": {"credential_type": "password"},
    "opt-in": {},
    "opt-out-initiated": {},
    "opt-out-cancelled": {},
    "opt-out-effective": {},
    "recovery-activated": {},
    "recovery-information-changed": {},
    "sessions-revoked": {},
}
_SCIM_SAMPLES: dict[str, dict[str, Any]] = {
    "feed:add": {},
    "feed:remove": {},
    "prov:create:notice": {"attributes": ["id", "userName"]},
    "prov:create:full": {"data": {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada"}},
    "prov:patch:notice": {"attributes": ["title"]},
    "prov:patch:full": {
        "data": {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": "title", "value": "Engineer"}],
        }
    },
    "prov:put:notice": {"attributes": ["userName", "title"]},
    "prov:put:full": {"data": {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada"}},
    "prov:delete": {},
    "prov:activate": {},
    "prov:deactivate": {},
    "misc:asyncresp": {
        "data": {"method": "DELETE", "status": "204", "location": "https://scim.example.com/Users/2b2f880a"}
    },
}

SAMPLES: dict[str, dict[str, Any]] = {
    **{CAEP + name: sample for name, sample in _CAEP_SAMPLES.items()},
    **{RISC + name: sample for name, sample in _RISC_SAMPLES.items()},
    **{SCIM + name: sample for name, sample in _SCIM_SAMPLES.items()},
}

DEFAULT_SUBJECTS: dict[str, dict[str, Any]] = {
    "email": {"format": "email", "email": "ada@example.com"},
    "iss_sub": {"format": "iss_sub", "iss": "https://idp.example.com/", "sub": "145234573"},
    "opaque": {"format": "opaque", "id": "11112222333344445555"},
    "scim": {"format": "scim", "uri": "/Users/2b2f880af6674ac284bae9381673d462", "externalId": "ada"},
    "complex": {
        "format": "complex",
        "user": {"format": "email", "email": "ada@example.com"},
        "session": {"format": "opaque", "id": "dMTlD|1600802906337.16|16008.16"},
    },
}


def sample(event: str) -> dict[str, Any]:
    """Returns the payload of one event of that type, as of now."""
    payload = dict(SAMPLES[event])
    if event.startswith(CAEP):
        payload |= {
            "event_timestamp": int(time.time()),
            "initiating_entity": "policy",
            "reason_admin": {"en": "conformance harness"},
            "reason_user": {"en": "access changed"},
        }
    return payload


def subject_formats(event: str) -> tuple[str, ...]:
    """Returns the formats of subject with which that event is sent, most usual first."""
    if event.startswith(SCIM):
        return ("scim",)
    if event in (RISC + "identifier-changed", RISC + "identifier-recycled"):
        return ("email",)
    return ("email", "iss_sub", "opaque", "complex")


Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _seconds(value: Any) -> bool:
    # 2^33 seconds is the year 2242: more than that are milliseconds.
    return _number(value) and value < 2**33


def _one_of(*values: str) -> Check:
    return lambda value: value in values


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(_text(part) for part in value)


def _reasons(value: Any) -> bool:
    tag = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z")
    return (
        isinstance(value, dict) and bool(value) and all(tag.match(name) and _text(text) for name, text in value.items())
    )


def _claims(value: Any) -> bool:
    return isinstance(value, dict) and bool(value)


_COMMON: dict[str, Check] = {
    "event_timestamp": _seconds,
    "initiating_entity": _one_of("admin", "user", "policy", "system"),
    "reason_admin": _reasons,
    "reason_user": _reasons,
}
_COMPLIANCE = _one_of("compliant", "not-compliant")
_RISK = _one_of("LOW", "MEDIUM", "HIGH")
_CHANGE = _one_of("create", "revoke", "update", "delete")

# By CAEP event: members that must be there, members that may be.
_SCHEMAS: dict[str, tuple[dict[str, Check], dict[str, Check]]] = {
    "session-revoked": ({}, {}),
    "token-claims-change": ({"claims": _claims}, {}),
    "credential-change": (
        {"credential_type": _text, "change_type": _CHANGE},
        {"friendly_name": _text, "x509_issuer": _text, "x509_serial": _text, "fido2_aaguid": _text},
    ),
    "assurance-level-change": (
        {"namespace": _text, "current_level": _text},
        {"previous_level": _text, "change_direction": _one_of("increase", "decrease")},
    ),
    "device-compliance-change": ({"current_status": _COMPLIANCE, "previous_status": _COMPLIANCE}, {}),
    "session-established": ({}, {"fp_ua": _text, "acr": _text, "amr": _texts, "ext_id": _text}),
    "session-presented": ({}, {"fp_ua": _text, "ext_id": _text}),
    "risk-level-change": (
        {"principal": _text, "current_level": _RISK},
        {"previous_level": _RISK, "risk_reason": _text},
    ),
}


def caep_faults(event: str, payload: Any) -> list[str]:
    """Returns what is wrong with the payload of a CAEP event; nothing for events that CAEP does not define."""
    schema = _SCHEMAS.get(event.removeprefix(CAEP)) if event.startswith(CAEP) else None
    if schema is None:
        return []
    if not isinstance(payload, dict):
        return ["the event is not an object"]
    needed, allowed = schema
    missing = [f"`{name}` is missing" for name in needed if name not in payload]
    checks = {**_COMMON, **allowed, **needed}
    wrong = [
        f"`{name}` is {payload[name]!r}"
        for name, check in checks.items()
        if name in payload and not check(payload[name])
    ]
    return missing + wrong
