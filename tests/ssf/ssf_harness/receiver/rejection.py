"""SETs that are well signed, or nearly, and must be refused all the same."""

from __future__ import annotations

import time

from .. import jose
from ..emitter.outbox import Item
from ..emitter.push import PushTarget, deliver
from ..events import CAEP, SESSION_REVOKED
from ..modules import PUSH, module
from ..result import Skip, require
from .lab import Lab, with_claims


@module("receiver", "openid-ssf-receiver-invalid-set-rejection")
def invalid_set_rejection(lab: Lab) -> None:
    """Refuses a corrupted signature, a wrong `iss`, a wrong `aud` and an unknown key, each with the right code."""
    stream = lab.create()
    lab.answers_verification(stream)
    key = lab.emitter.key
    draft = lab.draft(stream)
    lab.refuses(
        stream, "a corrupted signature", draft, jose.corrupt(draft.token(key)), {"invalid_key", "invalid_request"}
    )
    draft = with_claims(lab.draft(stream), {"iss": "https://not-this-transmitter.example"})
    lab.refuses(stream, "a wrong `iss`", draft, draft.token(key), {"invalid_issuer"})
    draft = with_claims(lab.draft(stream), {"aud": "https://not-this-receiver.example"})
    lab.refuses(stream, "a wrong `aud`", draft, draft.token(key), {"invalid_audience"})
    draft = lab.draft(stream)
    lab.refuses(stream, "an unknown key", draft, draft.token(lab.other_key()), {"invalid_key"})
    lab.still_works(stream)


def _refused_claim(lab: Lab, what: str, claims: dict[str, object]) -> None:
    stream = lab.create()
    draft = with_claims(lab.draft(stream), claims)
    lab.refuses(stream, what, draft, draft.token(lab.emitter.key))
    lab.still_works(stream)


@module("receiver", "extra-receiver-sub-present")
def sub_present(lab: Lab) -> None:
    """Refuses a SET with `sub` (SSF 1.0 section 4.1.2)."""
    _refused_claim(lab, "a SET with `sub`", {"sub": "ada@example.com"})


@module("receiver", "extra-receiver-exp-present")
def exp_present(lab: Lab) -> None:
    """Refuses a SET with `exp` (SSF 1.0 section 4.1.7)."""
    _refused_claim(lab, "a SET with `exp`", {"exp": int(time.time()) + 600})


@module("receiver", "extra-receiver-future-iat")
def future_iat(lab: Lab) -> None:
    """Refuses a SET that was issued an hour from now."""
    _refused_claim(lab, "a SET from the future", {"iat": int(time.time()) + 3600})


@module("receiver", "extra-receiver-iat-text")
def iat_text(lab: Lab) -> None:
    """Refuses an `iat` that is a string."""
    _refused_claim(lab, "a SET with an `iat` that is a string", {"iat": str(int(time.time()))})


@module("receiver", "extra-receiver-no-events")
def no_events(lab: Lab) -> None:
    """Refuses a SET whose `events` is empty."""
    _refused_claim(lab, "a SET without an event", {"events": {}})


@module("receiver", "extra-receiver-two-events")
def two_events(lab: Lab) -> None:
    """Refuses two events in one SET (CAEP Interoperability Profile), unless the receiver is known to take them."""
    if lab.config.multi_event_support:
        raise Skip("`multi_event_support` is configured")
    events = {
        SESSION_REVOKED: {},
        CAEP + "device-compliance-change": {"current_status": "not-compliant", "previous_status": "compliant"},
    }
    _refused_claim(lab, "a SET with two events", {"events": events})


@module("receiver", "extra-receiver-no-subject")
def no_subject(lab: Lab) -> None:
    """Refuses a SET that is about nobody."""
    stream = lab.create()
    draft = lab.draft(stream)
    draft.claims.pop("sub_id")
    lab.refuses(stream, "a SET without a subject", draft, draft.token(lab.emitter.key))
    lab.still_works(stream)


