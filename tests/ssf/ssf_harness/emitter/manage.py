"""The stream management API (SSF 1.0 section 8.1) of the harness's transmitter."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..web import Reply, Request
from .state import Seen
from .stream import POLL, PUSH, RECEIVER_SUPPLIED, STATUSES, Stream, supplied_fault
from .tokens import MANAGE, READ

if TYPE_CHECKING:
    from .server import Emitter

METADATA_FAULTS = {
    "metadata-no-jwks": "jwks_uri",
    "metadata-no-delivery": "delivery_methods_supported",
    "metadata-no-schemes": "authorization_schemes",
    "metadata-no-version": "spec_version",
}
# Link-local addresses, where clouds keep their credentials; loopback stays open, for tests run there.
INTERNAL = re.compile(r"https?://169\.254\.")


class Refused(Exception):
    """The request ends with this reply."""

    def __init__(self, reply: Reply):
        super().__init__(reply.status)
        self.reply = reply


Action = Callable[["Emitter", Request, str], Reply]


def answer(emitter: Emitter, request: Request, name: str) -> Reply:
    """Answers one request of the management API and logs it."""
    action = _ROUTES.get((request.method, name))
    if action is None:
        return Reply.of(404 if name not in {path for _, path in _ROUTES} else 405, {"err": "not_found"})
    label, needed, act = action
    try:
        reply = act(emitter, request, authorize(emitter, request, needed, label))
    except Refused as refused:
        reply = refused.reply
    emitter.log.add(Seen(label, request, reply.status, _stream_id(request, reply), _quiet_json(request)))
    return reply


def authorize(emitter: Emitter, request: Request, scope: str, label: str) -> str:
    """Returns the owner whom the token names; raises `Refused` with 401 or 403."""
    if "access_token" in request.query:
        emitter.log.violation("an access token was sent in the query of a URL")
    token = request.bearer()
    if token is None and emitter.has("token-in-query-read") and label == "read":
        token = request.query.get("access_token")
    grant = emitter.tokens.grant(token)
    anonymous = (token is None and emitter.has(f"{label}-without-token")) or (
        token and emitter.has(f"{label}-any-token")
    )
    if grant is None and anonymous:
        return next(iter(emitter.settings.clients)).client_id
    if grant is None:
        error = "" if token is None else ', error="invalid_token"'
        headers = {} if emitter.has("no-challenge") else {"www-authenticate": f'Bearer realm="ssf"{error}'}
        raise Refused(Reply.of(401, {"err": "authentication_failed"}, **headers))
    allowed = scope in grant.scopes or (scope == READ and MANAGE in grant.scopes) or emitter.has("scopes-ignored")
    if not allowed:
        raise Refused(Reply.of(403, {"err": "access_denied"}, www_authenticate='Bearer error="insufficient_scope"'))
    return grant.owner


def _body(request: Request) -> dict[str, Any]:
    try:
        value = request.json()
    except ValueError as error:
        raise _bad(f"the body is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise _bad("the body is no object")
    return value


def _bad(text: str) -> Refused:
    return Refused(Reply.of(400, {"err": "invalid_request", "description": text}))


def _find(emitter: Emitter, owner: str, stream_id: Any, label: str) -> Stream:
    stream = emitter.streams.get(stream_id) if isinstance(stream_id, str) else None
    if stream is not None and (stream.owner == owner or emitter.has("streams-shared")):
        return stream
    if emitter.has(f"{label}-unknown-ok"):
        raise Refused(
            Reply.of(204 if label in ("delete", "verify") else 200, {"stream_id": stream_id, "status": "enabled"})
        )
    raise Refused(Reply.of(404, {"err": "not_found", "description": "there is no such stream"}))


def _document(emitter: Emitter, stream: Stream) -> dict[str, Any]:
    document = emitter.with_extra(stream.document(emitter.settings.min_verification_interval))
    if emitter.script.create_issuer is not None:
        document["iss"] = emitter.script.create_issuer
    if emitter.has("document-no-aud"):
        document.pop("aud")
    if emitter.has("document-shows-all-events"):
        document["events_delivered"] = emitter.supported
    if emitter.has("document-promises-unknown"):
        document["events_delivered"] = document["events_requested"]
    return document


def create(emitter: Emitter, request: Request, owner: str) -> Reply:
    if emitter.script.refuse_create is not None:
        return Reply.of(emitter.script.refuse_create, {"err": "invalid_request", "description": "not now"})
    try:
        body = _body(request)
        fault = supplied_fault(body)
    except Refused:
        if not emitter.has("create-lenient"):
            raise
        body, fault = {}, None
    if fault and not emitter.has("create-lenient"):
        emitter.log.violation(f"create: {fault}")
        raise _bad(fault)
    pushed_to = str(body.get("delivery", {}).get("endpoint_url", ""))
    if INTERNAL.match(pushed_to) and not emitter.has("push-anywhere"):
        raise _bad("`delivery.endpoint_url` is an internal address")
    if emitter.settings.one_stream and not emitter.has("create-many") and _of(emitter, owner):
        return Reply.of(409, {"err": "stream_exists"})
    if "delivery" not in body:
        if emitter.has("create-needs-delivery"):
            raise _bad("`delivery` is missing")
        assumed = (
            {"method": PUSH, "endpoint_url": "http://127.0.0.1:9/"}
            if emitter.has("create-assumes-push")
            else {"method": POLL}
        )
        body["delivery"] = assumed
    stream = emitter.open_stream(owner, {name: body[name] for name in RECEIVER_SUPPLIED if name in body})
    return Reply.of(200 if emitter.has("create-200") else 201, _document(emitter, stream))


def read(emitter: Emitter, request: Request, owner: str) -> Reply:
    if "stream_id" not in request.query:
        if emitter.has("list-is-object"):
            return Reply.of(200, {"streams": []})
        return Reply.of(200, [_document(emitter, stream) for stream in _of(emitter, owner)])
    return Reply.of(200, _document(emitter, _find(emitter, owner, request.query["stream_id"], "read")))


def update(emitter: Emitter, request: Request, owner: str) -> Reply:
    return _change(emitter, request, owner, "update")


def replace(emitter: Emitter, request: Request, owner: str) -> Reply:
    return _change(emitter, request, owner, "replace")


def _change(emitter: Emitter, request: Request, owner: str, label: str) -> Reply:
    try:
        body = _body(request)
    except Refused:
        if emitter.has(f"{label}-lenient"):
            return Reply.of(200, {})
        raise
    stream = _find(emitter, owner, body.get("stream_id"), label)
    fault = supplied_fault(body) or _transmitter_supplied_fault(emitter, stream, body)
    if fault and not emitter.has(f"{label}-lenient"):
        raise _bad(fault)
    given = {name: body[name] for name in RECEIVER_SUPPLIED if name in body}
    keeps = (label == "update") != (emitter.has(f"{label}-confused"))
    old_delivery = stream.delivery
    stream.supplied = {**stream.supplied, **given} if keeps else given
    if emitter.has("replace-confused-delivery"):
        stream.supplied["delivery"] = {**old_delivery, **stream.delivery}
    stream.outbox.wake()
    return Reply.of(200, _document(emitter, stream))


def _transmitter_supplied_fault(emitter: Emitter, stream: Stream, body: dict[str, Any]) -> str | None:
    mine = _document(emitter, stream)
    for name in ("iss", "aud", "events_supported", "events_delivered", "min_verification_interval"):
        if name in body and body[name] != mine.get(name):
            return f"`{name}` is not what the transmitter supplied"
    return None


def delete(emitter: Emitter, request: Request, owner: str) -> Reply:
    stream = _find(emitter, owner, request.query.get("stream_id"), "delete")
    emitter.close_stream(stream)
    return Reply.of(200, {}) if emitter.has("delete-200") else Reply(204)


def read_status(emitter: Emitter, request: Request, owner: str) -> Reply:
    stream = _find(emitter, owner, request.query.get("stream_id"), "status")
    return Reply.of(200, stream.status_document())


def set_status(emitter: Emitter, request: Request, owner: str) -> Reply:
    body = _body(request)
    if body.get("status") not in STATUSES:
        if emitter.has("status-any"):
            return Reply.of(200, {})
        emitter.log.violation(f"status: {body.get('status')!r} is no status")
        raise _bad("`status` is not enabled, paused or disabled")
    stream = _find(emitter, owner, body.get("stream_id"), "set-status")
    if body["status"] == "disabled" and not (emitter.has("disabled-holds") or emitter.has("disabled-sends")):
        stream.outbox.clear()
    if not emitter.has("status-unchanged"):
        stream.status, stream.reason = body["status"], body.get("reason")
    stream.outbox.wake()
    return Reply.of(200, stream.status_document())


def add_subject(emitter: Emitter, request: Request, owner: str) -> Reply:
    body = _body(request)
    stream = _find(emitter, owner, body.get("stream_id"), "subject")
    _subject(emitter, body)
    stream.subjects.append(body["subject"])
    return Reply.of(404, {}) if emitter.has("subjects-refused") else Reply(200)


def remove_subject(emitter: Emitter, request: Request, owner: str) -> Reply:
    body = _body(request)
    stream = _find(emitter, owner, body.get("stream_id"), "subject")
    _subject(emitter, body)
    stream.removed.append(body["subject"])
    return Reply.of(200, {}) if emitter.has("remove-200") else Reply(204)


def _subject(emitter: Emitter, body: dict[str, Any]) -> None:
    subject = body.get("subject")
    valid = isinstance(subject, dict) and isinstance(subject.get("format"), str) and len(subject) > 1
    if not valid and not emitter.has("subjects-lenient"):
        emitter.log.violation(f"subject: {subject!r} is no subject identifier")
        raise _bad("`subject` is no subject identifier")


def verify(emitter: Emitter, request: Request, owner: str) -> Reply:
    if emitter.has("verify-lenient"):
        return Reply(204) if _quiet_json(request) is None else _verify(emitter, request, owner)
    return _verify(emitter, request, owner)


def _verify(emitter: Emitter, request: Request, owner: str) -> Reply:
    body = _body(request)
    state = body.get("state")
    stream = _find(emitter, owner, body.get("stream_id"), "verify")
    if state is not None and not isinstance(state, str):
        raise _bad("`state` is no string")
    interval = emitter.settings.min_verification_interval
    if (
        stream.verified_at is not None
        and time.monotonic() - stream.verified_at < interval
        and not emitter.has("verify-unlimited")
    ):
        return Reply.of(429, {"err": "too_many_requests"}, retry_after=str(interval))
    if emitter.script.on_verify is not None:
        emitter.script.on_verify(stream, state)
    elif not emitter.has("verify-never-sent"):
        emitter.verify(stream, state)
    return Reply.of(200, {}) if emitter.has("verify-200") else Reply(204)


def _of(emitter: Emitter, owner: str) -> list[Stream]:
    return [stream for stream in emitter.streams.values() if stream.owner == owner]


def _quiet_json(request: Request) -> Any:
    try:
        return request.json() if request.body else None
    except ValueError:
        return None


def _stream_id(request: Request, reply: Reply) -> str | None:
    if "stream_id" in request.query:
        return request.query["stream_id"]
    body = _quiet_json(request)
    if isinstance(body, dict) and isinstance(body.get("stream_id"), str):
        return str(body["stream_id"])
    made = _quiet_json(Request("", "", {}, {}, reply.body))
    return made.get("stream_id") if isinstance(made, dict) else None


_ROUTES: dict[tuple[str, str], tuple[str, str, Action]] = {
    ("POST", "streams"): ("create", MANAGE, create),
    ("GET", "streams"): ("read", READ, read),
    ("PATCH", "streams"): ("update", MANAGE, update),
    ("PUT", "streams"): ("replace", MANAGE, replace),
    ("DELETE", "streams"): ("delete", MANAGE, delete),
    ("GET", "status"): ("status", READ, read_status),
    ("POST", "status"): ("set-status", MANAGE, set_status),
    ("POST", "subjects:add"): ("add-subject", MANAGE, add_subject),
    ("POST", "subjects:remove"): ("remove-subject", MANAGE, remove_subject),
    ("POST", "verify"): ("verify", MANAGE, verify),
}
