"""A desk that asks for two approvals, and what it records; for tests only."""

import hashlib
import json
from typing import Any, Callable, Dict, List, Optional, Tuple

from make import HERE, IN_FORCE, Draft, Signer, b64url, canonical, dumps, rfc3339, sha
from story import Story

SPOKE, BINDS = "2026-05-01T00:00:00Z", "2026-06-20T00:00:00Z"
ROLES = {"iris": "counsel", "otto": "security", "vera": "counsel"}
BOTH = ("iris", "otto")
Document = Dict[str, Any]


def directive(name: str = "DIR-1", version: int = 1, **more: Any) -> Document:
    """Returns a directive with members in the order in which a snapshot has them."""
    first = {"type": "directive/v1", "id": name, "version": version}
    if "supersedes" in more:
        first["supersedes"] = more.pop("supersedes")
    grace = {"grace_minutes": more.pop("grace_minutes")} if "grace_minutes" in more else {}
    return {**first, "issuer": {"agency": "US-DOC-BIS", "official": "Under Secretary"},
            "authority": [{"cite": "15 CFR 744.22(b)"}], "received_at": SPOKE, "effective_at": SPOKE, **grace,
            "expires_at": None, "status": "in_force", "status_since": SPOKE, "models": {"families": ["mythos-5"]},
            "person_scope": {"deny": "foreign_person", "definition": "ear_772", "unknown": "deny"},
            "destination_scope": {"deny": "none"}, "entity_scope": {"deny": "none"},
            "evidence": {"min_assurance": "ial2", "max_age_hours": 24}, "obligations": [],
            "source": {"sha256": "0" * 64}, **more}


def license_of(name: str = "LIC-9", version: int = 1, **more: Any) -> Document:
    """Returns a license of the first directive."""
    first = {"type": "license/v1", "id": name, "version": version}
    if "supersedes" in more:
        first["supersedes"] = more.pop("supersedes")
    return {**first, "kind": "approval_list", "issuer": {"agency": "US-DOC-BIS", "official": "Under Secretary"},
            "under": ["DIR-1"], "models": {"families": ["mythos-5"]},
            "grantees": {"organizations": ["northgate-grid"], "own_staff": False},
            "beneficiaries": {"employee_scope": "direct"}, "tenant_binding": True,
            "territory": {"exclude_groups": [], "unsettled_groups": []}, "conditions": {"token_caps": []},
            "valid": {"from": SPOKE, "to": None}, "status": "in_force", "status_since": SPOKE, "obligations": [],
            "source": {"sha256": "0" * 64}, **more}


def successor(**more: Any) -> Document:
    """Returns a directive that takes the place of the first when it binds, in nineteen days."""
    return directive("DIR-2", 1, **{"supersedes": "DIR-1", "effective_at": BINDS, **more})


def superseded(version: int = 2, **more: Any) -> Document:
    """Returns the end of the first directive, when the second binds."""
    return directive("DIR-1", version, **{"status": "superseded", "status_since": BINDS, **more})


def kind_of(document: Document) -> str:
    return str(document["type"]).split("/", maxsplit=1)[0]


class Desk(Story):
    """Writes drafts of a log with a desk, of three approvers in two roles, where nothing is in force yet."""

    def __init__(self, needs: int = 2) -> None:
        super().__init__()
        self.begin()
        self.policy({"actor": "process:config", "approvals": needs})
        for name in ROLES:
            self.approver(name)

    def policy(self, said: Any) -> Draft:
        return self.add(8, body={10: "desk.policy"}, fields={1: dumps(said)})

    def record(self, code: str, record: str, body: Any, kind: int = 8) -> Draft:
        said = {"version": 4, "actor": "token:1", "change": {"record": record, "body": body}}
        return self.add(kind, body={10: code}, fields={1: dumps(said)})

    def approver(self, name: str, key: str = "", revoked: Optional[str] = None, **more: Any) -> Draft:
        body = {"id": name, "role": ROLES.get(name, "counsel"), "public_key": b64url(Signer(key or name).public),
                "created_at": SPOKE, "revoked_at": revoked, **more}
        return self.record("approver.revoke" if revoked else "approver.add", "approver", body)

    def file(self, document: Document, **more: Any) -> Draft:
        return self.record(f"{kind_of(document)}.file", kind_of(document), {**document, **more}, 7)

    def sign(self, name: str, verb: str, document: Document, **more: Any) -> Draft:
        """Records an approval; `more` is of its body, or with `act` of the act."""
        kind = kind_of(document)
        return self.record(f"{kind}.approve", "approval", signature(name, self.act(verb, document), **more))

    def act(self, verb: str, document: Document, **more: Any) -> Document:
        return {"type": "approval/v1", "act": verb, "kind": kind_of(document), "id": document["id"],
                "version": document["version"], "document_sha256": hashlib.sha256(canonical(document)).hexdigest(),
                "valid_until": rfc3339(self.at + 3_600_000), **more}

    def approve(self, document: Document, verb: str = "apply", by: Tuple[str, ...] = BOTH) -> List[Draft]:
        """Files a document and has these people sign."""
        return [self.file(document), *(self.sign(name, verb, document) for name in by)]

    def glass(self, version: int, restore: Optional[Document], name: str = "DIR-1", **more: Any) -> Draft:
        body = {"kind": "directive", "id": name, "version": version, "restore": restore, "ended": None, **more}
        return self.record("directive.break_glass_end" if body["ended"] else "directive.break_glass", "break_glass",
                           body)

    def put(self, code: Optional[str], *documents: Document, after: int = 10) -> Draft:
        """Puts these in force, and nothing else."""
        self.epoch += 1
        text = json.loads((HERE / "snapshot.json").read_text())
        lists = {f"{kind}s": [one for one in documents if kind_of(one) == kind] for kind in ("directive", "license")}
        said = dumps({name: of for name, of in {**text, "epoch": self.epoch, **lists}.items()
                      if of or name != "regimes"})
        self.digest = sha(said)
        return self.add(6, after, body={7: self.digest, **({} if code is None else {10: code})}, fields={1: said},
                        chains=[IN_FORCE])

    def govern(self) -> None:
        """Puts the first directive in force."""
        self.approve(directive())
        self.put("directive.apply", directive())


def signature(name: str, act: Document, key: str = "", header: Any = None, **more: Any) -> Document:
    """Returns an approval, as an entry of the desk has it."""
    signer = Signer(key or name)
    spelled = b64url(dumps({"alg": "EdDSA", "kid": name, "typ": "exeat-approval+jws"}) if header is None else header)
    seal = signer.sign(f"{spelled}.{b64url(canonical(act))}".encode())
    return {"act": act, "approver": name, "role": ROLES.get(name, "counsel"), "public_key": b64url(signer.public),
            "jws": f"{spelled}..{b64url(seal)}", **more}


def respelled(draft: Draft, change: Callable[[bytes], bytes]) -> None:
    """Changes how field 1 is spelled."""
    changed = change(draft.fields[1])
    assert changed != draft.fields[1]
    draft.fields[1] = changed


def second(at: int) -> str:
    """Spells a whole second as a snapshot has it."""
    return rfc3339(at // 1000 * 1000).replace(".000Z", "Z")
