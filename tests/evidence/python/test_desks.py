"""Desks that act at random, and what they record with bytes changed: both verifiers answer alike.

`DESKS` in the environment says how many of each there are; 30 if it says nothing.
"""

import os
import random
from typing import Any, Callable, List

import pytest

from desk import BINDS, BOTH, ROLES, SPOKE, Desk, directive, license_of, second, successor, superseded
from make import T0
from mutate import ACCEPTED, KEY, production_of
from story import Story, told
from test_verifiers import in_python, in_rust, written

MANY = int(os.environ.get("DESKS", "30"))
VERBS = ("apply", "stay", "vacate", "lift", "restore")
CODES = [f"{kind}.{verb}" for kind in ("directive", "license") for verb in VERBS]
TIMES = [SPOKE, BINDS, second(T0), second(T0 + 10_000), second(T0 + 12_000)]
JSON = b'0123456789"{}[]:,.-+eE \\u/anrtfl\x00\xc3\xff'


class Acting(Desk):
    """A desk that mostly does what it may, and sometimes anything."""

    def __init__(self, chosen: random.Random) -> None:
        super().__init__(chosen.choice([1, 2, 2, 2, 3]))
        self.chosen = chosen
        self.held: List[Any] = []

    def document(self) -> Any:
        pick = self.chosen.choice
        number, at, status = pick([1, 2, 2, 3, 4]), pick(TIMES), pick(["in_force", "in_force", "stayed", "lifted"])
        return pick([directive("DIR-1", number, status=status, status_since=at), directive("DIR-1", number),
                     superseded(number, status_since=pick(TIMES)), successor(grace_minutes=pick([0, 90])), successor(),
                     directive("DIR-3", number), license_of("LIC-9", number, status_since=at),
                     license_of("LIC-10", supersedes="LIC-9", valid={"from": pick(TIMES), "to": None}),
                     license_of("LIC-9", number, status="superseded", status_since=pick(TIMES))])

    def reissued(self) -> Any:
        """Returns one that is in force, under another number and perhaps from another time."""
        if not self.held:
            return self.document()
        one = self.chosen.choice(self.held)
        since = self.chosen.choice([one["status_since"], *TIMES])
        return {**one, "version": one["version"] + self.chosen.randint(1, 3), "status_since": since}

    def prepare(self, verb: str, document: Any) -> None:
        """Files and signs a document, breaks the glass for it, or not."""
        how = self.chosen.random()
        if how < 0.6:
            self.approve(document, verb, BOTH if how < 0.5 else tuple(self.chosen.sample(sorted(ROLES), 2)))
        elif how < 0.85:
            version = document["version"] + self.chosen.choice([0, 0, 0, 1])
            kind = document["type"].split("/")[0]
            restore, ended = self.chosen.choice([None, *self.held]), self.chosen.choice([None, None, None, "limit"])
            self.glass(version, restore, document["id"], kind=kind, ended=ended)

    def step(self) -> None:
        code = self.chosen.choice(CODES[:3] * 2 + CODES + ["config.load", "config.reload"])
        documents = {(one["type"], one["id"], one["version"]): one for one in self.held}
        for _ in range(self.chosen.choice([0, 1, 1, 1, 2])):
            one = self.chosen.choice([self.document, self.document, self.reissued])()
            if self.chosen.random() < 0.9:
                self.prepare(code.split(".")[1], one)
            documents[one["type"], one["id"], one["version"]] = one
        if documents and self.chosen.random() < 0.4:
            del documents[self.chosen.choice(sorted(documents))]
        if not any(one["id"] == "DIR-1" for one in documents.values()):
            # A license without the directive that it waives is in no snapshot, which only `exeat-verify` knows.
            documents = {of: one for of, one in documents.items() if of[0] == "directive/v1"}
        if self.chosen.random() < 0.1:
            self.approver(self.chosen.choice(sorted(ROLES)), revoked=self.chosen.choice([None, SPOKE]))
        self.held = [documents[of] for of in sorted(documents)]
        draft = self.put(code, *self.held, after=self.chosen.choice([10, 10, 5_000, 11_000]))
        if self.chosen.random() < 0.05:
            before = self.withheld
            self.withheld = lambda one: one is draft or before(one)


def acting(chosen: random.Random) -> Any:
    """Returns a log of a desk that acts at random, in few steps: those after the first that is wrong show nothing."""
    desk = Acting(chosen)
    desk.prepare("apply", directive())
    desk.held = [directive()]
    desk.put("directive.apply", directive())
    for _ in range(chosen.randint(1, 3)):
        desk.step()
    return desk.log().bundle(desk.withheld)


def changed(chosen: random.Random, text: bytes) -> bytes:
    """Changes, drops or adds a byte or some."""
    at, size = chosen.randrange(len(text)), chosen.choice([1, 1, 1, 2, 8])
    new = chosen.choice([bytes([chosen.choice(JSON)]), bytes([text[at] ^ 1 << chosen.randrange(8)]), b"",
                         text[at:at + size] * 2])
    return text[:at] + new + text[at + (size if new == b"" else 1):]


def respelled(chosen: random.Random) -> Any:
    """Returns a log in which something that the desk records is changed, or stands elsewhere."""
    desk = Desk()
    desk.govern()
    desk.approve(license_of())
    desk.record("production.request", "production", {"id": "PRD-1", "selection": {"from": SPOKE}})
    desk.glass(2, directive())
    desk.put("license.apply", directive(), license_of())
    desk.put("directive.stay", directive(version=2, status="stayed"), license_of())
    mine = [draft for draft in desk.drafts if draft.kind in (7, 8)]
    one, other = chosen.sample(mine, 2)
    how = chosen.random()
    if how < 0.7:
        one.fields[1] = changed(chosen, one.fields[1])
    elif how < 0.8:
        one.fields[1], other.fields[1] = other.fields[1], one.fields[1]
    elif how < 0.9:
        one.body, other.body = other.body, one.body
    else:
        desk.drafts.remove(one)
    return desk.log().bundle(desk.withheld)


def produced(chosen: random.Random) -> Any:
    """Returns a production in whose custody entry something is changed."""
    story: Story = told()
    custody = story.named["custody"]
    custody.fields[1] = changed(chosen, custody.fields[1])
    return production_of(story, story.log()).files()


@pytest.mark.parametrize("make", [acting, respelled, produced], ids=lambda make: make.__name__)
def test_what_a_desk_does_at_random_is_answered_alike(make: Callable[[random.Random], Any], tmp_path):
    command = "production" if make is produced else "bundle"
    ended_well = 0
    for number in range(MANY):
        folder = written(tmp_path / str(number), make(random.Random(f"{make.__name__} {number}")))
        check, said = in_python(command, folder, KEY.vkey(), "--allow-withheld")
        ended, rust = in_rust(command, folder, KEY.vkey(), "--allow-withheld")
        assert ended == (0 if check == ACCEPTED else 1), f"{number}\nPython: {said}\nRust: {rust}"
        ended_well += ended == 0
    assert make is produced or 0 < ended_well < MANY
