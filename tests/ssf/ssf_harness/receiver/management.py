"""Stream management by the receiver (SSF 1.0 section 8.1)."""

from __future__ import annotations

from typing import Any

from ..emitter.state import Seen
from ..emitter.stream import PUSH
from ..hooks import HookFailed
from ..modules import module
from ..result import Failure, Skip, require
from .lab import Lab

USES = ("verify", "poll", "status", "set-status", "update", "replace", "add-subject", "remove-subject")


def _check_create(lab: Lab, seen: Seen) -> None:
    body: dict[str, Any] = seen.body or {}
    require(
        seen.request.headers.get("content-type", "").startswith("application/json"),
        "create: not sent as application/json",
    )
    require(
        isinstance(body.get("events_requested"), list) and body["events_requested"], "create: no `events_requested`"
    )
    delivery = body.get("delivery", {})
    if lab.is_push:
        require(delivery.get("method") == PUSH and delivery.get("endpoint_url"), "create: no push `endpoint_url`")
    else:
        require("endpoint_url" not in delivery, "create: the poll `endpoint_url` is for the transmitter to supply")
    supplied = {"stream_id", "iss", "aud", "events_supported", "events_delivered"} & set(body)
    require(not supplied, f"create: {', '.join(sorted(supplied))} are for the transmitter to supply")


@module("receiver", "openid-ssf-receiver-happypath")
def happy_path(lab: Lab) -> None:
    """Creates, reads, updates (PATCH), replaces (PUT) and deletes a stream."""
    stream = lab.create()
    _check_create(lab, lab.log.of("create")[-1])
    discovered = lab.log.of("metadata")
    require(discovered, "the receiver did not read /.well-known/ssf-configuration of the issuer")
    seen = lab.driven("read", "read", stream_id=stream.stream_id)
    require(seen.stream_id in (None, stream.stream_id), "read: another stream")
    for action, verb in (("update", "PATCH"), ("replace", "PUT")):
        seen = lab.driven(action, action, stream_id=stream.stream_id)
        require(seen.stream_id == stream.stream_id, f"{verb}: `stream_id` is missing or wrong")
        if action == "replace":
            require((seen.body or {}).get("events_requested"), "PUT: replaces `events_requested` by nothing")
    require(stream.is_push == lab.is_push, f"after PUT the delivery is no longer {lab.delivery}")
    lab.delete(stream)


@module("receiver", "openid-ssf-receiver-stream-create-delete")
def create_delete(lab: Lab) -> None:
    """Creates and deletes a stream; stops polling it afterwards."""
    stream = lab.create()
    lab.delete(stream)
    since = len(lab.log.seen)
    polls = lab.quiet(lab.timing.grace_s, ("poll",), since, stream.stream_id)
    if polls:
        since = len(lab.log.seen)
        require(
            not lab.quiet(lab.timing.grace_s, ("poll",), since, stream.stream_id),
            "the receiver polls the stream it deleted",
        )


@module("receiver", "openid-ssf-receiver-stream-status-update")
def status_update(lab: Lab) -> None:
    """Reads the status, pauses, enables and deletes a stream."""
    stream = lab.create()
    lab.driven("read-status", "status", stream_id=stream.stream_id)
    for status in ("paused", "enabled"):
        seen = lab.driven("set-status", "set-status", stream_id=stream.stream_id, status=status)
        require(seen.stream_id == stream.stream_id, "status: `stream_id` is missing or wrong")
        require(stream.status == status, f"asked for `{status}`, the receiver set `{stream.status}`")
    lab.still_works(stream)
    lab.delete(stream)


@module("receiver", "openid-ssf-receiver-stream-issuer-mismatch")
def issuer_mismatch(lab: Lab) -> None:
    """Does not use a stream whose `iss` is not the issuer of the metadata (SSF 1.0 section 8.1.1.1)."""
    lab.emitter.script.create_issuer = lab.emitter.issuer + "/not-this-transmitter"
    since = len(lab.log.seen)
    for action in ("create", "verify"):
        try:
            lab.drive(action)
        except HookFailed:
            continue
    created = lab.log.wait("create", lab.timing.answer_s, since)
    require(created is not None, "the receiver created no stream")
    used = lab.quiet(lab.timing.abandoned_s, USES, since)
    require(not used, f"the receiver used a stream with a foreign `iss`: {used[0].action if used else ''}")


@module("receiver", "openid-ssf-receiver-stream-control-error-response")
def control_error_response(lab: Lab) -> None:
    """Survives refused management requests: reports them, does not hammer, uses no stream, works once they are granted."""
    for status in (400, 401, 403, 409, 429, 500, 503):
        _refused_create(lab, status)
    lab.emitter.script.refuse_create = None
    stream = lab.create()
    lab.still_works(stream)


def _refused_create(lab: Lab, status: int) -> None:
    lab.emitter.script.refuse_create = status
    since = len(lab.log.seen)
    try:
        answer = lab.drive("create")
        require(answer.get("stream_id") is None, f"create refused with {status}: the receiver says it has a stream")
    except HookFailed:
        pass
    require(
        lab.log.wait("create", lab.timing.answer_s, since, good=False), "the receiver did not try to create a stream"
    )
    used = lab.quiet(lab.timing.grace_s, USES, since)
    require(
        not used,
        f"create refused with {status}: the receiver used a stream all the same: {used[0].action if used else ''}",
    )
    tries = len(lab.log.of("create", since=since))
    require(tries <= lab.config.retries, f"create refused with {status}: tried {tries} times in {lab.timing.grace_s} s")


@module("receiver", "openid-ssf-receiver-access-token-expiry")
def access_token_expiry(lab: Lab) -> None:
    """Gets a new access token when its token has expired, and goes on."""
    lab.emitter.tokens.revoke_static()
    lab.emitter.tokens.lifetime_s = lab.timing.token_s
    stream = lab.create()
    if not lab.log.of("token"):
        raise Skip("the receiver does not get its tokens at the token endpoint")
    issued = lab.emitter.tokens.issued
    lab.quiet(lab.timing.token_s + 1, ("never",), 0)
    since = len(lab.log.seen)
    try:
        lab.drive("read", stream_id=stream.stream_id)
    except HookFailed as error:
        raise Failure(f"after the expiry of its token: {error}") from error
    require(
        lab.log.wait("read", lab.timing.answer_s, since),
        "after the expiry of its token the receiver could not read the stream",
    )
    require(lab.emitter.tokens.issued > issued, "no new token was asked for")
    refused = [seen for seen in lab.log.of("read", since=since) if seen.status == 401]
    require(len(refused) <= 2, f"{len(refused)} requests were sent with the expired token")
    lab.still_works(stream)
