"""The reference receiver: push endpoint, poller, `drive` and `observe` hooks."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from ..events import CAEP, RISC, SCIM, SESSION_REVOKED, STREAM_UPDATED
from ..web import Listen, Reply, Request, Server, Unreachable, call
from .client import Client, Trouble
from .validate import Rejected, Validator

CUTS = {
    SESSION_REVOKED,
    RISC + "account-disabled",
    RISC + "account-purged",
    RISC + "credential-compromise",
    SCIM + "prov:deactivate",
    SCIM + "prov:delete",
}
RESTORES = {RISC + "account-enabled", SCIM + "prov:activate", CAEP + "session-established"}


@dataclass
class Live:
    """A live stream of somebody."""

    subject: dict[str, Any]
    cut_at_ms: float | None = None


@dataclass
class Receiver:
    """Serves on a free port until `stop`."""

    faults: frozenset[str] = frozenset()
    clients: dict[str, Client] = field(default_factory=dict)
    live: dict[str, Live] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    count: int = 0
    stopped: bool = False

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._validator = Validator(self.faults, lambda url: call("GET", url).json())
        self.server = Server(Listen(), self._handle)

    def stop(self) -> None:
        self.stopped = True
        self.server.stop()

    def has(self, fault: str) -> bool:
        return fault in self.faults

    def _handle(self, request: Request) -> Reply:
        if request.path == "/drive":
            return self._drive(request.json())
        if request.path == "/observe":
            return self._observe(request.json())
        client = self.clients.get(request.path.removeprefix("/push/"))
        return self._pushed(request, client) if client and client.stream else Reply.of(404, {})

    def _drive(self, asked: dict[str, Any]) -> Reply:
        try:
            if asked["action"] == "create":
                return Reply.of(200, {"stream_id": self._create(asked)})
            client = next((one for one in self.clients.values() if one.told["issuer"] == asked["issuer"]), None)
            if client is None:
                raise Trouble("no stream at this transmitter")
            self._act(client, asked)
        except (Trouble, Unreachable, KeyError) as error:
            return Reply.of(502, {"error": str(error)})
        return Reply.of(200, {})

    def _create(self, asked: dict[str, Any]) -> str:
        name = uuid.uuid4().hex
        client = Client(asked, self.faults, f"{self.server.url}/push/{name}")
        stream_id = client.create()
        self.clients[name] = client
        if asked["delivery"] == "poll":
            threading.Thread(target=self._poll, args=(name, client), daemon=True).start()
        return stream_id

    def _act(self, client: Client, asked: dict[str, Any]) -> None:
        action = asked["action"]
        if action == "set-status":
            client.set_status(asked["status"])
        elif action == "remove-subject":
            client.remove_subject(asked["subject"])
        elif action == "delete":
            if not self.has("poll-after-delete"):
                self._forget(client)
            client.delete()
        else:
            plain = {"read": client.read, "update": client.update, "replace": client.replace}
            plain |= {"verify": client.verify, "read-status": client.read_status}
            plain[action]()

    def _forget(self, client: Client) -> None:
        self.clients = {name: one for name, one in self.clients.items() if one is not client}

    def _pushed(self, request: Request, client: Client) -> Reply:
        try:
            if request.headers.get("authorization") != client.authorization and not self.has(
                "accept-any-authorization"
            ):
                raise Rejected("authentication_failed", "not the header that was agreed")
            kind = request.headers.get("content-type")
            if kind != "application/secevent+jwt" and not self.has("accept-any-content-type"):
                raise Rejected("invalid_request", "not application/secevent+jwt")
            self._take(request.body.decode("ascii", "replace"), client)
        except Rejected as rejected:
            return self._refusal(rejected)
        return Reply.of(200, {}) if self.has("answer-200") else Reply(202)

    def _refusal(self, rejected: Rejected) -> Reply:
        body = {"err": rejected.err, "description": rejected.description}
        if self.has("error-without-description"):
            body.pop("description")
        if self.has("error-plain"):
            return Reply(400, b"no", {"content-type": "text/plain", "content-language": "en"})
        if self.has("error-unregistered"):
            body["err"] = "jwtParse"
        language = {} if self.has("error-without-language") else {"content_language": "en"}
        return Reply.of(500 if self.has("error-500") else 400, body, **language)

    def _take(self, token: str, client: Client) -> None:
        known = client.stream
        if known is None:
            raise Rejected("invalid_request", "no stream")
        with self._lock:
            try:
                claims = self._validator.open(token, known)
            except Rejected:
                if self.has("act-on-refused"):
                    self._cut(None)
                raise
            self._apply(claims, client)

    def _apply(self, claims: dict[str, Any], client: Client) -> None:
        self.count += 1
        if self.has("lose-some") and self.count % 40 == 0:
            raise Rejected("invalid_request", "lost")
        repeated = claims.get("jti", "") in self.seen
        if repeated and self.has("refuse-repeated"):
            raise Rejected("invalid_request", "seen before")
        self.seen.add(claims.get("jti", ""))
        if repeated and not self.has("act-again"):
            return
        event, payload = next(iter((claims.get("events") or {"": {}}).items()))
        if event in CUTS and not self.has("cut-nothing"):
            threading.Timer(1.0 if self.has("cut-late") else 0, self._cut, (self._subject(claims),)).start()
        if event in RESTORES and self.has("restore"):
            for live in self.live.values():
                live.cut_at_ms = None
        if event == STREAM_UPDATED and payload.get("status") == "paused" and self.has("delete-on-pause"):
            threading.Thread(target=client.delete, daemon=True).start()

    def _subject(self, claims: dict[str, Any]) -> dict[str, Any] | None:
        subject = claims.get("sub_id") or {}
        return None if self.has("cut-everybody") else subject.get("user", subject)

    def _cut(self, subject: dict[str, Any] | None) -> None:
        for live in self.live.values():
            if live.cut_at_ms is None and subject in (None, live.subject):
                live.cut_at_ms = time.time() * 1000

    def _observe(self, asked: dict[str, Any]) -> Reply:
        if asked["action"] == "open":
            name = uuid.uuid4().hex
            self.live[name] = Live(asked["subject"])
            return Reply.of(200, {"id": name})
        live = self.live[asked["id"]]
        return Reply.of(200, {"live": live.cut_at_ms is None, "cut_at_ms": live.cut_at_ms})

    def _poll(self, name: str, client: Client) -> None:
        acks: list[str] = []
        errors: dict[str, Any] = {}
        while not self.stopped and (name in self.clients):
            body = {"maxEvents": 20, "returnImmediately": self.has("poll-spin"), "ack": acks, "setErrs": errors}
            more = {"content-language": "en"} if errors and not self.has("set-errs-without-language") else {}
            try:
                answer = client.send("POST", str(client.poll_url), body, headers=more)
                if answer.status == 401:
                    client.forget_token()
                sets = answer.json().get("sets", {}) if answer.status == 200 else {}
            except (Unreachable, ValueError):
                sets = {}
            if not sets and not self.has("poll-spin"):
                time.sleep(0.02)
            acks, errors = self._taken(sets, client)

    def _taken(self, sets: dict[str, str], client: Client) -> tuple[list[str], dict[str, Any]]:
        acks: list[str] = []
        errors: dict[str, Any] = {}
        for jti, token in sets.items():
            try:
                self._take(token, client)
                acks.append(jti)
            except Rejected as rejected:
                report = {"err": rejected.err, "description": rejected.description}
                errors[jti] = report if not self.has("set-errs-text") else rejected.err
                if self.has("ack-refused"):
                    acks.append(jti)
        return ([], {}) if self.has("never-ack") else (acks, errors)