@module("receiver", "extra-receiver-no-jti", (PUSH,))
def no_jti(lab: Lab) -> None:
    """Refuses a SET without `jti`, which it could not recognize when it comes again."""
    stream = lab.create()
    draft = lab.draft(stream)
    draft.claims.pop("jti")
    lab.refuses(stream, "a SET without `jti`", draft, draft.token(lab.emitter.key))
    lab.still_works(stream)


@module("receiver", "extra-receiver-critical-subject-member")
def critical_subject_member(lab: Lab) -> None:
    """Discards a SET whose subject has a member that the transmitter called critical and that it cannot process."""
    lab.emitter.critical_subject_members = ["x_clearance_zone"]
    stream = lab.create()
    draft = lab.draft(stream)
    draft.claims["sub_id"] = {
        "format": "complex",
        "user": lab.subject(),
        "x_clearance_zone": {"format": "opaque", "id": "zone-7"},
    }
    outcome = lab.send_bad(stream, draft, draft.token(lab.emitter.key))
    if outcome.accepted:
        # "Discard" may be silent: what counts is then that it had no effect, which only an observer can tell.
        lab.notes.warn("a SET with an unknown critical subject member was acknowledged; see the module on effects")
    else:
        lab.rejected(outcome, "an unknown critical subject member")
    lab.still_works(stream)


@module("receiver", "extra-receiver-oversized-set")
def oversized(lab: Lab) -> None:
    """Refuses a SET of some megabytes without harm."""
    stream = lab.create()
    draft = with_claims(lab.draft(stream), {"x_padding": "a" * lab.config.oversized_bytes})
    outcome = lab.send_bad(stream, draft, draft.token(lab.emitter.key))
    require(not outcome.accepted, "a SET of megabytes was accepted")
    cut_off = outcome.status is None and outcome.error is not None
    if lab.is_push and not cut_off:
        lab.rejected(outcome, "a SET of megabytes", statuses=(400, 413))
    lab.still_works(stream)


@module("receiver", "extra-receiver-push-authorization", (PUSH,))
def push_authorization(lab: Lab) -> None:
    """Refuses a push without the `Authorization` header that it asked for, or with another."""
    stream = lab.create()
    wanted = stream.delivery.get("authorization_header")
    if not wanted:
        raise Skip("the receiver asked for no `authorization_header`")
    for what, header in (("without", None), ("with another", "Bearer not-the-one"), ("with a longer", wanted + "x")):
        draft = lab.draft(stream)
        target = PushTarget(stream.delivery["endpoint_url"], header)
        outcome = deliver(target, Item(draft.jti, draft.token(lab.emitter.key)))
        lab.rejected(
            outcome,
            f"a push {what} `Authorization` header",
            {"authentication_failed", "access_denied"},
            (400, 401, 403),
        )
    lab.still_works(stream)


@module("receiver", "extra-receiver-push-content-type", (PUSH,))
def push_content_type(lab: Lab) -> None:
    """Refuses a push that is not `application/secevent+jwt`."""
    stream = lab.create()
    draft = lab.draft(stream)
    target = PushTarget(stream.delivery["endpoint_url"], stream.delivery.get("authorization_header"), "text/plain")
    lab.rejected(
        deliver(target, Item(draft.jti, draft.token(lab.emitter.key))), "a push of text/plain", statuses=(400, 415)
    )
    lab.still_works(stream)


@module("receiver", "extra-receiver-not-a-jws")
def not_a_jws(lab: Lab) -> None:
    """Refuses bodies that are no compact JWS."""
    stream = lab.create()
    draft = lab.draft(stream)
    token = draft.token(lab.emitter.key)
    broken = {
        "two parts": token.rsplit(".", 1)[0],
        "four parts": token + ".x",
        "padding": token + "==",
        "no base64": "a.b*.c",
    }
    for what, text in broken.items():
        fresh = lab.draft(stream)
        lab.refuses(stream, f"a token with {what}", fresh, text)
    lab.still_works(stream)
