"""Poll delivery (RFC 8936) of the harness's transmitter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..web import Reply, Request
from .manage import Refused, authorize
from .state import Seen
from .stream import Stream
from .tokens import READ

if TYPE_CHECKING:
    from .server import Emitter

MOST = 100


def answer(emitter: Emitter, request: Request, name: str) -> Reply:
    """Takes acknowledgements and reports, then offers what is due; waits for it if the poll is a long one."""
    try:
        owner = "*" if emitter.has("poll-without-token") else authorize(emitter, request, READ, "poll")
        stream = _stream(emitter, name, owner)
        asked = _asked(emitter, request)
    except Refused as refused:
        emitter.log.add(Seen("poll", request, refused.reply.status, name))
        return refused.reply
    emitter.log.add(Seen("poll", request, 200, stream.stream_id, asked))
    _settle(emitter, stream, asked)
    return Reply.of(200, _offer(emitter, stream, asked))


def _stream(emitter: Emitter, name: str, owner: str) -> Stream:
    if name == "all":
        return next(iter(emitter.streams.values()))
    stream = emitter.streams.get(name)
    mine = stream is not None and (owner in ("*", stream.owner) or emitter.has("streams-shared"))
    if stream is None or not mine or stream.is_push:
        raise Refused(Reply.of(404, {"err": "not_found"}))
    return stream


def _asked(emitter: Emitter, request: Request) -> dict[str, Any]:
    fault = None
    try:
        asked = request.json()
        fault = poll_fault(asked)
    except ValueError as error:
        asked, fault = {}, f"the body is no JSON: {error}"
    if not fault and asked.get("setErrs") and "content-language" not in request.headers:
        emitter.log.violation("poll: `setErrs` without the header Content-Language")
    if not fault and asked.get("setErrs") and emitter.has("set-errs-refused"):
        fault = "`setErrs` is not supported"
    if fault and emitter.has("poll-lenient"):
        return {"returnImmediately": True}
    if fault:
        emitter.log.violation(f"poll: {fault}")
        raise Refused(Reply.of(400, {"err": "invalid_request", "description": fault}))
    return dict(asked)


def poll_fault(asked: Any) -> str | None:
    """Returns what is wrong with the body of a poll (RFC 8936 section 2.2)."""
    if not isinstance(asked, dict):
        return "the body is no object"
    most = asked.get("maxEvents", 0)
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        return f"`maxEvents` is {most!r}"
    if not isinstance(asked.get("returnImmediately", False), bool):
        return "`returnImmediately` is no boolean"
    acks = asked.get("ack", [])
    if not isinstance(acks, list) or not all(isinstance(jti, str) for jti in acks):
        return "`ack` is no list of strings"
    errors = asked.get("setErrs", {})
    if not isinstance(errors, dict) or not all(_is_report(report) for report in errors.values()):
        return "`setErrs` is no object of `err` and `description`"
    return None


def _is_report(report: Any) -> bool:
    return (
        isinstance(report, dict) and isinstance(report.get("err"), str) and isinstance(report.get("description"), str)
    )


def _settle(emitter: Emitter, stream: Stream, asked: dict[str, Any]) -> None:
    if emitter.has("poll-ignores-ack"):
        return
    for jti in asked.get("ack", []):
        stream.outbox.end(jti, None)
    for jti, report in asked.get("setErrs", {}).items():
        stream.outbox.end(jti, report)


def _offer(emitter: Emitter, stream: Stream, asked: dict[str, Any]) -> dict[str, Any]:
    most = MOST if emitter.has("poll-ignores-max") else min(asked.get("maxEvents", MOST), MOST)
    if most == 0 or not emitter.may_deliver(stream):
        return {"sets": {}}
    wait_s = 0 if asked.get("returnImmediately") or emitter.has("poll-never-waits") else emitter.settings.long_poll_s
    items, more = stream.outbox.offer(most, wait_s)
    if not emitter.may_deliver(stream):
        return {"sets": {}}
    if emitter.has("poll-forgets-unacked"):
        for item in items:
            stream.outbox.drop(item)
    answer: dict[str, Any] = {"sets": {item.jti: item.token for item in items}}
    if emitter.has("poll-sets-list"):
        answer["sets"] = list(answer["sets"].values())
    return {**answer, "moreAvailable": True} if more and not emitter.has("poll-hides-more") else answer
