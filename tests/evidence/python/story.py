"""The log that tests begin with: two organizations, two models, all that can happen to a call; for tests only."""

import hashlib
import json
import struct
from typing import Any, Callable, Dict, List, Optional, Tuple

from make import (HERE, HOUR, IN_FORCE, T0, Draft, Log, Signer, b64, b64url, canonical, chain, dumps, pseudonym,
                  rfc3339, sha)

FROM, TO = T0 + HOUR, T0 + 2 * HOUR
SELECTION = {"class": "organization", "name": "organization:acme", "model": None, "from": rfc3339(FROM),
             "to": rfc3339(TO), "disclose": ["facts", "digests"]}
KEYS = {"ada": "Oew812ly9zZjlXLX", "grace": "KSTmep1C8QYxzb9L", "minh": "ywXqbHQBnwtBIJu0"}
METER = "meter.example.com/1"
SUMS = ("calls", "input", "output", "events")
Hour = Tuple[str, int, str]  # a model version, an hour, and a meter
APPROVERS = {"rosa": "counsel", "tomas": "security"}


def meter_id(origin: str) -> bytes:
    """Returns how a close names the meter of its call."""
    return sha(origin.encode())[:8]


def document(epoch: int) -> bytes:
    """Returns a snapshot document in the spelling in which its digest is taken."""
    text = json.loads((HERE / "snapshot.json").read_text())
    return dumps({name: value for name, value in {**text, "epoch": epoch}.items() if value or name != "regimes"})


def facts(at: int, model: str, person: str, organization: str) -> bytes:
    """Returns facts on which `ember-2` is permitted to anybody and `mythos-5` refused."""
    about = {"id": organization, "legal_name": f"{organization.title()}, Inc.", "country": "US", "kind": "us",
             "screening": "cleared", "coverage": "none", "resells": False}
    who = {"id": person, "display_name": person.title(), "screening": "cleared", "active": True, "attestations": [],
           "affiliations": []}
    credential = {"id": KEYS[person], "expires_at": rfc3339(T0 + 9000 * HOUR), "revoked": False,
                  "organization": organization}
    return dumps({"at": rfc3339(at), "model": model, "credential": credential,
                  "caller": {"kind": "person", "person": who}, "organizations": [about], "consumed": []})


class Story:
    """Writes drafts, one after another."""

    def __init__(self, name: str = "log.example.com/exeat/1") -> None:
        self.name, self.drafts, self.at = name, [], T0  # type: str, List[Draft], int
        self.epoch, self.digest, self.calls = 0, b"", 0
        self.named: Dict[str, Draft] = {}
        self.withheld: Callable[[Draft], bool] = lambda draft: False

    def log(self) -> Log:
        return Log(self.drafts, self.name)

    def add(self, kind: int, after: int = 10, **more: Any) -> Draft:
        """Adds an entry `after` milliseconds."""
        self.at += after
        draft = Draft(kind, self.at, **more)
        self.drafts.append(draft)
        return draft

    def until(self, at: int) -> None:
        self.at = max(self.at, at)

    def begin(self) -> None:
        self.add(1, fields={1: dumps({"origin": self.name, "key": Signer(self.name).vkey()})})
        self.start(False, 0)
        self.add(8, body={10: "desk.policy"}, fields={1: dumps({"actor": "process:config", "approvals": 2})})
        self.in_force()

    def start(self, unclean: bool, interrupted: int) -> None:
        self.add(2, body={10: "0.1.0"}, fields={1: dumps({"unclean": unclean, "interrupted": interrupted})})

    def in_force(self) -> Draft:
        self.epoch += 1
        text = document(self.epoch)
        self.digest = sha(text)
        body = {7: self.digest, 10: "config.load"}
        self.add(8, body=dict(body), fields={1: dumps({"actor": "process:config", "epoch": self.epoch})})
        return self.add(6, body=body, fields={1: text}, chains=[IN_FORCE])

    def _about(self, person: str, organization: str, model: str) -> Tuple[Dict[int, Any], List[bytes]]:
        self.calls += 1
        call = sha(b"call", struct.pack(">Q", self.calls))[:16]
        names = [f"person:{person}", f"key:{KEYS[person]}", f"organization:{organization}", f"model:{model}"]
        return {3: call, 5: pseudonym(names[0]), 6: model, 7: self.digest}, [chain(name) for name in names]

    def open(self, person: str, organization: str, facts_of: Optional[Draft] = None,
             lease: Optional[int] = 1000) -> Draft:
        body, chains = self._about(person, organization, "ember-2")
        body[8] = ["base.published"]
        if lease is not None:
            body[17] = lease
        fields = {1: facts(self.at, "ember-2", person, organization), 2: sha(b"request", body[3])}
        if facts_of is not None:
            del fields[1]
        return self.add(3, body=body, fields=fields, chains=chains, facts_of=facts_of)

    def refuse(self, person: str, organization: str) -> Draft:
        body, chains = self._about(person, organization, "mythos-5")
        body.update({8: [], 10: "clearance_required", 14: "assistant-large"})
        del body[14]
        return self.add(5, body=body, fields={1: facts(self.at, "mythos-5", person, organization)}, chains=chains)

    def _of(self, opened: Draft) -> Dict[str, Any]:
        body = {name: opened.body[name] for name in (3, 5, 6)}
        return {"body": body, "opened": opened, "chains": list(opened.chains)}

    def close(self, opened: Draft, outcome: int = 1, tokens: Tuple[int, int, int] = (100, 40, 40),
              code: Optional[str] = None, meter: Optional[str] = METER) -> Draft:
        of = self._of(opened)
        of["body"].update({9: outcome, 11: {0: tokens[0], 1: tokens[1], 2: tokens[2], 3: tokens[2] * 80}})
        if code is not None:
            of["body"][10] = code
        if meter is not None:
            of["body"][22] = meter_id(meter)
        fields = {3: sha(b"response", opened.body[3]), 4: b"chatcmpl-" + opened.body[3].hex()[:8].encode()}
        return self.add(4, fields=fields, **of)

    def interrupt(self, opened: Draft, lease: int) -> Draft:
        of = self._of(opened)
        of["body"].update({9: 5, 10: "interrupted", 17: lease})
        return self.add(4, **of)

    def lease(self, opened: Draft, lease: int) -> Draft:
        of = self._of(opened)
        of["body"][17] = lease
        return self.add(12, **of)

    def decide_again(self, opened: Draft, person: str, organization: str) -> Draft:
        of = self._of(opened)
        of["body"].update({7: self.digest, 8: ["base.published"]})
        del of["body"][5]
        return self.add(9, fields={1: facts(self.at, "ember-2", person, organization)}, **of)

    def heads(self) -> Draft:
        return self.add(11)

    def stop(self) -> Draft:
        return self.add(10)

    def reconcile(self, hour: int, model: str = "ember-2", meter: str = METER) -> Draft:
        def late(log: Log, draft: Draft) -> None:
            draft.fields = {1: dumps(statement(log, draft, (model, hour, meter)))}
            trees = [sums_root(counted(log, draft.index, (model, hour, meter), of)) for of in (True, False)]
            draft.body[20] = total(trees)

        return self.add(14, body={6: model, 10: "agree"}, chains=[chain(f"model:{model}")], late=late)

    def register(self, name: str, role: str) -> Draft:
        """Registers somebody who may approve."""
        body = {"id": name, "role": role, "public_key": b64url(Signer(name).public), "created_at": rfc3339(self.at),
                "revoked_at": None}
        said = {"version": 4, "actor": "token:security", "change": {"record": "approver", "body": body}}
        return self.add(8, body={10: "approver.add"}, fields={1: dumps(said)})

    def custody(self, selection: Any = None, approvers: Optional[List[str]] = None, signed: Any = None) -> Draft:
        selection = SELECTION if selection is None else selection
        about = selection if signed is None else signed
        approvals = [approval(name, about, self.at) for name in (APPROVERS if approvers is None else approvers)]
        said = {"actor": "token:records", "selection": selection, "approvals": approvals}
        return self.add(8, body={10: "custody.export"}, fields={1: dumps(said)})


def approval(name: str, selection: Any, at: int, request: str = "PRD-1", version: int = 1,
             key: str = "") -> Dict[str, Any]:
    """Returns an approval of the production of `selection`, as a custody entry has it."""
    signer = Signer(key or name)
    act = {"type": "approval/v1", "act": "produce", "kind": "production", "id": request, "version": version,
           "document_sha256": hashlib.sha256(canonical(selection)).hexdigest(), "valid_until": rfc3339(at + 24 * HOUR)}
    header = b64url(dumps({"alg": "EdDSA", "kid": name, "typ": "exeat-approval+jws"}))
    said = signer.sign(f"{header}.{b64url(canonical(act))}".encode())
    return {"act": act, "approver": name, "role": APPROVERS.get(name, "officer"), "public_key": b64url(signer.public),
            "jws": f"{header}..{b64url(said)}"}


Sum = Tuple[bytes, List[int]]


def counted(log: Log, before: int, hour: Hour, completed: bool = True) -> List[Tuple[bytes, List[int]]]:
    """Returns the calls that belong to a meter and were completed (or were not) before an entry, with their sums."""
    model, at, meter = hour
    calls = []
    for close in log.drafts[:before]:
        of, usage = close.opened, close.entry.get(11, {})
        if close.kind == 4 and of and (of.body[6], of.time // HOUR) == (model, at):
            is_of = close.entry.get(22) == meter_id(meter)
            if is_of and (close.entry.get(9) == 1) == completed:
                calls.append((of.body[3], [1, usage.get(0, 0), usage.get(1, 0), usage.get(2, 0)]))
    return sorted(calls)


def sums_root(calls: List[Tuple[bytes, List[int]]]) -> Sum:
    """Returns root and sums, straight from the definition."""
    if len(calls) < 2:
        return (sha(b"\0", calls[0][0], struct.pack(">4Q", *calls[0][1])), calls[0][1]) if calls else (sha(), [0] * 4)
    middle = 1
    while middle * 2 < len(calls):
        middle *= 2
    (a, left), (b, right) = sums_root(calls[:middle]), sums_root(calls[middle:])
    top = sha(b"\1", a, struct.pack(">4Q", *left), b, struct.pack(">4Q", *right))
    return top, [x + y for x, y in zip(left, right)]


def total(trees: List[Sum]) -> bytes:
    """Returns the commitment of a side to its trees."""
    return sha(b"\2", *(part for top, sums in trees for part in (top, struct.pack(">4Q", *sums))))


def side(signer: Signer, trees: List[Sum], about: bytes) -> Dict[str, Any]:
    """Returns what a side signs."""
    of = [{"root": top.hex(), **dict(zip(SUMS, sums))} for top, sums in trees]
    return {"key": signer.vkey(), "completed": of[0], "early": of[1],
            "signature": b64(signer.sign(about + total(trees)))}


def about(gateway: Signer, meter: Signer, model: str, hour: int) -> bytes:
    """Returns what both sides sign before their commitments."""
    names = b"".join(name.encode() + b"\0" for name in (gateway.name, meter.name, model))
    return b"exeat/sums/v2" + names + struct.pack(">Q", hour)


def statement(log: Log, draft: Draft, hour: Hour) -> Dict[str, Any]:
    """Returns what a gateway and a meter say who counted the same."""
    model, at, name = hour
    trees = [sums_root(counted(log, draft.index, hour, completed)) for completed in (True, False)]
    meter = Signer(name)
    text = about(log.key, meter, model, at)
    return {"format": "exeat-sums/v2", "model": model, "hour": at, "gateway": side(log.key, trees, text),
            "meter": side(meter, trees, text), "differ": {"calls": 0, "gateway": dict.fromkeys(SUMS, 0),
                                                          "meter": dict.fromkeys(SUMS, 0), "hash": sha(b"\3").hex()}}


def told() -> Story:
    """Tells the whole story; drafts have names by which mutations find them, in `story.named`."""
    story = Story()
    story.begin()
    early = story.open("ada", "acme", lease=None)
    story.close(early)
    story.until(FROM - 60_000)
    first = story.heads()
    story.until(FROM)
    ada = story.open("ada", "acme")
    minh = story.open("minh", "borealis")
    snapshot = story.in_force()
    again = story.decide_again(ada, "ada", "acme")
    story.close(minh, tokens=(7, 9, 9))
    lease = story.lease(ada, 2000)
    ada_close = story.close(ada, tokens=(120, 1500, 1500))
    refusal = story.refuse("ada", "acme")
    remembered = story.open("ada", "acme", facts_of=ada)
    gone = story.close(remembered, outcome=3, tokens=(50, 3, 3))
    grace = story.open("grace", "acme")
    cut = story.close(grace, outcome=2, code="output_limit", tokens=(10, 2, 2))
    old = story.open("ada", "acme", facts_of=early)
    story.close(old)
    others = [story.open("minh", "borealis") for _ in range(3)]
    for at, other in enumerate(others):
        story.close(other, tokens=(at, at + 1, at + 1))
    lost = story.open("grace", "acme")
    lost_close = story.interrupt(lost, 1000)
    story.start(True, 1)
    last = story.open("grace", "acme")
    story.close(last)
    story.until(TO + 60_000)
    sums = story.reconcile(FROM // HOUR)
    second = story.heads()
    for name, role in APPROVERS.items():
        story.register(name, role)
    custody = story.custody()
    stop = story.stop()
    story.named = {name: value for name, value in locals().items() if isinstance(value, Draft)}
    return story
